"""What the parts of one figure share while they are drawn: design, pose, and where everything lies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from douga_training.simulate.curves import Points, rotated
from douga_training.simulate.head import Head
from douga_training.simulate.limbs import Limb
from douga_training.simulate.look import LineStyle, Look
from douga_training.simulate.outfits import Outfit, choose_outfit
from douga_training.simulate.pen import Part, Pen
from douga_training.simulate.poses import Measures, Pose, Skeleton, build_skeleton, measures
from douga_training.simulate.sheet import Rgb, Sheet
from douga_training.simulate.torso import Torso


@dataclass(frozen=True)
class Place:
    """Where a drawn figure stands, in px. head_px: crown to chin. roll_rad: of the head, clockwise on screen.

    hands_xy: middle of the palms. hair: its paints. ink, line_px: of its visible lines.
    """

    head_xy: tuple[float, float]
    head_px: float
    roll_rad: float
    hands_xy: tuple[tuple[float, float], ...]
    hair: tuple[Rgb, ...]
    ink: Rgb
    line_px: float

    def to_px(self, heads: ArrayLike) -> Points:
        """Points in head heights around the head's middle, upright, to px. (N, 2)."""
        return rotated(heads, self.roll_rad) * self.head_px + np.asarray(self.head_xy)

    def moved(self, x: float, y: float) -> Place:
        """The same place on a sheet whose origin lies at (-x, -y)."""
        hands = tuple((a + x, b + y) for a, b in self.hands_xy)
        return replace(self, head_xy=(self.head_xy[0] + x, self.head_xy[1] + y), hands_xy=hands)


class Figure:
    """One figure on one sheet. u: head height in pixels. cloth: what later parts throw their shadows on."""

    def __init__(
        self, sheet: Sheet, rng: np.random.Generator, look: Look, style: LineStyle,
        centre_xy: Sequence[float], height_px: float, turn: float, roll_rad: float, pose: Pose,
    ) -> None:  # fmt: skip
        self.sheet, self.rng, self.look, self.pose, self.u = sheet, rng, look, pose, float(height_px)
        self.head_xy: Points = np.asarray(centre_xy, np.float64)
        self.pen = Pen(sheet, rng, look, style, height_px)
        self.outfit: Outfit = choose_outfit(rng, look)
        lying = abs(pose.roll) > 45
        body_roll = 0.25 * roll_rad + np.radians(pose.roll)
        self.roll = roll_rad + (np.radians(pose.roll) if lying else 0.0)
        if pose.min_turn > abs(turn):
            turn = pose.min_turn * (1 if turn + rng.normal(0, 0.05) > 0 else -1)
        self.turn = float(turn)
        yaw = float(np.clip(turn * rng.uniform(0.55, 1.05) + rng.normal(0, 0.08), -0.85, 0.85)) * np.pi / 2
        head_turn = -self.turn if pose.behind else self.turn
        self.head = Head(rng, look, style, centre_xy, height_px, head_turn, self.roll)
        small = rng.random() < 0.07  # a comic scene draws anybody as a doll of two or three heads
        heads = float(rng.uniform(2.4, 3.4)) if small else look.heads_tall
        self.size: Measures = measures(heads, look.sex, rng)
        down = np.array([-np.sin(body_roll), np.cos(body_roll)])
        neck_base = self.head.neck_xy + down * self.size.neck * height_px
        pitch = float(np.clip(rng.normal(0.1, 0.09), -0.05, 0.35))
        self.bones: Skeleton = build_skeleton(
            pose,
            self.size,
            neck_base,
            height_px,
            yaw=yaw + (np.pi if pose.behind else 0.0),
            pitch=pitch,
            roll=body_roll,
        )
        loose = height_px * 0.05 * self.outfit.loose
        neck_half = min(self.head.neck_width_px * 0.5, self.size.shoulder * height_px * 0.5)
        self.torso = Torso(self.bones, self.size, neck_half * 1.15, loose, pose.behind)
        self.neck_half = neck_half
        self.arms = [self._limb(j, self.size.arm, self.size.wrist, 0.82) for j in self.bones.arms]
        self.legs = [self._limb(j, self.size.leg, self.size.ankle, 0.66) for j in self.bones.legs]
        self.trunk: Points = np.vstack(
            [self.torso.contour(1, 0.0, 1.0), self.torso.contour(-1, 0.0, 1.0)[::-1]]
        )
        self.cloth: list[Part] = []  # what the head and the arms throw their shadows on

    def _limb(self, joints: Points, root: float, tip: float, middle: float) -> Limb:
        r, m, t = root * self.u, root * middle * self.u, tip * self.u
        if tip == self.size.ankle:
            return Limb(joints, (0.0, 0.5, 1.0, 1.3, 1.75, 2.0), (r, r * 0.88, m, m * 1.04, t * 1.15, t))
        return Limb(joints, (0.0, 0.5, 1.0, 1.3, 2.0), (r, r * 0.92, m, m * 1.0, t))

    @property
    def place(self) -> Place:
        """Where the figure stands, for what is laid over it later."""
        tips = [j[2] + (j[2] - j[1]) * 0.25 for j in self.bones.arms]
        return Place(
            head_xy=(float(self.head_xy[0]), float(self.head_xy[1])),
            head_px=self.u,
            roll_rad=float(self.roll),
            hands_xy=tuple((float(x), float(y)) for x, y in tips),
            hair=tuple(
                dict.fromkeys(getattr(self.look.hair, k) for k in ("normal", "shade", "shade2", "light"))
            ),
            ink=self.pen.style.ink(self.look.hair),
            line_px=self.pen.style.width_px,
        )
