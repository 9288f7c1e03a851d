"""The ten classes of the douga schema (Kugler, 5.1): the only place where ids and names are tied together."""

from enum import IntEnum


class DougaClass(IntEnum):
    """What a pixel of a douga means. The value is the id in every class map, file and network output."""

    FLAT = 0
    VISIBLE_LINE = 1
    SHADING_LINE = 2
    COLOR_EDGE = 3
    HIGHLIGHT_LINE = 4
    BOOK_LINE = 5
    SHADING_FILL = 6
    COLOR_FILL = 7
    HIGHLIGHT_FILL = 8
    BOOK_FILL = 9

    @property
    def title(self) -> str:
        """Name for people: ``"visible line"``."""
        return self.name.lower().replace("_", " ")

    @property
    def key(self) -> str:
        """Name for files and layers: ``"visible_line"``."""
        return self.name.lower()


NUM_CLASSES = len(DougaClass)
LINE_CLASSES = tuple(c for c in DougaClass if 1 <= c <= 5)
FILL_CLASSES = tuple(c for c in DougaClass if c >= 6)
AREA_CLASSES = (DougaClass.FLAT, *FILL_CLASSES)
# Lines that the painters need but that nobody sees in the finished frame.
TRACE_CLASSES = (DougaClass.SHADING_LINE, DougaClass.COLOR_EDGE, DougaClass.HIGHLIGHT_LINE)
DRAWN_CLASSES = (DougaClass.VISIBLE_LINE, DougaClass.BOOK_LINE)  # what is inked; all other lines are traced
