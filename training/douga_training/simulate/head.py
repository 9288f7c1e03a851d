"""A drawn head: face, eyes and hair of a character, from a speck in a crowd to a close-up of the eyes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from douga_training.simulate import accessories, eyes, face, hair, hair_back, hair_locks, hair_shape
from douga_training.simulate.curves import Points
from douga_training.simulate.eyes import Eye
from douga_training.simulate.head_pen import HeadPen, HeadSpace
from douga_training.simulate.look import LineStyle, Look
from douga_training.simulate.sheet import Area, Sheet


class Head:
    """A head of a character in frame coordinates.

    centre_xy: middle of the head. height_px: crown of the skull to chin, 20 to 2500. turn: -1 profile to the
    left, 0 frontal, 1 profile to the right. roll_rad: clockwise on screen. Order: draw_back, the body,
    draw_front. neck_xy: where the neck meets the jaw; neck_width_px there; jaw_points: (N, 2) from the far
    temple over the chin to the near ear.
    """

    def __init__(
        self,
        rng: np.random.Generator,
        look: Look,
        style: LineStyle,
        centre_xy: Sequence[float],
        height_px: float,
        turn: float = 0.0,
        roll_rad: float = 0.0,
    ) -> None:
        self.look, self.style = look, style
        self.space = HeadSpace(
            centre_xy=(float(centre_xy[0]), float(centre_xy[1])),
            height_px=float(height_px),
            roll_rad=float(roll_rad),
            facing=-1 if turn < 0 else 1,
            turn=min(abs(float(turn)), 1.0),
            pitch=float(np.clip(rng.normal(0, 0.4), -1, 1)),
        )
        self._light = self.space.direction(look.light_xy)
        # Each part draws from its own stream, so that a change in one leaves the others as they are.
        self._streams = rng.spawn(4)
        self._contour = face.outline(self.space, look.face)
        self._front = hair_shape.build_front(
            self._streams[0], self.space, look.hair_design, look.face.eye_y - look.face.eye_height / 2
        )
        self._eye_design = eyes.design_eyes(self._streams[2], look, is_profile=self.space.is_profile)
        self.jaw_points = self.space.place(self._contour)
        neck_x = -0.14 if self.space.is_profile else -0.12 * self.space.turn
        self.neck_xy: Points = self.space.place([(neck_x, 0.40)])[0]
        width = (0.30 if look.sex == "female" else 0.38) + 0.05 * look.age * (look.sex == "male")
        self.neck_width_px = width * float(height_px)

    def draw_back(self, sheet: Sheet) -> None:
        """Hair behind the body."""
        pen = HeadPen(sheet, self.space, self.style)
        hair_back.draw_back_hair(pen, self._streams[1], self.look, self._front, self._light)

    def draw_front(self, sheet: Sheet) -> None:
        """Ears, face, features, hair in front."""
        pen = HeadPen(sheet, self.space, self.style)
        look, rng = self.look, self._streams[2]
        skin = [a for side in (1, -1) if (a := face.draw_ear(pen, look, side)) is not None]
        face_area = self._draw_skin(pen, skin)
        self._draw_features(pen, face_area)
        ear_x = -0.1 if self.space.is_profile else float(self._contour[-1, 0])
        if "glasses" in look.face.extras and pen.px(1) > 45:
            accessories.draw_glasses(pen, look, self._eyes(), ear_x)
        if "earring" in look.face.extras:
            accessories.draw_earring(pen, look, (ear_x - 0.02, 0.22))
        hair_locks.draw_side_locks(pen, rng, look, self._light)
        hair.draw_front_hair(pen, self._streams[3], look, self._front, self._light)
        hair_back.draw_near_tails(pen, rng, look, self._front, self._light)
        accessories.draw_on_hair(pen, rng, look, self._front, look.face.extras)
        if look.face.brow_over_hair:
            self._draw_brows(pen)
        if look.face.eye_over_hair:
            for eye in self._eyes():
                eyes.draw_lid_over_hair(pen, look, eye, self._eye_design)

    def _draw_skin(self, pen: HeadPen, ears: list[Area]) -> Area:
        look = self.look
        if self.space.is_profile:
            top = np.array([(-0.1, -0.35), (0.1, -0.46), (0.3, -0.4)])
        else:
            top = np.array(
                [(self._contour[-1, 0], -0.3), (-0.15, -0.45), (0.2, -0.45), (self._contour[0, 0], -0.3)]
            )
        area = pen.area(np.vstack([self._contour, top]), look.skin.normal)
        if look.has_shadow and pen.px(1) > 36:
            face.shade_skin(pen, look, area, ears, self._contour, self._front.shapes, self._light)
        if self.space.is_profile:
            pen.line(self._contour[: int(len(self._contour) * 0.86)], look.skin, taper=(0.0, 0.05))
        else:
            pen.line(self._contour, look.skin)
        return area

    def _eyes(self) -> list[Eye]:
        """Far and near eye; only the near one in profile."""
        f, s = self.look.face, self.space
        y = f.eye_y + 0.04 * s.pitch
        if s.is_profile:
            return [Eye(0.272, y, f.eye_width * 0.62, f.eye_height, -1, f.eye_slant * 0.5, is_profile=True)]
        t = s.turn
        middle = 0.2 * t
        near = Eye(
            middle - f.eye_gap * (1 - 0.12 * t),
            y,
            f.eye_width * (1 - 0.1 * t),
            f.eye_height,
            -1,
            f.eye_slant,
            is_profile=False,
        )
        far_w = f.eye_width * (1 - 0.55 * t)
        edge = face.far_edge_x(self._contour, y) - 0.016
        far_x = min(middle + f.eye_gap * (1 - 0.75 * t), edge - 0.55 * far_w)
        return [Eye(far_x, y, far_w, f.eye_height, 1, f.eye_slant, is_profile=False), near]

    def eye_boxes(self) -> list[Points]:
        """Rectangles around the eyes and their lids, (4, 2) frame pixels each."""
        corners = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)])
        return [self.space.place(corners * (0.75 * e.w, 0.75 * e.h) + (e.x, e.y)) for e in self._eyes()]

    def _draw_features(self, pen: HeadPen, face_area: Area) -> None:
        f, s = self.look.face, self.space
        pair = self._eyes()
        low = pair[0].y + f.eye_height / 2
        nose_y = max(0.265 + 0.03 * s.pitch, low + 0.015)
        mouth_y = float(np.clip(nose_y + 0.095, 0.34, 0.4))
        for eye in pair:
            cheek = eye.x + eye.side * 0.02
            face.draw_blush(pen, self.look, face_area, cheek, low + 0.045, eye.w / f.eye_width)
        face.draw_nose(pen, self.look, face_area, 0.245 * s.turn, nose_y)
        face.draw_mouth(
            pen, self.look, 0.235 * s.turn if not s.is_profile else 0.36, mouth_y, 1 - 0.45 * s.turn
        )
        for eye in pair:
            eyes.draw_eye(pen, self.look, eye, self._eye_design, skin_area=face_area)
        if not f.brow_over_hair:
            self._draw_brows(pen)
        if "tear" in f.extras:
            face.draw_tear(pen, self.look, face_area, pair[-1].x, low + 0.07)
        if "mole" in f.extras and pen.px(1) > 120:
            spot = np.array([(pair[-1].x, low + 0.04), (pair[-1].x + 0.003, low + 0.043)])
            pen.line(spot, self.look.skin, width=1.4)
        if "sweat" in f.extras:
            face.draw_tear(pen, self.look, face_area, pair[-1].x - 0.12, 0.12)

    def _draw_brows(self, pen: HeadPen) -> None:
        if pen.px(1) < 45:
            return
        lift = 0.045 + 0.03 * (1 - self.look.face.lash)
        for eye in self._eyes():
            face.draw_brow(pen, self.look, eye, lift=lift)
