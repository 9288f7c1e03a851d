"""The trunk of a figure as a surface that clothes are laid on."""

from __future__ import annotations

import numpy as np

from douga_training.simulate.curves import Points, smooth
from douga_training.simulate.poses import Measures, Skeleton


class Torso:
    """The trunk as seen: every point of its surface by angle and height.

    t runs from 0 at the base of the neck to 1 at the crotch. `at(theta, t)` gives the pixel of the surface
    point at theta radians from the middle of the side that faces the camera (chest, or back when seen from
    behind).
    """

    def __init__(
        self, bones: Skeleton, size: Measures, neck_half_px: float, loose_px: float, behind: bool
    ) -> None:
        self.top, self.bottom, self.unit_px = bones.neck_xy, bones.pelvis_xy, bones.unit_px
        spine = self.bottom - self.top
        self.length = max(float(np.linalg.norm(spine)), 1e-6)
        self.along: Points = spine / self.length
        self.across: Points = np.array([self.along[1], -self.along[0]])
        self.behind = behind
        self.yaw = float((bones.yaw + np.pi / 2) % np.pi - np.pi / 2)
        ahead = np.sin(bones.yaw)  # how far the chest points to the right
        side, front = abs(np.cos(self.yaw)), abs(np.sin(self.yaw))
        u, s = bones.unit_px, size
        rows = [
            # height, half width, half depth, how far the front and the back stand out
            (-0.03, 0.0, 0.0, 0.0, 0.0),
            (0.035, s.shoulder * 0.56, s.depth * 0.6, 0.0, 0.02),
            (0.085, s.shoulder * 0.93, s.depth * 0.8, 0.02, 0.05),
            (0.15, s.shoulder * 0.97, s.depth * 0.9, 0.05 * s.depth, 0.06),
            (0.26, s.chest, s.depth, 0.1 * s.depth + s.bust * 0.6, 0.04),
            (0.37, s.chest * 0.97, s.depth, 0.08 * s.depth + s.bust, 0.0),
            (0.5, (s.chest + s.waist) / 2, s.depth * 0.9, s.bust * 0.25, -0.03),
            (0.66, s.waist, s.depth * 0.84, 0.0, -0.04),
            (0.85, s.hip * 0.95, s.depth * 0.9, 0.0, 0.03),
            (1.0, s.hip, s.depth * 0.95, 0.0, 0.08 * s.depth),
            (1.25, s.hip * 1.02, s.depth * 0.95, 0.0, 0.02),
        ]
        self._t = np.array([r[0] for r in rows])
        half = np.array([np.hypot(r[1] * side, r[2] * front) for r in rows]) * u
        half += loose_px * np.interp(self._t, [0.0, 0.15, 0.6], [0.0, 0.6, 1.0])
        half[0] = neck_half_px
        half[1] = max(half[1], neck_half_px * 1.12)
        front_out = np.array([r[3] for r in rows]) * u * ahead
        back_out = np.array([r[4] for r in rows]) * u * -ahead
        right, left = (front_out, back_out) if ahead > 0 else (back_out, front_out)
        self._right, self._left = half + right, -half + left

    def edge(self, side: int, t: float | Points) -> Points:
        """Contour points of the left (-1) or right (+1) side at heights t."""
        t = np.atleast_1d(np.asarray(t, np.float64))
        x = np.interp(t, self._t, self._right if side > 0 else self._left)
        return self.top + t[:, None] * self.length * self.along + x[:, None] * self.across

    def contour(self, side: int, start: float, end: float) -> Points:
        """Smooth contour between two heights."""
        inner = self._t[(self._t > start + 0.02) & (self._t < end - 0.02)]
        return smooth(self.edge(side, np.array([start, *inner, end])), per_span=6)

    def at(self, theta: float, t: float) -> Points:
        """Surface point; theta beyond the visible half stays at the contour."""
        a = float(np.clip(theta + self.yaw, -np.pi / 2, np.pi / 2))
        left, right = self.edge(-1, t)[0], self.edge(1, t)[0]
        return (left + right) / 2 + (right - left) / 2 * np.sin(a)

    def shows(self, theta: float) -> bool:
        """Whether this direction of the surface faces the camera well enough to carry drawn detail."""
        return abs(theta + self.yaw) < 1.35

    def path(self, *theta_t: tuple[float, float], per_span: int = 8) -> Points:
        """Smooth curve through surface points."""
        return smooth(np.array([self.at(a, t) for a, t in theta_t]), per_span=per_span)

    def poly(self, *theta_t: tuple[float, float]) -> Points:
        """Polygon through surface points, with corners."""
        return np.array([self.at(a, t) for a, t in theta_t])

    def hem(self, t: float, bulge: float = 0.035) -> Points:
        """Curve from the right contour to the left one across the front."""
        right, left = self.edge(1, t)[0], self.edge(-1, t)[0]
        middle = (right + left) / 2 + self.along * bulge * self.length
        q = (right * 0.27 + left * 0.73) + self.along * bulge * self.length * 0.75
        p = (right * 0.73 + left * 0.27) + self.along * bulge * self.length * 0.75
        return smooth(np.array([right, p, middle, q, left]), per_span=5)
