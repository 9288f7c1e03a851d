"""Files <-> frames: the one door through which pixels come in and images go out.

Nothing else in Douga opens an input. What was changed on the way in stands in `Frame.warnings`.
"""

from douga.atomic import atomic_path, write_png, write_text
from douga.image_file import read_frame
from douga.image_header import IMAGE_SUFFIXES, MAX_PIXELS, MAX_SIDE_PX
from douga.sources import FrameSource, Sources, open_sources, pictures_by_stem, pictures_named
from douga.video import VIDEO_SUFFIXES

__all__ = [
    "IMAGE_SUFFIXES",
    "MAX_PIXELS",
    "MAX_SIDE_PX",
    "VIDEO_SUFFIXES",
    "FrameSource",
    "Sources",
    "atomic_path",
    "open_sources",
    "pictures_by_stem",
    "pictures_named",
    "read_frame",
    "write_png",
    "write_text",
]
