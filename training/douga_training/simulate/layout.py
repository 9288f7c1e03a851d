"""What is in a picture and where: frame size, shot, who stands in it. Numbers only, nothing is drawn here."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from douga.errors import InputError

SHOTS = ("extreme_close_up", "close_up", "medium", "long")
EFFECTS = "effects"  # a cut of effects that fill the frame; drawn where it is asked for
_SHOT_SHARES = (0.12, 0.33, 0.33, 0.22)
_FRAME_SIZES = ((1920, 1080), (1600, 900), (1280, 720))
_FRAME_SHARES = (0.8, 0.1, 0.1)
THINGS = ("animal", "prop", "effect", "blob")
_HEAD_SHARE = {
    "extreme_close_up": (0.85, 1.9),
    "close_up": (0.36, 0.75),
    "medium": (0.15, 0.31),
    "long": (0.04, 0.12),
}
_HEAD_Y = {
    "extreme_close_up": (0.4, 0.65),
    "close_up": (0.3, 0.58),
    "medium": (0.16, 0.45),
    "long": (0.12, 0.6),
}
_HEADS_TALL = 6.3
_CROWD = {
    "extreme_close_up": ((1, 2), (0.92, 0.08)),
    "close_up": ((1, 2, 3), (0.7, 0.25, 0.05)),
    "medium": ((1, 2, 3, 4), (0.45, 0.33, 0.15, 0.07)),
    "long": ((1, 2, 3, 4, 7), (0.35, 0.28, 0.17, 0.12, 0.08)),
}


@dataclass(frozen=True)
class Actor:
    """Something drawn. kind: "figure" or one of THINGS. size_px: head height of a figure, height of a thing.

    turn: -1 profile to the left, 0 frontal, 1 profile to the right. roll_rad: clockwise on screen.
    """

    kind: str
    xy: tuple[float, float]
    size_px: float
    turn: float = 0.0
    roll_rad: float = 0.0


@dataclass(frozen=True)
class Layout:
    """A picture before it is drawn. actors: back to front; empty for a picture of the background alone."""

    size_wh: tuple[int, int]
    shot: str
    actors: tuple[Actor, ...]
    roll_rad: float = 0.0


def sample_layout(
    rng: np.random.Generator, *, size_wh: tuple[int, int] | None = None, shot: str | None = None
) -> Layout:
    """Choose a picture. A shot that is asked for, one of SHOTS, always has a character in it; EFFECTS has
    large effects, and a character now and then.

    Raises InputError for an unknown shot.
    """
    if shot is not None and shot not in (*SHOTS, EFFECTS):
        raise InputError(f"shot: got {shot!r}, expected one of {', '.join((*SHOTS, EFFECTS))}")
    drawn_size = _FRAME_SIZES[int(rng.choice(len(_FRAME_SIZES), p=_FRAME_SHARES))]
    size = size_wh or drawn_size
    if shot == EFFECTS:
        return _cut_of_effects(rng, size)
    drawn_shot = str(rng.choice(SHOTS, p=_SHOT_SHARES))
    content = str(rng.choice(["figures", "things", "both", "empty"], p=[0.81, 0.055, 0.085, 0.05]))
    if shot is not None and content in ("things", "empty"):
        content = "figures"
    kind = shot or drawn_shot
    roll = float(rng.normal(0, 0.12)) if rng.random() < 0.2 else 0.0
    actors: list[Actor] = []
    if content in ("figures", "both"):
        actors = _figures(rng, size, kind, roll)
    if content in ("things", "both"):
        for _ in range(int(rng.integers(1, 3 if content == "both" else 4))):
            thing = _thing(rng, size, kind)
            actors.insert(int(rng.integers(0, len(actors) + 1)), thing)
    return Layout(size, kind if content != "empty" else "empty", tuple(actors), roll)


def _cut_of_effects(rng: np.random.Generator, size_wh: tuple[int, int]) -> Layout:
    w, h = size_wh
    actors = _figures(rng, size_wh, str(rng.choice(SHOTS[1:])), 0.0) if rng.random() < 0.3 else []
    for _ in range(int(rng.integers(1, 7))):
        size = h * float(np.exp(rng.uniform(np.log(0.35), np.log(1.8))))
        xy = float(rng.uniform(0, 1)) * w, float(rng.uniform(0.2, 1)) * h
        actors.insert(int(rng.integers(0, len(actors) + 1)), Actor("effect", xy, size))
    return Layout(size_wh, EFFECTS, tuple(actors))


def _figures(rng: np.random.Generator, size_wh: tuple[int, int], shot: str, roll: float) -> list[Actor]:
    w, h = size_wh
    counts, shares = _CROWD[shot]
    count = int(rng.choice(counts, p=shares))
    low, high = _HEAD_SHARE[shot]
    head = h * float(np.exp(rng.uniform(np.log(low), np.log(high))))
    line_y = float(rng.uniform(*_HEAD_Y[shot]))
    if shot == "long" and rng.random() < 0.8:  # on their feet, in the lower half, or cut off below
        line_y = max(0.06, float(rng.uniform(0.62, 1.15)) - _HEADS_TALL * head / h)
    places = (
        np.arange(count) + rng.uniform(0.12, 0.88, count)
    ) / count  # one in each strip, jittered: some overlap
    spread = 0.7 if shot == "extreme_close_up" else 1.08
    far = np.sort(rng.uniform(0.78, 1.2, count))  # small ones are far away and drawn first
    actors = []
    for place, near in zip(rng.permutation(places), far, strict=True):
        x = w * (0.5 + (float(place) - 0.5) * spread)
        y = h * (line_y + float(rng.normal(0, 0.035)) + 0.25 * (float(near) - 1) * (shot == "long"))
        turn = float(np.clip(rng.normal(0, 0.45), -1, 1))
        actors.append(Actor("figure", (x, y), head * float(near), turn, roll + float(rng.normal(0, 0.09))))
    return [replace(a, xy=_rolled(a.xy, roll, size_wh)) for a in actors]


def _rolled(xy: tuple[float, float], roll: float, size_wh: tuple[int, int]) -> tuple[float, float]:
    """Turn a position about the middle of the frame, as a tilted camera does."""
    cx, cy = size_wh[0] / 2, size_wh[1] / 2
    x, y, c, s = xy[0] - cx, xy[1] - cy, np.cos(roll), np.sin(roll)
    return float(cx + c * x - s * y), float(cy + s * x + c * y)


def _thing(rng: np.random.Generator, size_wh: tuple[int, int], shot: str) -> Actor:
    w, h = size_wh
    kind = str(rng.choice(THINGS, p=[0.32, 0.3, 0.2, 0.18]))
    share = float(np.exp(rng.uniform(np.log(0.1), np.log(0.75 if shot != "long" else 0.35))))
    xy = float(rng.uniform(0.05, 0.95)) * w, float(rng.uniform(0.3, 0.9)) * h
    return Actor(kind, xy, share * h, 0.0, 0.0)
