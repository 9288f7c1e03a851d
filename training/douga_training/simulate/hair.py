"""Painting the hair in front of and around the face: strands, loose locks, shadows, shine."""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray

from douga_training.simulate.colours import mix
from douga_training.simulate.curves import Points, bezier, part, resampled, ribbon, smooth
from douga_training.simulate.hair_shape import FrontHair, meridian
from douga_training.simulate.head_pen import HeadPen
from douga_training.simulate.look import Look
from douga_training.simulate.sheet import Area


def draw_front_hair(
    pen: HeadPen, rng: np.random.Generator, look: Look, hair: FrontHair, light: NDArray[np.float64]
) -> Area:
    """Paint the cap, tone it, ink it."""
    d, paint = look.hair_design, look.hair
    for spike in hair.spikes[::2]:
        _spike(pen, look, spike)
    cap = pen.area(hair.shapes, paint.normal)
    if look.has_shadow and pen.px(1) > 45:
        _shade_cap(pen, rng, look, hair, cap, light)
    if look.has_highlights and d.shine != "none" and pen.px(1) > 70:
        _shine(pen, rng, look, hair, cap, light)
    pen.line(hair.silhouette, paint)
    for spike in hair.spikes[1::2]:
        _spike(pen, look, spike)
    if d.ahoge and "hat" not in look.face.extras and pen.px(1) > 50:
        _ahoge(pen, rng, look, hair)
    fine = pen.px(1) > 60
    for i, (edge, inked) in enumerate(hair.edges):
        if not inked:
            continue
        # One of the two lines that meet in a notch runs on into the hair as a strand.
        if fine and _is_inner(hair, edge[-1]) and (i % 2 == 0) and rng.random() < 0.35 + 0.6 * d.strands:
            flow = part(
                meridian(pen.space, hair.crown_xy, edge[-1]), 0.0, rng.uniform(0.12, 0.3 + 0.5 * d.strands)
            )
            pen.line(np.vstack([edge, flow[1:]]), paint, taper=(0.06, pen.style.taper))
        else:
            pen.line(edge, paint, taper=(0.06, 0.0))
    if pen.px(1) > 130:
        _strands(pen, rng, look, hair, cap)
    if d.has_dyed_tips:
        _dye(pen, look, cap)
    if pen.px(1) > 90 and d.bangs != "straight":
        _loose_locks(pen, rng, look, hair, cap)
    return cap


def _dye(pen: HeadPen, look: Look, cap: Area) -> None:
    """A soft gradient towards the tips: airbrush, so it has no border."""
    start, end = pen.space.place([(0.0, -0.15), (0.0, 0.3)])
    pen.sheet.glaze(cap, mix(look.hair.normal, look.accent.normal, 0.5), start, end, amount=0.7)


def _loose_locks(pen: HeadPen, rng: np.random.Generator, look: Look, hair: FrontHair, cap: Area) -> None:
    """Narrow locks that lie over the cap and hang out of it; their upper end melts into the hair."""
    d = look.hair_design
    for _ in range(int(rng.integers(0, 4))):
        k = int(rng.integers(0, len(hair.tips)))
        if not _is_inner(hair, hair.tips[k]):
            continue
        tip = hair.tips[k] + rng.normal(0, (0.03, 0.02)) + (0.0, 0.02)
        spine = resampled(meridian(pen.space, hair.crown_xy, tip), 30)[: int(rng.integers(9, 20))]
        s = np.linspace(0, 1, len(spine))
        half = rng.uniform(0.012, 0.035) * np.sqrt(np.clip(s / 0.6, 0, 1)) * (1 - 0.55 * s)
        bend = rng.normal(0, 0.035) * (1 - s) ** 2
        shape = ribbon(spine + np.stack([bend, 0 * s], 1), half)
        if look.has_shadow:
            pen.shade(cap, shape + (0.012, 0.02), look.hair.shade)
        pen.area(shape, look.hair.normal)
        n = len(spine)
        edge = np.vstack([shape[:n][::-1], shape[n:][::-1]])
        pen.line(edge, look.hair, taper=(pen.style.taper, pen.style.taper) if d.strands > 0.3 else (0.2, 0.2))


def _is_inner(hair: FrontHair, p: NDArray[np.float64]) -> bool:
    """Away from the rims of the head, where strands would run together."""
    left, right = float(hair.silhouette[:, 0].min()), float(hair.silhouette[:, 0].max())
    return 0.13 < (float(p[0]) - left) / (right - left) < 0.87


def _ahoge(pen: HeadPen, rng: np.random.Generator, look: Look, hair: FrontHair) -> None:
    """A single lock that springs up from the crown and bends over."""
    root = hair.silhouette[np.argmin(hair.silhouette[:, 1])] + (rng.normal(0, 0.06), 0.03)
    out = float(rng.choice([-1.0, 1.0]))
    reach = rng.uniform(0.12, 0.28)
    spine = bezier(
        root,
        root + (out * 0.1 * reach, -reach),
        root + (out * 0.8 * reach, -1.1 * reach),
        root + (out * reach, -0.35 * reach),
        samples=24,
    )
    s = np.linspace(0, 1, 24)
    _spike(pen, look, ribbon(spine, 0.11 * reach * np.minimum(1, 0.5 + s) * np.sqrt(1 - s)))


def _spike(pen: HeadPen, look: Look, spike: Points) -> None:
    """A lock that stands off the head; its foot is not drawn, so that it grows out of the hair."""
    pen.area(spike, look.hair.normal)
    pen.line(spike, look.hair, taper=(0.1, 0.1))


def _strands(pen: HeadPen, rng: np.random.Generator, look: Look, hair: FrontHair, cap: Area) -> None:
    """Fine lines inside the hair, thin at both ends."""
    d = look.hair_design
    count = int((2 + 7 * d.strands) * (0.4 + pen.style.detail))
    for _ in range(count):
        k = int(rng.integers(0, len(hair.tips)))
        if not _is_inner(hair, hair.tips[k]):
            continue
        flow = meridian(pen.space, hair.crown_xy, hair.tips[k])
        start = rng.uniform(0.12, 0.5)
        end = min(start + rng.uniform(0.12, 0.4), 0.97)
        pen.line(part(flow, start, end), look.hair, width=0.8, taper=(0.5, 0.5), within=cap)


def _wedge(flow: Points, half: float, start: float, end: float) -> Points:
    """A leaf along the hair: widest a third of the way, pointed at both ends."""
    spine = resampled(part(flow, start, end), 14)
    s = np.linspace(0, 1, 14)
    return ribbon(spine, half * np.sin(np.pi * s**0.7) ** 0.8)


def _shade_cap(
    pen: HeadPen, rng: np.random.Generator, look: Look, hair: FrontHair, cap: Area, light: NDArray[np.float64]
) -> None:
    d, amount = look.hair_design, look.shade_amount
    away = float(-np.sign(light[0])) if abs(light[0]) > 0.12 else 1.0
    turn = 1.0 if light[0] > 0 else -1.0
    shapes: list[Points] = []
    deep: list[Points] = []
    if d.shade in ("side", "under") or amount > 0.6:
        shapes.append(_side_shade(pen, rng, look, hair, away, second=False))
        if look.has_second_shadow:
            deep.append(_side_shade(pen, rng, look, hair, away, second=True))
    if d.shade in ("tips", "under"):
        for notch in hair.notches[1:-1]:
            if rng.random() < 0.8:
                flow = resampled(
                    part(meridian(pen.space, hair.crown_xy, notch), 0.0, rng.uniform(0.2, 0.55)), 14
                )
                wide = (0.02 + 0.05 * amount) * rng.uniform(0.5, 1.3) * (1 - np.linspace(0, 1, 14)) ** 0.7
                foot = notch + np.array([-turn * wide[0] * 0.6, 0.3])
                side = flow - np.stack([turn * wide, 0 * wide], 1)
                shapes.append(np.vstack([flow, side[::-1], [foot], [notch + (0.0, 0.3)]]))
    pen.shade(cap, shapes, look.hair.shade)
    pen.shade(cap, deep, look.hair.shade2)


def _side_shade(
    pen: HeadPen, rng: np.random.Generator, look: Look, hair: FrontHair, away: float, *, second: bool
) -> Points:
    """Everything beyond a zigzag that runs down the side of the head."""
    yaw = np.degrees(pen.space.yaw_rad)
    border = away * (78 - 50 * look.shade_amount + (14 if second else 0)) - yaw
    teeth = int(rng.integers(3, 7))
    knots: list[NDArray[np.float64]] = []
    lines = [
        meridian(
            pen.space, hair.crown_xy, pen.space.around(border - away * turn, 0.3, look.hair_design.volume)[0]
        )[::-1]
        for turn in (0.0, rng.uniform(8, 18))
    ]
    for i in range(2 * teeth + 1):
        share = 0.16 + 0.84 * i / (2 * teeth)
        knots.append(part(lines[i % 2], 0.0, min(share + (0.1 if i % 2 else 0.0), 1.0))[-1])
    edge = smooth(np.array(knots), per_span=4, sharp=tuple(range(len(knots))))
    far = np.array([(away * 1.2, 1.2), (away * 1.2, -0.2), (hair.crown_xy[0] + away * 0.3, -0.9)])
    return np.vstack([edge, [(edge[-1][0], 1.2)], far])


def _shine(
    pen: HeadPen, rng: np.random.Generator, look: Look, hair: FrontHair, cap: Area, light: NDArray[np.float64]
) -> None:
    """A ring of light around the crown, or a few leaf-shaped glints."""
    d, yaw = look.hair_design, np.degrees(pen.space.yaw_rad)
    lean = float(light[0]) * 28

    def on(azimuth: float, share: float) -> NDArray[np.float64]:
        flow = meridian(pen.space, hair.crown_xy, pen.space.around(azimuth, 0.02, d.volume * 0.7)[0])[::-1]
        return part(flow, 0.0, share)[-1]

    height = rng.uniform(0.4, 0.56)
    if d.shine == "zigzag":
        start, stop = -68 + lean * 0.5, 68 + lean * 0.5
        pieces = int(rng.integers(1, 4))
        cuts = np.linspace(start, stop, pieces + 1)
        for a, b in itertools.pairwise(cuts):
            teeth = max(3, int((b - a) / rng.uniform(9, 16)))
            marks = np.linspace(a + 3, b - 3, 2 * teeth + 1)
            swell = np.sin(np.pi * np.linspace(0, 1, 2 * teeth + 1)) ** 0.5
            deep = rng.uniform(0.05, 0.13, 2 * teeth + 1) * np.where(np.arange(2 * teeth + 1) % 2, 1.0, 0.25)
            rise = rng.uniform(0.02, 0.06, 2 * teeth + 1) * np.where(np.arange(2 * teeth + 1) % 2, 0.5, 1.0)
            low = [on(m - yaw, height + k * w) for m, k, w in zip(marks, deep, swell, strict=True)]
            high = [on(m - yaw, height - k * w) for m, k, w in zip(marks, rise, swell, strict=True)]
            pen.light(cap, np.array(low + high[::-1]), look.hair.light)
        return
    for _ in range(int(rng.integers(3, 8))):
        azimuth = rng.normal(lean, 30) - yaw
        flow = meridian(pen.space, hair.crown_xy, pen.space.around(azimuth, 0.02, d.volume * 0.7)[0])
        start = rng.uniform(0.3, 0.5) if d.shine == "patches" else rng.uniform(0.02, 0.2)
        pen.light(
            cap,
            _wedge(flow, rng.uniform(0.006, 0.018), start, start + rng.uniform(0.1, 0.22)),
            look.hair.light,
        )
