"""Animals drawn on cels: heads of cats, dogs, rabbits and bears, four-legged ones, mascots."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from douga_training.simulate.animal_parts import ear, eye, eyes, fur, muzzle
from douga_training.simulate.chance import pick
from douga_training.simulate.colours import Swatch
from douga_training.simulate.creatures import bird, butterfly, dragon, fish, monster
from douga_training.simulate.curves import Points, bezier, ellipse, smooth
from douga_training.simulate.look import LineStyle
from douga_training.simulate.sheet import Area, Sheet
from douga_training.simulate.thing_pen import ThingPen, lobed, moved, tube


def face(pen: ThingPen, coat: Swatch | None = None) -> None:
    """The head of a cat, dog, rabbit, bear or the like from the front."""
    coat = coat or fur(pen)
    inner = pen.paint(pen.u(-0.02, 0.07), pen.u(0.2, 0.5), pen.u(0.8, 1.0))
    wide, tall = pen.u(0.36, 0.46), pen.u(0.3, 0.38)
    y0 = 0.1
    kind = pen.rng.choice(["cat", "bear", "rabbit", "flop"], p=[0.5, 0.2, 0.14, 0.16])
    for side in (-1, 1):
        if kind == "flop":
            lobe = tube(
                [
                    (side * wide * 0.6, y0 - tall * 0.7),
                    (side * wide * 1.1, y0 - tall * 0.4),
                    (side * wide * 1.12, y0 + tall * 0.5),
                ],
                [0.14, 0.22, 0.16],
            )
            pen.part(lobe, coat)
            continue
        reach = {"cat": 1.9, "bear": 1.35, "rabbit": 3.0}[str(kind)]
        tip = (side * wide * (0.95 if kind != "rabbit" else 0.5), max(y0 - tall * reach, -0.62))
        a, b = (side * wide * 0.95, y0 - tall * 0.35), (side * wide * 0.25, y0 - tall * 0.85)
        shape = ear(np.array(a), np.array(b), np.array(tip), round_tip=kind != "cat")
        flap = pen.part(shape, coat, outline=shape)
        middle = (np.asarray(a) + b + tip) / 3
        pen.patch(flap, middle + (shape - middle) * 0.62, inner)
    knots = [(0, -tall), (wide * 0.7, -tall * 0.8), (wide, 0.05), (wide * 0.72, tall * 0.72), (0, tall)]
    cheek = 1.0 + (0.18 if pen.chance(0.5) else 0.0)
    knots[3] = (wide * 0.72 * cheek, tall * 0.6)
    ring = moved([*knots, *((-x, y) for x, y in knots[3:0:-1])], 0, y0)
    shape = smooth(ring, closed=True, sharp=(3, 5) if cheek > 1 else ())
    head = pen.part(shape, coat, form=False)
    mark = fur(pen)
    if pen.chance(0.6):
        pen.patch(head, ellipse((0, y0 + tall * 0.55), (wide * 0.5, tall * 0.5)), pen.paint(0.1, 0.06, 0.98))
    if pen.chance(0.35):
        pen.patch(head, ellipse((pen.u(-0.3, 0.3), y0 - tall * 0.7), (wide * 0.5, tall * 0.55)), mark)
    if pen.chance(0.3):
        for x in (-0.07, 0.0, 0.07):
            stripe = tube([(x, y0 - tall * 1.05), (x * 0.8, y0 - tall * 0.6)], [0.035, 0.02])
            pen.patch(head, stripe, mark)
    pen.form([head], coat)
    gap, size, ey = wide * pen.u(0.36, 0.5), pen.u(0.05, 0.1), y0 + pen.u(-0.06, 0.04)
    eyes(pen, [(-gap, ey), (gap, ey)], size, host=head, narrow=pen.u(0.75, 1.15))
    muzzle(pen, (0, y0 + tall * pen.u(0.25, 0.4)), wide * pen.u(0.22, 0.34), coat, head)


def _leg(
    pen: ThingPen, x: float, top: float, foot: float, thick: float, lean: float, coat: Swatch, *, far: bool
) -> Area:
    knee = (x + lean * 0.4 + pen.u(-0.02, 0.02), top + (foot - top) * 0.5)
    spine = [(x, top), knee, (x + lean, foot - thick * 0.4), (x + lean - thick * 0.35, foot)]
    shape = tube(spine, [thick * 1.9, thick * 1.2, thick * 0.8, thick * 0.9])
    return pen.limb(shape, coat, root=0.24, form=False, shaded=far)


def _coat_marks(pen: ThingPen, areas: list[Area], length: float, lit: Points | None) -> None:
    mark = fur(pen)
    if pen.chance(0.35):
        for _ in range(int(pen.rng.integers(2, 6))):
            spot = lobed(
                (pen.u(-0.3, 0.25), pen.u(-0.15, 0.12)),
                (pen.u(0.03, 0.09), pen.u(0.03, 0.07)),
                5,
                pen.rng,
                bulge=0.25,
            )
            pen.patch(areas, spot, mark, lit)
    elif pen.chance(0.35):
        for x in np.arange(-length, length, pen.u(0.06, 0.12)):
            stripe = tube(
                [(x, -0.2), (x + pen.u(-0.02, 0.02), -0.06), (x + 0.02, pen.u(-0.04, 0.08))],
                [0.05, 0.035, 0.004],
            )
            pen.patch(areas, stripe, mark, lit)
    if pen.chance(0.4):
        belly = smooth(
            [(-length, 0.07), (0, 0.04), (length, 0.09), (length, 0.3), (-length, 0.3)], closed=True
        )
        pen.patch(areas[:1], belly, pen.paint(0.1, 0.08, 0.97), lit)


def _trunk(pen: ThingPen, coat: Swatch, length: float, deep: float) -> Area:
    """Tail and body of a four-legged animal."""
    swing = pen.u(-0.2, 0.2)
    tail_thick = pen.u(0.02, 0.09)
    tail = tube(
        [
            (length * 0.9, -deep * 0.4),
            (length * 1.4, swing - 0.1),
            (length * 1.7, swing),
            (length * 1.9, swing * 2),
        ],
        [tail_thick * 0.7, tail_thick, tail_thick, tail_thick * 0.2],
    )
    pen.limb(tail, coat, root=0.03)
    body = smooth(
        [
            (-length * 1.1, -deep * 0.5),
            (-length * 0.4, -deep * 0.8),
            (length * 0.5, -deep * 0.75),
            (length * 1.1, -deep * 0.3),
            (length * 1.05, deep * 0.5),
            (length * 0.3, deep * 0.65),
            (-length * 0.6, deep),
            (-length * 1.15, deep * 0.4),
        ],
        closed=True,
    )
    return pen.part(body, coat, form=False)


def quadruped(pen: ThingPen) -> None:
    """A four-legged animal from the side: cat, dog, fox, horse, deer, cow."""
    coat = fur(pen)
    length, deep, legs = pen.u(0.2, 0.28), pen.u(0.1, 0.16), pen.u(0.14, 0.3)
    thick, neck = pen.u(0.04, 0.075), pen.u(0.04, 0.22)
    foot, sway = deep + legs, pen.u(-0.06, 0.06)
    far_shaded = pen.tones > 0 and pen.chance(0.7)
    for x in (-length * 0.6, length * 0.85):
        _leg(pen, x, deep * 0.2, foot - 0.015, thick, sway * pen.u(-1.5, 1), coat, far=far_shaded)
    parts = [_trunk(pen, coat, length, deep)]
    head_at = (-length * 1.15 - neck * 0.6 - 0.04, -deep * 0.6 - neck)
    throat = tube(
        [(-length * 0.75, -deep * 0.05), (-length * 1.0, -deep * 0.6), head_at],
        [deep * 1.7, deep * 1.2, 0.13],
    )
    parts.append(pen.limb(throat, coat, root=0.2, form=False))
    for x in (-length * 0.8, length * 0.75):
        parts.append(_leg(pen, x, 0.0, foot, thick * 1.1, sway * pen.u(-1, 1.5), coat, far=False))
    snout, skull = pen.u(0.1, 0.22), pen.u(0.09, 0.12)
    hx, hy = head_at
    ears = [
        ear(
            np.array((hx - 0.01 + dx, hy - skull * 0.8)),
            np.array((hx + skull * 0.7 + dx, hy - skull * 0.4)),
            np.array((hx + skull * 0.6 + dx, hy - skull * pen.u(1.5, 2.4))),
            round_tip=pen.chance(0.4),
        )
        for dx in (-0.04, 0.0)
    ]
    pen.part(ears[0], coat, outline=ears[0], shaded=far_shaded)
    head = smooth(
        [
            (hx + skull, hy),
            (hx + skull * 0.5, hy - skull * 0.85),
            (hx - skull * 0.3, hy - skull * 0.8),
            (hx - snout, hy - 0.01),
            (hx - snout - 0.02, hy + skull * 0.5),
            (hx - snout * 0.5, hy + skull * 0.75),
            (hx + skull * 0.6, hy + skull * 0.7),
        ],
        closed=True,
    )
    parts.append(pen.part(head, coat, form=False))
    lit = pen.form(parts, coat, depth=pen.u(0.05, 0.2))
    _coat_marks(pen, parts, length, lit)
    near = pen.part(ears[1], coat, outline=ears[1])
    pen.patch(near, ears[1].mean(0) + (ears[1] - ears[1].mean(0)) * 0.55, pen.paint(0.02, 0.35, 0.9))
    _side_face(pen, hx, hy, snout, skull, coat, parts[-1])
    if pen.fine:
        for x in (-length * 0.62, length * 0.5):
            pen.line(
                bezier((x, deep * 0.3), (x + 0.03, 0.0), (x, -deep * 0.35), samples=12), coat, within=parts
            )


def _side_face(
    pen: ThingPen, hx: float, hy: float, snout: float, skull: float, coat: Swatch, head: Area
) -> None:
    eye(pen, (hx - skull * 0.25, hy - skull * 0.15), skull * pen.u(0.16, 0.3), host=head)
    dark = pen.paint(0.05, 0.2, pen.u(0.1, 0.3))
    pen.part(ellipse((hx - snout - 0.012, hy + 0.015), (0.022, 0.018)), dark, form=False, width=0.8)
    pen.line(
        bezier(
            (hx - snout, hy + skull * 0.42),
            (hx - snout * 0.6, hy + skull * 0.5),
            (hx - snout * 0.2, hy + skull * 0.3),
            samples=12,
        ),
        coat,
        within=head,
    )
    if pen.chance(0.3):  # mane, or the hair of a crest
        mane = pen.paint(pen.rng.random(), pen.u(0.1, 0.6), pen.u(0.2, 0.9))
        for k in range(6):
            x, y = hx + skull * 0.2 + k * 0.035, hy - skull * 0.8 + k * 0.045
            lock = tube(
                [(x, y), (x + 0.06, y + 0.01), (x + pen.u(0.06, 0.12), y + pen.u(0.05, 0.12))],
                [0.06, 0.05, 0.004],
            )
            pen.part(lock, mane)


def sitter(pen: ThingPen) -> None:
    """A small animal or mascot that sits and looks at us: big head, round body."""
    coat = fur(pen)
    tail = tube(
        [(0.12, 0.4), (0.32, 0.4), (0.38, pen.u(0.0, 0.25)), (pen.u(0.25, 0.45), pen.u(-0.15, 0.1))],
        [0.07, 0.08, 0.08, 0.04],
    )
    tail_area = pen.limb(tail, coat, root=0.02)
    if pen.chance(0.5):
        pen.patch(tail_area, tail[len(tail) // 2 - 14 : len(tail) // 2 + 14], fur(pen))
    body = smooth(
        [
            (0, -0.02),
            (0.14, 0.1),
            (0.21, 0.34),
            (0.15, 0.47),
            (0, 0.49),
            (-0.15, 0.47),
            (-0.21, 0.34),
            (-0.14, 0.1),
        ],
        closed=True,
    )
    parts = [pen.part(body, coat, form=False)]
    for side in (-1, 1):
        leg = tube([(side * 0.06, 0.2), (side * 0.07, 0.38), (side * 0.065, 0.45)], [0.1, 0.08, 0.09])
        parts.append(pen.limb(leg, coat, root=0.22, form=False))
    lit = pen.form(parts, coat)
    if pen.chance(0.6):
        pen.patch(parts[:1], ellipse((0, 0.22), (0.09, 0.14)), pen.paint(0.1, 0.05, 0.98), lit)
    small = ThingPen(
        pen.sheet, pen.rng, pen.style, centre_xy=tuple(pen.px([(0, -0.22)])[0]), size_px=pen.size_px * 0.68
    )
    small.tones, small.lit, small.light = pen.tones, pen.lit, pen.light
    face(small, coat)


_ANIMALS: dict[Callable[[ThingPen], None], float] = {
    face: 0.2, quadruped: 0.2, sitter: 0.16, bird: 0.12, fish: 0.09, dragon: 0.09, monster: 0.1,
    butterfly: 0.04,
}  # fmt: skip


def draw_animal(
    sheet: Sheet,
    rng: np.random.Generator,
    style: LineStyle,
    *,
    centre_xy: tuple[float, float],
    size_px: float,
) -> None:
    """Draw one animal or creature, about `size_px` (30 to 1500) high or wide, around a frame position."""
    kind = pick(rng, _ANIMALS)
    turn = float(rng.normal(0, 0.12) if rng.random() < 0.85 else rng.uniform(-1.0, 1.0))
    kind(
        ThingPen(
            sheet,
            rng,
            style,
            centre_xy=centre_xy,
            size_px=size_px,
            turn_rad=turn,
            flip=bool(rng.random() < 0.5),
        )
    )
