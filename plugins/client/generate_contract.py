"""Writes douga_client/contract.py, the contract's messages for the plugins, from the committed stubs.

python plugins/client/generate_contract.py            after every change of a .proto file
python plugins/client/generate_contract.py --check    exit status 1 where the file is not up to date
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from douga_proto.v1 import douga_pb2, image_pb2, palette_pb2

OUT = Path(__file__).resolve().parent / "douga_client" / "contract.py"
_FILES = (image_pb2, palette_pb2, douga_pb2)
_HEAD = '''"""The messages, enums and calls of the contract `{package}`.

Written by generate_contract.py from the .proto files, where each field is explained; do not edit.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum

from .wire import Field, Message

PACKAGE = "{package}"
'''


def contract() -> str:
    """Text of the module. Raises KeyError for a kind of field that the client's codec does not know."""
    descriptors = [module.DESCRIPTOR for module in _FILES]
    parts = [_HEAD.format(package=descriptors[-1].package)]
    for service in descriptors[-1].services_by_name.values():
        names = ",\n    ".join(f'"{m.name}": "/{service.full_name}/{m.name}"' for m in service.methods)
        parts.append(f"METHODS = {{\n    {names},\n}}\n")
    for file in descriptors:
        parts += [_enum(enum) for enum in file.enum_types_by_name.values()]
    messages = [message for file in descriptors for message in file.message_types_by_name.values()]
    parts += [_message(message) for message in _inner_first(messages)]
    return "\n".join(parts)


def _inner_first(messages: list[Any]) -> Iterator[Any]:
    """Each message after those that it is made of."""
    done: set[str] = set()
    left = list(messages)
    while left:
        ready = [
            m for m in left if all(f.message_type is None or f.message_type.name in done for f in m.fields)
        ]
        if not ready:
            raise KeyError(f"messages that hold each other: {[m.name for m in left]}")
        done |= {m.name for m in ready}
        left = [m for m in left if m.name not in done]
        yield from ready


def _enum(enum: Any) -> str:
    prefix = "".join(f"_{c}" if c.isupper() else c.upper() for c in enum.name).lstrip("_") + "_"
    lines = [f"    {value.name.removeprefix(prefix)} = {value.number}" for value in enum.values]
    return f"\nclass {enum.name}(IntEnum):\n" + "\n".join(lines) + "\n"


def _message(message: Any) -> str:
    attributes = [f"    {f.name}: {_annotation(f)} = {_default(f)}" for f in message.fields]
    fields = [_field(f) for f in message.fields]
    table = ["    FIELDS = (", *(f"        {text}," for text in fields), "    )"]
    if len(fields) < 2:
        table = ["    FIELDS = (" + "".join(f"{text}," for text in fields) + ")"]
    return f"\n@dataclass\nclass {message.name}(Message):\n" + "\n".join(attributes + table) + "\n"


def _kind(field: Any) -> str:
    kinds = {
        4: "uint64",
        13: "uint32",
        8: "bool",
        14: "enum",
        2: "float",
        1: "double",
        9: "string",
        12: "bytes",
    }
    return "message" if field.message_type is not None else kinds[field.type]


def _python(field: Any) -> str:
    if field.message_type is not None:
        return str(field.message_type.name)
    kinds = {"bool": "bool", "float": "float", "double": "float", "string": "str", "bytes": "bytes"}
    return kinds.get(_kind(field), "int")


def _is_repeated(field: Any) -> bool:
    return bool(field.is_repeated if hasattr(field, "is_repeated") else field.label == field.LABEL_REPEATED)


def _annotation(field: Any) -> str:
    name = _python(field)
    return f"list[{name}]" if _is_repeated(field) else f"{name} | None" if field.has_presence else name


def _default(field: Any) -> str:
    if _is_repeated(field):
        return "field(default_factory=list)"
    defaults = {"bool": "False", "float": "0.0", "str": '""', "bytes": 'b""'}
    return "None" if field.has_presence else defaults.get(_python(field), "0")


def _field(field: Any) -> str:
    words = [str(field.number), f'"{field.name}"', f'"{_kind(field)}"']
    words += [f"type={field.message_type.name}"] if field.message_type is not None else []
    words += ["repeated=True"] if _is_repeated(field) else []
    words += ["has_presence=True"] if field.has_presence else []
    oneof = field.containing_oneof
    words += [f'oneof="{oneof.name}"'] if oneof is not None and len(oneof.fields) > 1 else []
    return f"Field({', '.join(words)})"


def main() -> None:
    """Write or check the module."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing, only compare")
    check, text = parser.parse_args().check, contract()
    if not check:
        OUT.write_text(text, encoding="utf-8")
    elif not OUT.exists() or OUT.read_text(encoding="utf-8") != text:
        sys.exit(f"{OUT.name} is not what the contract says; run: python {Path(__file__).name}")


if __name__ == "__main__":
    main()
