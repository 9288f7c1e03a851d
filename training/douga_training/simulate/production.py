"""A labelled production from a seed: layout, drawing, books and composite, with all truths exact.

Every part has its own random stream, so that what one part draws never changes another: a frame with and
without its book, or composited twice, differs in nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from enum import IntEnum
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from douga.classes import DougaClass
from douga.errors import InputError
from douga_training.simulate import backgrounds, books, things
from douga_training.simulate.alike import in_colour_of
from douga_training.simulate.body import draw_figure
from douga_training.simulate.broadcast import broadcast, sample_broadcast, tint_lines
from douga_training.simulate.chance import pick
from douga_training.simulate.compositing import (
    Compositing,
    Layers,
    blur_layer,
    composite,
    sample_compositing,
    soften_art,
)
from douga_training.simulate.figure import Place
from douga_training.simulate.layout import Layout, sample_layout
from douga_training.simulate.look import make_look, make_style
from douga_training.simulate.painted import paint_softly, sample_airbrush
from douga_training.simulate.sheet import CelArt, Sheet
from douga_training.simulate.soft import GLOW_SHARE, SoftPlan, plan_soft

if TYPE_CHECKING:
    from douga_training.simulate.material import CelPicture, Material

U8 = NDArray[np.uint8]
BOOK_LINE_PX = 2
BOOK_SHARE = 0.25
_HELD_SHARE = 0.3


class Part(IntEnum):
    """Number of each part's random stream: `np.random.default_rng([seed, part])`.

    Never renumber: bytes change.
    """

    LAYOUT = 0
    BACKGROUND = 1
    CEL = 2
    BOOK = 3
    COMPOSITING = 4
    FINISH = 5
    BROADCAST = 6
    TRANSFER = 7
    WINDOW = 8
    LIGHT = 9
    LINES = 10
    SOFT = 11
    ALIKE = 12
    PAINTED = 13


def stream(seed: int, part: Part, *more: int) -> np.random.Generator:
    """The random numbers of one part of one production."""
    return np.random.default_rng([seed, int(part), *more])


@dataclass(frozen=True)
class Production:
    """One frame with its truth. All arrays have one height and width; colours are sRGB, red first.

    frame: (H, W, 3) uint8. classes: (H, W) uint8 class ids, flat outside the cel except where a book hides
    drawn cel. cel_mask: (H, W) uint8 0 or 255: at least half of the pixel is drawn, and no book hides it.
    alpha: (H, W) uint8, straight, of what shows of the cel. book_mask: (H, W) uint8 0 or 255. background:
    (H, W, 3) uint8, the plate as painted. cel: (H, W, 4) uint8, straight: the whole cel before light, grade
    and book. meta: how it was made, as plain values for JSON.
    """

    frame: U8
    classes: U8
    cel_mask: U8
    alpha: U8
    book_mask: U8
    background: U8
    cel: U8
    name: str
    meta: dict[str, Any] = field(default_factory=dict)

    @property
    def is_traced(self) -> bool:
        """False for a painted cel that nobody traced: `classes` says nothing, nor is kept."""
        return bool(self.meta.get("traced", True))


@dataclass(frozen=True)
class Scene:
    """A production that is drawn but not yet composited.

    plate: background as painted. art: the cel with its inked lines. sheet: what it was drawn on, or None for
    given cels. settings: of the composite. window_xywh: the part of the frame that was drawn. soft: what was
    laid on the cel for its alpha, which `art` has already and the bare sheet has not.
    """

    seed: int
    layout: Layout
    plate: U8
    art: CelArt
    sheet: Sheet | None
    book: tuple[U8, U8] | None
    settings: Compositing
    window_xywh: tuple[int, int, int, int]
    meta: dict[str, Any]
    soft: SoftPlan | None = None

    def layers(self, art: CelArt) -> Layers:
        """The layers of the composite with this version of the cel."""
        rgb, alpha = self.book if self.book is not None else (None, None)
        return Layers(self.plate, art, rgb, alpha)


def draw_scene(
    seed: int,
    size_wh: tuple[int, int] | None = None,
    *,
    shot: str | None = None,
    background_kinds: Sequence[str] = (),
    crop_px: int | None = None,
    given: Sequence[Material | CelPicture] = (),
    book: float = BOOK_SHARE,
    treated: float = 0.34,
    alike: float = 0.1,
    soft: bool = False,
    glow: float = GLOW_SHARE,
    painted: bool = False,
) -> Scene:
    """Draw everything that a production consists of.

    size_wh: of the frame; None chooses one. crop_px: draw only a window of this size, on one of the
    characters as a rule; its background and book are painted for the window. given: what people drew, to
    place in the scene instead of drawing characters; the seed chooses one. book: share of frames with a
    painted foreground; what else a frame shows does not depend on it. treated: share of frames whose cel
    colours the composite changes. alike: share of frames whose background takes on a colour of the cel. soft:
    for cutouts: the same scene with wisps, veils, glass, glow, things in hands, motion blur and more shadows.
    glow: share of the soft ones that have an aura. painted: drawn characters have soft gradients and faint
    lines; nobody could trace these.
    Raises InputError for an unknown shot or background, a size below 16 px, or a window larger than the
    frame.
    """
    layout = sample_layout(stream(seed, Part.LAYOUT), size_wh=size_wh, shot=shot)
    window = _window(seed, layout, crop_px)
    settings = sample_compositing(stream(seed, Part.COMPOSITING), treated=treated)
    kind = _background_kind(seed, background_kinds)
    plate = _paint_plate(seed, kind, layout.size_wh, window)
    sheet, places = (None, []) if given else draw_cel(seed, layout, window, holding=soft)
    told: dict[str, Any] = {}
    if sheet is not None:
        if painted:
            light_xy = make_look(stream(seed, Part.LIGHT)).light_xy
            paint_softly(sheet, sample_airbrush(stream(seed, Part.PAINTED), light_xy))
            told = {"painted": True, "traced": False}
        art = sheet.resolve()
    else:
        art, told = _place_given(seed, given, layout, window)
    plan = None
    if soft:
        plan = plan_soft(stream(seed, Part.SOFT), art, places or _middle_of(art), glow)
        art, settings = plan.applied(art), _for_cutouts(seed, settings)
    is_alike = stream(seed, Part.ALIKE).random() < alike
    if is_alike:
        plate = in_colour_of(art, plate, stream(seed, Part.ALIKE, 1))
    front = _paint_book(seed, window, settings, share=book)
    meta: dict[str, Any] = {
        "seed": seed,
        "size_wh": list(layout.size_wh),
        "shot": layout.shot,
        "content": [a.kind for a in layout.actors] if sheet is not None else ["given"],
        "background": kind,
        "alike": is_alike,
        "book": front is not None,
        "window_xywh": list(window),
        "compositing": asdict(settings),
    }
    meta |= told
    if plan is not None:
        meta["soft"] = list(plan.kinds)
    return Scene(seed, layout, plate, art, sheet, front, settings, window, meta, plan)


def draw_production(seed: int, size_wh: tuple[int, int] | None = None, **options: Any) -> Production:
    """Draw, composite and label one frame as the studio's own composite looks. options: as `draw_scene`."""
    return composite_scene(draw_scene(seed, size_wh, **options))


def production_twins(
    seed: int, size_wh: tuple[int, int] | None = None, **options: Any
) -> tuple[Production, Production]:
    """One scene twice, lossless and as it was broadcast, with the same truth. options: as `draw_scene`."""
    scene = draw_scene(seed, size_wh, **options)
    lossless = composite_scene(scene)
    return lossless, broadcast_scene(scene, lossless)


def composite_scene(scene: Scene) -> Production:
    """The lossless frame of a scene with its truth."""
    art = soften_art(scene.art, scene.settings)
    frame = composite(scene.layers(art), scene.settings, stream(scene.seed, Part.FINISH))
    return _label(scene, frame, art)


def broadcast_scene(scene: Scene, lossless: Production) -> Production:
    """The broadcast twin of a scene: another frame, the truth of `lossless`."""
    settings = sample_broadcast(stream(scene.seed, Part.BROADCAST), scene.settings)
    if scene.sheet is not None:
        art = scene.sheet.resolve(line_tint=settings.line_tint, tint_depth=settings.tint_depth)
        art = scene.soft.applied(art) if scene.soft is not None else art
    else:
        art = tint_lines(scene.art, settings.line_tint, settings.tint_depth)
    layers = scene.layers(soften_art(art, scene.settings))
    rng = stream(scene.seed, Part.TRANSFER)
    frame = broadcast(layers, settings, rng, frame_height_px=scene.layout.size_wh[1])
    return replace(lossless, frame=frame, meta=lossless.meta | {"broadcast": asdict(settings)})


# -- parts ---------------------------------------------------------------------------------------------------


def draw_cel(
    seed: int, layout: Layout, window_xywh: tuple[int, int, int, int], *, holding: bool = False
) -> tuple[Sheet, list[Place]]:
    """Draw all actors of a layout, back to front: each from its own stream, in one light, by one hand.

    Returns the sheet and where the figures stand on it. holding: some figures get a thing into a hand.
    """
    x, y, w, h = window_xywh
    sheet = Sheet((w, h), origin_xy=(x, y))
    places: list[Place] = []
    light_xy = make_look(stream(seed, Part.LIGHT)).light_xy
    for number, actor in enumerate(layout.actors):
        rng = stream(seed, Part.CEL, number)
        figure = actor.kind == "figure"
        style = make_style(stream(seed, Part.LINES), actor.size_px if figure else actor.size_px / 2)
        if figure:
            place = draw_figure(
                sheet,
                rng,
                replace(make_look(rng), light_xy=light_xy),
                style,
                head_centre_xy=actor.xy,
                head_height_px=actor.size_px,
                turn=actor.turn,
                roll_rad=actor.roll_rad,
            )
            places.append(place.moved(-x, -y))
            if holding:
                _draw_held(seed, number, sheet, place)
        else:
            draw = getattr(things, f"draw_{actor.kind}")
            draw(sheet, rng, style, centre_xy=actor.xy, size_px=actor.size_px)
    return sheet, places


def _draw_held(seed: int, number: int, sheet: Sheet, place: Place) -> None:
    """A prop in a hand, now and then."""
    rng = stream(seed, Part.SOFT, 1, number)
    if rng.random() >= _HELD_SHARE:
        return
    hand = place.hands_xy[int(rng.integers(len(place.hands_xy)))]
    size = place.head_px * float(rng.uniform(0.5, 1.6))
    xy = hand[0] + float(rng.normal(0, 0.08)) * size, hand[1] - float(rng.uniform(-0.1, 0.35)) * size
    things.draw_prop(sheet, rng, make_style(stream(seed, Part.LINES), size / 2), centre_xy=xy, size_px=size)


def _middle_of(art: CelArt) -> list[Place]:
    """Something to put cloth and glass on where no figure is: the middle of the cel. No hair."""
    x, y, w, h = cv2.boundingRect(cv2.compare(art.alpha, 127, cv2.CMP_GT))
    if not w:
        return []
    unit = 0.4 * max(w, h)
    hands = ((x + 0.1 * w, y + 0.5 * h), (x + 0.9 * w, y + 0.5 * h))
    return [
        Place((x + w / 2, y + h / 3), unit, 0.0, hands, (), (20, 20, 24), max(1.0, art.alpha.shape[0] / 600))
    ]


def _for_cutouts(seed: int, settings: Compositing) -> Compositing:
    """Settings whose cel is what `cel` says, with a shadow on the background more often than not."""
    rng = stream(seed, Part.SOFT, 2)
    shadow = settings.shadow
    if shadow == 0 and rng.random() < 0.4:
        shadow = float(rng.uniform(0.2, 0.6))
    return replace(settings, cel_scale=1.0, cel_motion_px=0, shadow=shadow)


def _window(seed: int, layout: Layout, crop_px: int | None) -> tuple[int, int, int, int]:
    """x, y, width, height of the part that is drawn: the frame, or a window, on a character as a rule."""
    w, h = layout.size_wh
    if min(w, h) < 16:
        raise InputError(f"size: got {w}x{h}, expected at least 16 pixels each way")
    if crop_px is None:
        return 0, 0, w, h
    if not 16 <= crop_px <= min(w, h):
        raise InputError(
            f"crop: got {crop_px}, expected 16 to {min(w, h)}, the smaller side of a {w}x{h} frame"
        )
    rng = stream(seed, Part.WINDOW)
    x, y = rng.uniform(0, w), rng.uniform(0, h)
    if layout.actors and rng.random() < 0.85:
        actor = layout.actors[int(rng.integers(len(layout.actors)))]
        reach = max(actor.size_px * (1.3 if actor.kind == "figure" else 0.5), crop_px * 0.3)
        x, y = np.array(actor.xy) + rng.normal(0, 0.5, 2) * reach
        y += rng.random() * actor.size_px * (actor.kind == "figure")  # there is more to see below the head
    left = int(np.clip(x - crop_px / 2, 0, w - crop_px))
    top = int(np.clip(y - crop_px / 2, 0, h - crop_px))
    return left, top, crop_px, crop_px


def _background_kind(seed: int, kinds: Sequence[str]) -> str:
    known = backgrounds.BACKGROUND_KINDS
    for kind in kinds:
        if kind not in known:
            raise InputError(f"background: got {kind!r}, expected one of {', '.join(known)}")
    return pick(stream(seed, Part.BACKGROUND, 1), {kind: known[kind] for kind in kinds or known})


def _paint_plate(seed: int, kind: str, size_wh: tuple[int, int], window: tuple[int, int, int, int]) -> U8:
    rng = stream(seed, Part.BACKGROUND)
    _, _, w, h = window
    if (w, h) == size_wh:
        return backgrounds.paint_background(rng, size_wh, kind)
    wide = round(h * 1.5)  # a window gets a part of a small painting: painting all of it would cost too much
    left = int(stream(seed, Part.BACKGROUND, 2).integers(0, wide - w + 1))
    return np.ascontiguousarray(backgrounds.paint_background(rng, (wide, h), kind)[:, left : left + w])


def _paint_book(
    seed: int, window: tuple[int, int, int, int], settings: Compositing, *, share: float
) -> tuple[U8, U8] | None:
    if stream(seed, Part.BOOK, 1).random() >= share:
        return None
    rgb, alpha = books.paint_book(stream(seed, Part.BOOK), window[2:])
    if settings.book_blur_px > 0:
        rgb, alpha = blur_layer(rgb, alpha, settings.book_blur_px)
    return rgb, alpha


def _place_given(
    seed: int, given: Sequence[Material | CelPicture], layout: Layout, window: tuple[int, int, int, int]
) -> tuple[CelArt, dict[str, Any]]:
    """One of them in the window of a frame, and for `meta` which, and whether somebody traced it."""
    # Brings scikit-image, which takes a second to load.
    from douga_training.simulate.material import Material, place

    rng = stream(seed, Part.CEL)
    chosen = given[int(rng.integers(len(given)))]
    art = place(chosen, layout.size_wh, rng)
    x, y, w, h = window
    part = np.s_[y : y + h, x : x + w]
    art = CelArt(art.rgb[part].copy(), art.alpha[part].copy(), art.ids[part].copy())
    return art, {"drawing": chosen.name, "traced": isinstance(chosen, Material)}


# -- truth ---------------------------------------------------------------------------------------------------


def truth_of(art: CelArt, book_alpha: U8 | None) -> tuple[U8, U8, U8, U8]:
    """What a network should answer: classes, cel mask, alpha and book mask, each (H, W) uint8.

    What a book covers by half or more is not cel. Drawn cel below it is book fill, and along the visible cel
    the book's border is a book line of some 2 px, on the book's side.
    """
    drawn = cv2.compare(art.alpha, 127, cv2.CMP_GT)
    ids = cv2.bitwise_and(art.ids, drawn)
    if book_alpha is None:
        return ids, drawn, art.alpha, np.zeros_like(drawn)
    book = cv2.compare(book_alpha, 127, cv2.CMP_GT)
    cel_mask = cv2.bitwise_and(drawn, cv2.bitwise_not(book))
    hidden = cv2.bitwise_and(drawn, book)
    reach = np.ones((2 * BOOK_LINE_PX + 1,) * 2, np.uint8)
    border = cv2.bitwise_and(cv2.dilate(cel_mask, reach), hidden)
    classes = cv2.bitwise_and(ids, cel_mask)
    classes[hidden > 0] = DougaClass.BOOK_FILL
    classes[border > 0] = DougaClass.BOOK_LINE
    alpha = cv2.multiply(art.alpha, cv2.bitwise_not(book_alpha), scale=1 / 255)
    return classes, cel_mask, alpha, book


def _label(scene: Scene, frame: U8, art: CelArt) -> Production:
    book_alpha = scene.book[1] if scene.book is not None else None
    classes, cel_mask, alpha, book_mask = truth_of(art, book_alpha)
    cel = np.dstack([art.rgb, art.alpha])
    cel[art.alpha == 0] = 0
    name = f"{scene.seed:06d}"
    return Production(frame, classes, cel_mask, alpha, book_mask, scene.plate, cel, name, scene.meta)
