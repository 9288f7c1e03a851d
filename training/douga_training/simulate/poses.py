"""Poses: a small skeleton in space, turned to the camera and laid flat on the frame."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike

from douga.errors import InputError
from douga_training.simulate.chance import pick
from douga_training.simulate.curves import Points

Angles = tuple[float, float, float, float]
SIDES = (-1, 1)  # the side that lies left or right on screen when the figure faces the camera


@dataclass(frozen=True)
class Pose:
    """Directions of the limbs in degrees: (outwards, forwards) of the upper part, then of the lower part.

    arms, legs: for the left and the right side. hands: names of `hands.draw_hand`. lean, stoop: of the spine
    sideways and forwards, in degrees. roll: of the whole figure, in degrees. behind: seen from behind.
    over_face: arms that are drawn over the head.
    """

    name: str
    arms: tuple[Angles, Angles]
    legs: tuple[Angles, Angles]
    hands: tuple[str, str] = ("relaxed", "relaxed")
    lean: float = 0.0
    stoop: float = 0.0
    roll: float = 0.0
    behind: bool = False
    over_face: tuple[bool, bool] = (False, False)
    min_turn: float = 0.0


_STAND: Angles = (5, 2, 2, 0)
_HANG: Angles = (10, -4, 4, 8)
_POSES: dict[str, Pose] = {
    "standing": Pose("standing", (_HANG, _HANG), (_STAND, _STAND)),
    "contrapposto": Pose("contrapposto", (_HANG, (18, -8, 2, 14)), ((2, 0, -2, -3), (11, 8, 6, -6)), lean=4),
    "walking": Pose(
        "walking", ((8, 26, 2, 42), (8, -26, 6, -6)), ((2, -20, 2, -34), (2, 24, 2, 6)), min_turn=0.3
    ),
    "running": Pose(
        "running",
        ((10, 48, -12, 130), (12, -55, -4, 32)),
        ((2, -28, 2, -95), (2, 58, 2, -14)),
        hands=("fist", "fist"),
        stoop=18,
        min_turn=0.4,
    ),
    "sitting": Pose(
        "sitting", ((10, 22, -12, 58), (10, 22, -12, 58)), ((9, 78, 3, 4), (9, 80, 3, -4)), min_turn=0.45
    ),
    "arms up": Pose(
        "arms up", ((142, 0, 168, 10), (138, 0, 165, 10)), (_STAND, _STAND), hands=("open", "open")
    ),
    "one arm up": Pose("one arm up", (_HANG, (125, 8, 172, 20)), (_STAND, _STAND), hands=("relaxed", "open")),
    "arms crossed": Pose(
        "arms crossed",
        ((14, 14, -72, 48), (14, 16, -68, 52)),
        (_STAND, (8, 6, 6, 2)),
        hands=("mitten", "mitten"),
    ),
    "hand on hip": Pose(
        "hand on hip",
        (_HANG, (48, -14, -52, 10)),
        ((3, 0, 0, -3), (10, 6, 6, -4)),
        hands=("relaxed", "fist"),
        lean=-4,
    ),
    "hands on hips": Pose(
        "hands on hips",
        ((46, -12, -54, 8), (46, -12, -54, 8)),
        ((8, 2, 5, 0), (8, 2, 5, 0)),
        hands=("fist", "fist"),
    ),
    "pointing": Pose(
        "pointing", (_HANG, (74, 30, 84, 24)), (_STAND, (9, 8, 5, 0)), hands=("relaxed", "point")
    ),
    "leaning": Pose(
        "leaning",
        ((14, 38, 4, 50), (14, 34, 4, 48)),
        ((6, 14, 2, -6), (7, 18, 3, -4)),
        stoop=34,
        min_turn=0.5,
    ),
    "guard": Pose(
        "guard",
        ((26, 30, -24, 128), (30, 24, -14, 132)),
        ((14, 22, 4, -16), (15, -8, 9, -22)),
        hands=("fist", "fist"),
        stoop=8,
        over_face=(False, False),
    ),
    "holding": Pose(
        "holding", (_HANG, (14, 8, -6, 96)), (_STAND, _STAND), hands=("relaxed", "hold"), min_turn=0.15
    ),
    "hands joined": Pose(
        "hands joined", ((16, 12, -38, 72), (16, 12, -38, 74)), (_STAND, _STAND), hands=("mitten", "mitten")
    ),
    "hand to face": Pose(
        "hand to face",
        (_HANG, (22, 24, -24, 146)),
        (_STAND, _STAND),
        hands=("relaxed", "relaxed"),
        over_face=(False, True),
    ),
    "jumping": Pose(
        "jumping",
        ((112, 10, 138, 16), (104, 0, 142, 10)),
        ((16, 42, 4, -62), (12, 4, 8, -52)),
        hands=("open", "fist"),
        lean=6,
    ),
    "behind": Pose("behind", (_HANG, _HANG), (_STAND, _STAND), behind=True),
    "walking away": Pose(
        "walking away", ((8, 20, 2, 34), (8, -20, 6, -4)), ((2, -14, 2, -28), (2, 18, 2, 4)), behind=True
    ),
    "lying": Pose("lying", ((34, 4, 24, 20), (20, 0, 50, 10)), ((7, 10, 3, -18), (12, 26, 6, -20)), roll=84),
}
POSES = tuple(_POSES)
_WEIGHTS = {
    "standing": 3.0,
    "contrapposto": 2.0,
    "walking": 1.6,
    "lying": 0.35,
    "jumping": 0.6,
    "arms up": 0.6,
}


def choose_pose(rng: np.random.Generator, name: str | None, *, behind: bool | None = None) -> Pose:
    """A pose by name, or one that is common in frames; mirrored at random and loosened by a few degrees."""
    names = [n for n in POSES if behind is None or _POSES[n].behind == behind]
    if name is None:
        name = pick(rng, {n: _WEIGHTS.get(n, 1.0) for n in names})
    if name not in _POSES:
        raise InputError(f"pose: got {name!r}, expected one of {', '.join(POSES)}")
    pose = _POSES[name]
    arms, legs, hands, over = pose.arms, pose.legs, pose.hands, pose.over_face
    sign = 1.0
    if rng.random() < 0.5:
        arms, legs, hands, over, sign = arms[::-1], legs[::-1], hands[::-1], over[::-1], -1.0
    return Pose(
        pose.name,
        (_loosened(rng, arms[0], 5.0), _loosened(rng, arms[1], 5.0)),
        (_loosened(rng, legs[0], 2.5), _loosened(rng, legs[1], 2.5)),
        hands,
        lean=sign * pose.lean + float(rng.normal(0, 2.5)),
        stoop=pose.stoop + float(rng.normal(1, 2)),
        roll=sign * pose.roll + float(rng.normal(0, 2)),
        behind=pose.behind,
        over_face=over,
        min_turn=pose.min_turn,
    )


def _loosened(rng: np.random.Generator, angles: Angles, spread: float) -> Angles:
    a, b, c, d = np.asarray(angles) + rng.normal(0, spread, 4)
    return float(a), float(b), float(c), float(d)


@dataclass(frozen=True)
class Measures:
    """Lengths and half widths of a figure in head heights."""

    neck: float
    torso: float
    upper_arm: float
    forearm: float
    hand: float
    thigh: float
    shin: float
    foot: float
    shoulder: float
    chest: float
    waist: float
    hip: float
    depth: float
    bust: float
    arm: float
    wrist: float
    leg: float
    ankle: float


def measures(heads_tall: float, sex: str, rng: np.random.Generator) -> Measures:
    """Proportions of a figure of this many heads, 2.3 (chibi) to 8.5."""
    rest = float(np.clip(heads_tall, 2.3, 8.5)) - 1.0
    male, build = sex == "male", float(rng.normal(1.0, 0.06))
    shoulder = ((0.2 + 0.105 * rest) if male else (0.21 + 0.078 * rest)) * build
    leg_share = 0.56 if rest > 3 else 0.5
    return Measures(
        neck=0.04 + 0.03 * rest,
        torso=0.385 * rest if rest > 3 else 0.43 * rest,
        upper_arm=0.225 * rest,
        forearm=0.2 * rest,
        hand=0.13 + 0.085 * rest,
        thigh=leg_share * rest * 0.5,
        shin=leg_share * rest * 0.48,
        foot=0.12 + 0.11 * rest,
        shoulder=shoulder,
        chest=shoulder * (0.84 if male else 0.8),
        waist=shoulder * (0.74 if male else 0.62) if rest > 3 else shoulder * 0.95,
        hip=shoulder * (0.76 if male else 0.88) if rest > 3 else shoulder * 1.02,
        depth=shoulder * 0.56,
        bust=0.0 if male or rest < 3 else float(rng.uniform(0.02, 0.2)),
        arm=((0.075 + 0.0145 * rest) if not male else (0.07 + 0.021 * rest)) * build,
        wrist=0.05 + 0.009 * rest,
        leg=((0.1 + 0.03 * rest) if not male else (0.1 + 0.028 * rest)) * build,
        ankle=0.06 + 0.009 * rest,
    )


@dataclass(frozen=True)
class Skeleton:
    """Joints in frame pixels and their nearness. Arrays of limbs: [side][joint] with side 0 on the left.

    arms: shoulder, elbow, wrist. legs: hip, knee, ankle. neck_xy, pelvis_xy: ends of the spine. yaw: of the
    body, in radians, positive to the right. near: depth in head heights towards the camera, of the same
    joints.
    """

    neck_xy: Points
    pelvis_xy: Points
    arms: tuple[Points, Points]
    legs: tuple[Points, Points]
    arms_near: tuple[Points, Points]
    legs_near: tuple[Points, Points]
    yaw: float
    roll: float
    pitch: float
    unit_px: float
    origin_xy: Points
    down: Points = field(default_factory=lambda: np.array([0.0, 1.0]))

    def project(self, body: ArrayLike) -> Points:
        """Body coordinates (side, down, forward; head heights; relative to the neck's base) to frame
        pixels.
        """
        return _project(np.asarray(body, np.float64).reshape(-1, 3), self.yaw, self.pitch, self.roll)[0] * (
            self.unit_px
        ) + (self.origin_xy)


def _project(body: Points, yaw: float, pitch: float, roll: float) -> tuple[Points, Points]:
    x = body[:, 0] * np.cos(yaw) + body[:, 2] * np.sin(yaw)
    z = -body[:, 0] * np.sin(yaw) + body[:, 2] * np.cos(yaw)
    y = body[:, 1] * np.cos(pitch) + z * np.sin(pitch)
    near = z * np.cos(pitch) - body[:, 1] * np.sin(pitch)
    c, s = np.cos(roll), np.sin(roll)
    return np.stack([x * c - y * s, x * s + y * c], 1), near


def _direction(side: int, outwards: float, forwards: float) -> Points:
    a, f = np.radians(outwards), np.radians(forwards)
    return np.array([side * np.sin(a), np.cos(a) * np.cos(f), np.cos(a) * np.sin(f)])


def _chain(start: Points, side: int, angles: Angles, lengths: tuple[float, float]) -> Points:
    middle = start + _direction(side, angles[0], angles[1]) * lengths[0]
    return np.array([start, middle, middle + _direction(side, angles[2], angles[3]) * lengths[1]])


def build_skeleton(
    pose: Pose, size: Measures, neck_xy: Points, unit_px: float, *, yaw: float, pitch: float, roll: float
) -> Skeleton:
    """Hang the posed body below the base of the neck."""
    lean, stoop = np.radians(pose.lean), np.radians(pose.stoop)
    spine = np.array([np.sin(lean), np.cos(lean) * np.cos(stoop), -np.cos(lean) * np.sin(stoop)])
    pelvis = spine * size.torso
    reach = size.shoulder - size.arm * 0.75
    arms, legs = [], []
    for i, side in enumerate(SIDES):
        lift = 0.1 * size.shoulder * np.clip((pose.arms[i][0] - 60) / 60, 0, 1)
        top = spine * (size.arm * 0.95 + 0.05 * size.torso - lift) + np.array([side * reach, 0.0, 0.0])
        arms.append(_chain(top, side, pose.arms[i], (size.upper_arm, size.forearm)))
        hip = pelvis * 0.94 + np.array([side * size.hip * 0.5, 0.0, 0.0])
        legs.append(_chain(hip, side, pose.legs[i], (size.thigh, size.shin)))
    flat = [_project(limb, yaw, pitch, roll) for limb in (*arms, *legs, pelvis[None])]
    px = [xy * unit_px + neck_xy for xy, _ in flat]
    return Skeleton(
        neck_xy=np.asarray(neck_xy, np.float64),
        pelvis_xy=px[4][0],
        arms=(px[0], px[1]),
        legs=(px[2], px[3]),
        arms_near=(flat[0][1], flat[1][1]),
        legs_near=(flat[2][1], flat[3][1]),
        yaw=yaw,
        roll=roll,
        pitch=pitch,
        unit_px=unit_px,
        origin_xy=np.asarray(neck_xy, np.float64),
    )
