"""The wire format of Protocol Buffers, as much of it as our contract uses; the messages stand in `contract`.

`google.protobuf` cannot travel with a plugin: all plugins of a host share one namespace `google`. What comes
in is checked: a message that is cut short or makes no sense raises WireError, fields that are not known here
are passed over, as a newer server may send them.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from operator import index
from typing import Any, ClassVar, TypeVar

_VARINT, _FIXED64, _BYTES, _GROUP, _GROUP_END, _FIXED32 = range(6)
_WIRE_TYPES = {"float": _FIXED32, "double": _FIXED64, "string": _BYTES, "bytes": _BYTES, "message": _BYTES}
_FORMATS = {"float": struct.Struct("<f"), "double": struct.Struct("<d")}
_U32, _U64 = (1 << 32) - 1, (1 << 64) - 1
_DEEPEST_GROUP = 64
M = TypeVar("M", bound="Message")


class WireError(ValueError):
    """Bytes that are no message of our contract, or a value that does not fit its field."""


@dataclass(frozen=True)
class Field:
    """One field of a message.

    kind: "uint32", "uint64", "bool", "enum", "float", "double", "string", "bytes" or "message". type: of a
    message. has_presence: None means left out. oneof: of the fields of one name at most one is set.
    """

    number: int
    name: str
    kind: str
    type: type[Message] | None = None
    repeated: bool = False
    has_presence: bool = False
    oneof: str = ""

    @property
    def wire_type(self) -> int:
        """Of one value of it."""
        return _WIRE_TYPES.get(self.kind, _VARINT)


class Message:
    """Base of the messages in `contract`; each is a dataclass whose attributes are named as its fields."""

    FIELDS: ClassVar[tuple[Field, ...]] = ()
    BY_NUMBER: ClassVar[dict[int, Field]] = {}

    def __init_subclass__(cls) -> None:
        cls.BY_NUMBER = {field.number: field for field in cls.FIELDS}

    def encoded(self) -> bytes:
        """As it travels. Raises WireError for a value that does not fit its field."""
        parts: list[bytes] = []
        for field in self.FIELDS:
            _write_field(parts, field, getattr(self, field.name))
        return b"".join(parts)

    @classmethod
    def decoded(cls: type[M], data: bytes | bytearray | memoryview) -> M:
        """From what came. Raises WireError."""
        message = cls()
        _merge(message, memoryview(data))
        return message

    def which(self, oneof: str) -> str:
        """Name of the field that is set among those of a oneof; empty where none is."""
        fields = (f for f in self.FIELDS if f.oneof == oneof)
        return next((f.name for f in fields if getattr(self, f.name) is not None), "")


# -- out -------------------------------------------------------------------------------------------------


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def _key(field: Field, wire_type: int) -> bytes:
    return _varint(field.number << 3 | wire_type)


def _write_field(parts: list[bytes], field: Field, value: Any) -> None:
    if field.repeated:
        _write_repeated(parts, field, value)
    elif value is not None and (field.has_presence or _is_set(field, value)):
        parts.append(_key(field, field.wire_type))
        parts.extend(_value_parts(field, value))


def _write_repeated(parts: list[bytes], field: Field, values: Iterable[Any]) -> None:
    if field.wire_type == _BYTES:
        for value in values:
            parts.append(_key(field, _BYTES))
            parts.extend(_value_parts(field, value))
        return
    packed = b"".join(part for value in values for part in _value_parts(field, value))
    if packed:
        parts.extend((_key(field, _BYTES), _varint(len(packed)), packed))


def _is_set(field: Field, value: Any) -> bool:
    """Whether a value differs from the default in any bit, as -0.0 does."""
    if field.kind in _FORMATS:
        return any(_FORMATS[field.kind].pack(value))
    return bool(value)


def _value_parts(field: Field, value: Any) -> tuple[bytes, ...]:
    kind = field.kind
    try:
        if kind in _FORMATS:
            return (_FORMATS[kind].pack(value),)
        if field.wire_type == _VARINT:
            return (_varint(_unsigned(field, value)),)
        data = value.encode("utf-8") if kind == "string" else value.encoded() if kind == "message" else value
        return (_varint(len(data)), data)
    except (struct.error, OverflowError, TypeError, AttributeError, UnicodeEncodeError) as exc:
        raise WireError(f"{field.name}: {value!r:.60} is no {kind}") from exc


def _unsigned(field: Field, value: Any) -> int:
    number = index(value)
    if field.kind == "enum" and -(1 << 31) <= number < 1 << 31:
        return number & _U64  # negative ones have ten bytes
    most = {"uint32": _U32, "uint64": _U64, "bool": 1}.get(field.kind, -1)
    if not 0 <= number <= most:
        raise WireError(f"{field.name}: {number} does not fit into {field.kind}")
    return number


# -- in --------------------------------------------------------------------------------------------------


def _merge(message: Message, data: memoryview) -> None:
    """Read fields into a message; of those that come twice the last one counts, messages are put together."""
    at, end = 0, len(data)
    while at < end:
        key, at = _read_varint(data, at)
        number, wire_type = key >> 3, key & 7
        if not number or key > _U32:
            raise WireError(f"a field of the impossible number {number}")
        field = message.BY_NUMBER.get(number)
        if field is not None and wire_type == field.wire_type:
            value, at = _read(field, message, data, at)
            _store(message, field, value)
        elif field is not None and field.repeated and wire_type == _BYTES:
            packed, at = _read_bytes(data, at)
            _merge_packed(message, field, packed)
        else:
            at = _skip(number, wire_type, data, at)


def _merge_packed(message: Message, field: Field, packed: memoryview) -> None:
    at = 0
    while at < len(packed):
        value, at = _read(field, message, packed, at)
        _store(message, field, value)


def _store(message: Message, field: Field, value: Any) -> None:
    if field.repeated:
        getattr(message, field.name).append(value)
        return
    if field.oneof:
        for other in message.FIELDS:
            if other.oneof == field.oneof and other is not field:
                setattr(message, other.name, None)
    setattr(message, field.name, value)


def _read(field: Field, message: Message, data: memoryview, at: int) -> tuple[Any, int]:
    kind = field.kind
    if kind in _FORMATS:
        end = _checked_end(data, at, _FORMATS[kind].size)
        return _FORMATS[kind].unpack(data[at:end])[0], end
    if field.wire_type == _VARINT:
        number, at = _read_varint(data, at)
        return _narrowed(kind, number), at
    raw, at = _read_bytes(data, at)
    if field.type is not None:
        before = None if field.repeated else getattr(message, field.name)
        inner = field.type() if before is None else before
        _merge(inner, raw)
        return inner, at
    if kind == "bytes":
        return bytes(raw), at
    try:
        return str(raw, "utf-8"), at
    except UnicodeDecodeError as exc:
        raise WireError(f"{field.name}: text that is no UTF-8") from exc


def _narrowed(kind: str, number: int) -> int | bool:
    if kind == "bool":
        return number != 0
    if kind == "uint64":
        return number
    number &= _U32
    return number - (1 << 32) if kind == "enum" and number >> 31 else number


def _read_varint(data: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(data):
            raise WireError("a message that is cut short")
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            if value > _U64:
                break
            return value, at
    raise WireError("a number of more than 64 bits")


def _read_bytes(data: memoryview, at: int) -> tuple[memoryview, int]:
    size, at = _read_varint(data, at)
    end = _checked_end(data, at, size)
    return data[at:end], end


def _checked_end(data: memoryview, at: int, size: int) -> int:
    if size > len(data) - at:
        raise WireError(f"a message that is cut short: {size} bytes are due and {len(data) - at} are there")
    return at + size


def _skip(number: int, wire_type: int, data: memoryview, at: int) -> int:
    """Pass over a field that is not known here; returns where the next one begins."""
    open_groups: list[int] = []
    while True:
        if wire_type == _GROUP:
            open_groups.append(number)
            if len(open_groups) > _DEEPEST_GROUP:
                raise WireError("groups within groups without end")
        elif wire_type == _GROUP_END:
            if not open_groups or open_groups.pop() != number:
                raise WireError("the end of a group that did not begin")
        else:
            at = _skip_value(wire_type, data, at)
        if not open_groups:
            return at
        key, at = _read_varint(data, at)
        number, wire_type = key >> 3, key & 7
        if not number or key > _U32:
            raise WireError(f"a field of the impossible number {number}")


def _skip_value(wire_type: int, data: memoryview, at: int) -> int:
    if wire_type == _VARINT:
        return _read_varint(data, at)[1]
    if wire_type == _BYTES:
        return _read_bytes(data, at)[1]
    if wire_type in (_FIXED32, _FIXED64):
        return _checked_end(data, at, 4 if wire_type == _FIXED32 else 8)
    raise WireError(f"a field of the unknown wire type {wire_type}")
