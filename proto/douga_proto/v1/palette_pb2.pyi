from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class PaletteEntry(_message.Message):
    __slots__ = ("class_id", "key", "title", "colors")
    CLASS_ID_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    TITLE_FIELD_NUMBER: _ClassVar[int]
    COLORS_FIELD_NUMBER: _ClassVar[int]
    class_id: int
    key: str
    title: str
    colors: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, class_id: _Optional[int] = ..., key: _Optional[str] = ..., title: _Optional[str] = ..., colors: _Optional[_Iterable[int]] = ...) -> None: ...

class Palette(_message.Message):
    __slots__ = ("name", "entries")
    NAME_FIELD_NUMBER: _ClassVar[int]
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    name: str
    entries: _containers.RepeatedCompositeFieldContainer[PaletteEntry]
    def __init__(self, name: _Optional[str] = ..., entries: _Optional[_Iterable[_Union[PaletteEntry, _Mapping]]] = ...) -> None: ...
