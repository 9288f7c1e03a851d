from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class PixelLayout(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PIXEL_LAYOUT_UNSPECIFIED: _ClassVar[PixelLayout]
    PIXEL_LAYOUT_GRAY8: _ClassVar[PixelLayout]
    PIXEL_LAYOUT_RGB8: _ClassVar[PixelLayout]
    PIXEL_LAYOUT_RGBA8: _ClassVar[PixelLayout]
    PIXEL_LAYOUT_BGRA8: _ClassVar[PixelLayout]

class PixelEncoding(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PIXEL_ENCODING_UNSPECIFIED: _ClassVar[PixelEncoding]
    PIXEL_ENCODING_ZSTD: _ClassVar[PixelEncoding]
    PIXEL_ENCODING_RAW: _ClassVar[PixelEncoding]
    PIXEL_ENCODING_PNG: _ClassVar[PixelEncoding]

class Plane(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PLANE_UNSPECIFIED: _ClassVar[Plane]
    PLANE_FRAME: _ClassVar[Plane]
    PLANE_CEL_MASK: _ClassVar[Plane]
    PLANE_CLASS_MAP: _ClassVar[Plane]
    PLANE_ALPHA: _ClassVar[Plane]
    PLANE_COLORS: _ClassVar[Plane]
PIXEL_LAYOUT_UNSPECIFIED: PixelLayout
PIXEL_LAYOUT_GRAY8: PixelLayout
PIXEL_LAYOUT_RGB8: PixelLayout
PIXEL_LAYOUT_RGBA8: PixelLayout
PIXEL_LAYOUT_BGRA8: PixelLayout
PIXEL_ENCODING_UNSPECIFIED: PixelEncoding
PIXEL_ENCODING_ZSTD: PixelEncoding
PIXEL_ENCODING_RAW: PixelEncoding
PIXEL_ENCODING_PNG: PixelEncoding
PLANE_UNSPECIFIED: Plane
PLANE_FRAME: Plane
PLANE_CEL_MASK: Plane
PLANE_CLASS_MAP: Plane
PLANE_ALPHA: Plane
PLANE_COLORS: Plane

class ImageHeader(_message.Message):
    __slots__ = ("width", "height", "layout", "encoding", "encoded_bytes")
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    LAYOUT_FIELD_NUMBER: _ClassVar[int]
    ENCODING_FIELD_NUMBER: _ClassVar[int]
    ENCODED_BYTES_FIELD_NUMBER: _ClassVar[int]
    width: int
    height: int
    layout: PixelLayout
    encoding: PixelEncoding
    encoded_bytes: int
    def __init__(self, width: _Optional[int] = ..., height: _Optional[int] = ..., layout: _Optional[_Union[PixelLayout, str]] = ..., encoding: _Optional[_Union[PixelEncoding, str]] = ..., encoded_bytes: _Optional[int] = ...) -> None: ...

class Chunk(_message.Message):
    __slots__ = ("plane", "data")
    PLANE_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    plane: Plane
    data: bytes
    def __init__(self, plane: _Optional[_Union[Plane, str]] = ..., data: _Optional[bytes] = ...) -> None: ...

class Region(_message.Message):
    __slots__ = ("x", "y", "width", "height")
    X_FIELD_NUMBER: _ClassVar[int]
    Y_FIELD_NUMBER: _ClassVar[int]
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    x: int
    y: int
    width: int
    height: int
    def __init__(self, x: _Optional[int] = ..., y: _Optional[int] = ..., width: _Optional[int] = ..., height: _Optional[int] = ...) -> None: ...
