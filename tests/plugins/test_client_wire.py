"""The client's codec against the real protobuf, both ways, and what it does with nonsense."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from douga_client import contract
from douga_client.wire import Message, WireError
from douga_proto.v1 import douga_pb2, image_pb2, palette_pb2
from google.protobuf.message import DecodeError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

SLOW_IS_FINE = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=10)
PAIRS: dict[str, tuple[type[Message], Any]] = {
    name: (getattr(contract, name), descriptor)
    for module in (image_pb2, palette_pb2, douga_pb2)
    for name, descriptor in module.DESCRIPTOR.message_types_by_name.items()
}
NUMBERS: dict[str, st.SearchStrategy[Any]] = {
    "uint32": st.integers(0, 2**32 - 1),
    "uint64": st.integers(0, 2**64 - 1),
    "enum": st.integers(-(2**31), 2**31 - 1),
    "bool": st.booleans(),
    "float": st.floats(width=32, allow_nan=False),
    "double": st.floats(allow_nan=False),
    "string": st.text(max_size=20),
    "bytes": st.binary(max_size=200),
}


def values(name: str) -> st.SearchStrategy[dict[str, Any]]:
    """Any message of that name as a dictionary, in which fields may be left out."""
    fields = PAIRS[name][0].FIELDS
    of: Callable[[Any], st.SearchStrategy[Any]] = lambda f: (  # noqa: E731
        st.deferred(lambda: values(f.type.__name__)) if f.type is not None else NUMBERS[f.kind]
    )
    plain = {f.name: st.lists(of(f), max_size=4) if f.repeated else of(f) for f in fields if not f.oneof}
    some = st.fixed_dictionaries({}, optional=plain)
    one = [st.fixed_dictionaries({f.name: of(f)}) for f in fields if f.oneof]
    return st.tuples(some, st.one_of(st.just({}), *one)).map(lambda parts: {**parts[0], **parts[1]})


def ours(name: str, fields: dict[str, Any]) -> Message:
    kind = PAIRS[name][0]
    made = {}
    for field in kind.FIELDS:
        if field.name in fields:
            value = fields[field.name]
            if field.type is not None:
                inner = field.type.__name__
                value = [ours(inner, v) for v in value] if field.repeated else ours(inner, value)
            made[field.name] = value
    return kind(**made)


def theirs(name: str, fields: dict[str, Any]) -> Any:
    message = PAIRS[name][1]._concrete_class()
    for field in PAIRS[name][0].FIELDS:
        if field.name in fields:
            value = fields[field.name]
            if field.type is not None:
                inner = field.type.__name__
                if field.repeated:
                    getattr(message, field.name).extend(theirs(inner, v) for v in value)
                else:
                    getattr(message, field.name).CopyFrom(theirs(inner, value))
                    getattr(message, field.name).SetInParent()
            elif field.repeated:
                getattr(message, field.name).extend(value)
            else:
                setattr(message, field.name, value)
    return message


def parsed(name: str, data: bytes) -> Any:
    return PAIRS[name][1]._concrete_class.FromString(data)


def test_the_committed_contract_is_what_the_stubs_say() -> None:
    path = Path(contract.__file__).parents[1] / "generate_contract.py"
    spec = importlib.util.spec_from_file_location("generate_contract", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.contract() == Path(contract.__file__).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", PAIRS)
@SLOW_IS_FINE
@given(data=st.data())
def test_what_we_write_the_real_protobuf_reads_and_the_other_way_round(
    name: str, data: st.DataObject
) -> None:
    fields = data.draw(values(name))
    mine, real = ours(name, fields), theirs(name, fields)
    assert parsed(name, mine.encoded()) == real
    assert PAIRS[name][0].decoded(real.SerializeToString()) == mine
    assert PAIRS[name][0].decoded(mine.encoded()) == mine


@SLOW_IS_FINE
@given(first=values("ReconstructStart"), second=values("ReconstructStart"))
def test_two_halves_of_a_message_are_put_together_as_protobuf_does(first: Any, second: Any) -> None:
    both = ours("ReconstructStart", first).encoded() + ours("ReconstructStart", second).encoded()
    assert parsed("ReconstructStart", contract.ReconstructStart.decoded(both).encoded()) == parsed(
        "ReconstructStart", both
    )


@SLOW_IS_FINE
@given(fields=values("ReconstructResponse"))
def test_fields_of_a_newer_server_are_passed_over(fields: Any) -> None:
    newer = b"\xfa\x3f\x02hi" + b"\x80\x40\x07" + b"\x8d\x40\x01\x02\x03\x04" + b"\x91\x40" + bytes(8)
    newer += b"\x9b\x40" + b"\x08\x01" + b"\x9c\x40"  # a group with a number in it
    mine = ours("ReconstructResponse", fields)
    assert contract.ReconstructResponse.decoded(newer + mine.encoded() + newer) == mine


@settings(deadline=None, max_examples=200)
@given(data=st.binary(max_size=60))
def test_nonsense_is_an_error_of_ours_or_what_protobuf_makes_of_it(data: bytes) -> None:
    try:
        mine = contract.ReconstructResponse.decoded(data)
    except WireError:
        return
    try:
        real = parsed("ReconstructResponse", data)
    except DecodeError:
        return  # the real one is stricter about fields that are passed over
    assert parsed("ReconstructResponse", mine.encoded()).WhichOneof("part") == real.WhichOneof("part")


@settings(deadline=None, max_examples=50)
@given(fields=values("GetCapabilitiesResponse"), data=st.data())
def test_a_message_that_is_cut_or_changed_never_raises_anything_else(
    fields: Any, data: st.DataObject
) -> None:
    sound = bytearray(ours("GetCapabilitiesResponse", fields).encoded() or b"\0")
    at = data.draw(st.integers(0, len(sound) - 1))
    sound[at] = data.draw(st.integers(0, 255))
    for hostile in (bytes(sound), bytes(sound[:at])):
        with suppress(WireError):
            contract.GetCapabilitiesResponse.decoded(hostile)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"\x0a\x05ab", "cut short: 5 bytes are due and 2 are there"),
        (b"\x0a" + b"\xff" * 11, "more than 64 bits"),
        (b"\x00\x00", "impossible number 0"),
        (b"\x0f", "unknown wire type 7"),
        (b"\x0c", "end of a group that did not begin"),
        (b"\x0b" * 200, "without end"),
        (b"\x0a\x02\xff\xfe", "no UTF-8"),
    ],
)
def test_an_error_says_what_is_wrong(data: bytes, said: str) -> None:
    with pytest.raises(WireError, match=said):
        contract.Model.decoded(data)


@pytest.mark.parametrize("value", [-1, 2**32, "x", 1.5])
def test_a_value_that_does_not_fit_is_named(value: Any) -> None:
    with pytest.raises(WireError, match=f"width: .*{value}"):
        contract.Region(width=value).encoded()
