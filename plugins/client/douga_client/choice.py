"""What the user chose -> a request; a result -> the layers that were wanted, in their order."""

from __future__ import annotations

from dataclasses import dataclass

from .api import Palette, PaletteClass, Reconstruction, ReconstructRequest
from .image import Pixels, Region
from .layers import present_classes

CLASS_KEYS = (  # the place of each is its id
    *("flat", "visible_line", "shading_line", "color_edge", "highlight_line", "book_line"),
    *("shading_fill", "color_fill", "highlight_fill", "book_fill"),
)
# From the top down, as in the layered file of the command line: lines over areas over paper.
STACKING = (
    *("visible_line", "highlight_line", "shading_line", "color_edge", "book_line"),
    *("book_fill", "highlight_fill", "shading_fill", "color_fill", "flat"),
)
# A colour for a layer's label, as hosts that have labels name them.
LABELS = {
    "visible_line": "grey",
    "shading_line": "purple",
    "color_edge": "green",
    "highlight_line": "red",
    "book_line": "brown",
    "shading_fill": "purple",
    "color_fill": "green",
    "highlight_fill": "yellow",
    "book_fill": "brown",
}


def place_of(key: str) -> int:
    """Where the layer of a class lies, from the top down. A class of tomorrow lies below those known here."""
    return STACKING.index(key) if key in STACKING else len(STACKING)


@dataclass(frozen=True)
class Choice:
    """What is asked for. "", 0 and None: the server's default. line_width_px: 1 to 15.

    classes: keys of those that get a layer. has_cel, has_mask, has_ids: whether the cel, its mask and the
    class ids get one, where a host makes such. is_batch: nobody waits at the screen.
    """

    line_width_px: int = 0
    palette: Palette | None = None
    cel_model: str = ""
    lines_model: str = ""
    classes: frozenset[str] = frozenset(CLASS_KEYS)
    has_cel: bool = True
    has_mask: bool = True
    has_ids: bool = True

    def request(
        self, frame: Pixels, region: Region | None = None, *, is_batch: bool = False
    ) -> ReconstructRequest:
        """region: the part that is answered, None for all of it."""
        return ReconstructRequest(
            frame,
            cel_model=self.cel_model.strip(),
            lines_model=self.lines_model.strip(),
            line_width_px=self.line_width_px,
            palette=self.palette,
            region=region,
            is_batch=is_batch,
        )

    def layers_of(self, result: Reconstruction) -> tuple[PaletteClass, ...]:
        """The wanted classes that have a pixel, from the top down.

        A class of tomorrow, whose key is not known here, is wanted, and lies at the bottom.
        """
        ours = self.classes | (frozenset(entry.key for entry in result.palette.classes) - frozenset(STACKING))
        wanted = [entry for entry in result.palette.classes if entry.key in ours]
        present = present_classes(result.class_map, [entry.class_id for entry in wanted])
        wanted = [entry for entry in wanted if entry.class_id in present]
        return tuple(sorted(wanted, key=lambda entry: (place_of(entry.key), entry.class_id)))
