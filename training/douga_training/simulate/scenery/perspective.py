"""Scenes built in space: a camera, faces, boxes and pictures on walls.

World axes: x right, y up, z ahead; metres.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from douga.types import U8
from douga_training.simulate.scenery.easel import Easel
from douga_training.simulate.sheet import Points, Rgb

Solid = np.ndarray  # (N, 3) metres
_NEAR_M = 0.12


@dataclass(frozen=True)
class Camera:
    """Where the scene is seen from. eye: metres; the angles in rad; focal_px and centre_xy in px."""

    eye: tuple[float, float, float]
    yaw: float
    pitch: float
    roll: float
    focal_px: float
    centre_xy: tuple[float, float]

    def view(self, corners: Solid) -> Solid:
        """World to camera space: (N, 3), x right, y down, z into the picture, metres."""
        p = np.asarray(corners, np.float64).reshape(-1, 3) - self.eye
        c, s = np.cos(self.yaw), np.sin(self.yaw)
        x, z = p[:, 0] * c - p[:, 2] * s, p[:, 0] * s + p[:, 2] * c
        c, s = np.cos(self.pitch), np.sin(self.pitch)
        y, z = p[:, 1] * c - z * s, p[:, 1] * s + z * c
        c, s = np.cos(self.roll), np.sin(self.roll)
        return np.stack([x * c + y * s, x * s - y * c, z], -1)

    def project(self, corners: Solid) -> Points:
        """Outline of a polygon in the picture, (M, 2) px, cut at the near plane; empty if it is behind."""
        seen = self.view(corners)
        kept: list[np.ndarray] = []
        for a, b in zip(seen, np.roll(seen, -1, 0), strict=True):
            if a[2] >= _NEAR_M:
                kept.append(a)
            if (a[2] >= _NEAR_M) != (b[2] >= _NEAR_M):
                kept.append(a + (b - a) * ((_NEAR_M - a[2]) / (b[2] - a[2])))
        if not kept:
            return np.empty((0, 2))
        cut = np.array(kept)
        return cut[:, :2] / cut[:, 2:] * self.focal_px + self.centre_xy


@dataclass(frozen=True)
class Box:
    """An upright box. low and high: opposite corners in metres. colour: its paint before the light."""

    low: tuple[float, float, float]
    high: tuple[float, float, float]
    colour: Rgb


@dataclass(frozen=True)
class Wall:
    """A wall to hang things on. origin: foot corner; along: unit direction to the right, from inside."""

    origin: tuple[float, float, float]
    along: tuple[float, float, float]
    length: float
    height: float

    def quad(self, left: float, low: float, right: float, high: float, lift: float = 0.0) -> Solid:
        """Corners of a rectangle on the wall (upper left first, clockwise), metres. lift: distance off it."""
        o, a = np.asarray(self.origin), np.asarray(self.along)
        off = np.array([a[2], 0.0, -a[0]]) * lift
        up = np.array([0.0, 1.0, 0.0])
        return np.array(
            [o + a * u + up * v + off for u, v in ((left, high), (right, high), (right, low), (left, low))]
        )


@dataclass(frozen=True)
class Stage:
    """An easel with a camera in front of a built scene."""

    easel: Easel
    camera: Camera

    def face(self, corners: Solid, colour: Rgb, *, lined: bool = True) -> None:
        """Paint a flat polygon in space."""
        outline = self.camera.project(corners)
        if len(outline):
            self.easel.shape(outline, colour, lined=lined)

    def shadow(self, corners: Solid, colour: Rgb, share: float, blur_px: float) -> None:
        """Lay a soft, half-transparent polygon in space: shadows and pools of light."""
        outline = self.camera.project(corners)
        if len(outline) and np.abs(outline).max() < 2e4:
            self.easel.soft_shape(outline, colour, share, blur_px)

    def bar(self, start: Sequence[float], end: Sequence[float], colour: Rgb, thick_m: float) -> None:
        """A thin rod, wire or seam; its width follows the distance of its middle."""
        ends = np.array([start, end], np.float64)
        outline = self.camera.project(ends)
        if len(outline) < 2:
            return
        depth = max(float(self.camera.view(ends)[:, 2].mean()), 4 * _NEAR_M)
        self.easel.line(outline[:2], colour, self.camera.focal_px * thick_m / depth)

    def box(self, box: Box) -> None:
        """Paint the sides of a box that the camera sees, each in the light that falls on it."""
        light, eye = self.easel.light, self.camera.eye
        (x0, y0, z0), (x1, y1, z1) = box.low, box.high
        left, right = (0.75, 0.3) if light.side < 0 else (0.3, 0.75)
        if eye[1] < y0:
            self.face(
                np.array([[x0, y0, z0], [x1, y0, z0], [x1, y0, z1], [x0, y0, z1]]), light.lit(box.colour, 0.0)
            )
        if eye[0] < x0:
            self.face(
                np.array([[x0, y0, z0], [x0, y1, z0], [x0, y1, z1], [x0, y0, z1]]),
                light.lit(box.colour, left),
            )
        if eye[0] > x1:
            self.face(
                np.array([[x1, y0, z0], [x1, y1, z0], [x1, y1, z1], [x1, y0, z1]]),
                light.lit(box.colour, right),
            )
        if eye[2] < z0:
            self.face(
                np.array([[x0, y0, z0], [x1, y0, z0], [x1, y1, z0], [x0, y1, z0]]), light.lit(box.colour, 0.5)
            )
        if eye[2] > z1:
            self.face(
                np.array([[x0, y0, z1], [x1, y0, z1], [x1, y1, z1], [x0, y1, z1]]), light.lit(box.colour, 0.5)
            )
        if eye[1] > y1:
            self.face(
                np.array([[x0, y1, z0], [x1, y1, z0], [x1, y1, z1], [x0, y1, z1]]), light.lit(box.colour, 1.0)
            )

    def boxes(self, boxes: Iterable[Box]) -> None:
        """Paint boxes, the far ones first."""
        middles = [
            (float(np.linalg.norm((np.add(b.low, b.high)) / 2 - np.asarray(self.camera.eye))), b)
            for b in boxes
        ]
        for _, box in sorted(middles, key=lambda pair: -pair[0]):
            self.box(box)

    def picture(self, quad: Solid, image: U8) -> None:
        """Hang an image on four corners in space (upper left first, clockwise).

        One that is partly behind the eye becomes a plain face of its mean colour.
        """
        if float(self.camera.view(quad)[:, 2].min()) < _NEAR_M:
            self.face(quad, _mean(image))
            return
        corners = self.camera.project(quad)
        w, h = self.easel.size_wh
        x0, y0 = np.floor(np.clip(corners.min(0), 0, (w, h))).astype(int)
        x1, y1 = np.ceil(np.clip(corners.max(0), 0, (w, h))).astype(int)
        if x1 - x0 < 2 or y1 - y0 < 2:
            return
        ih, iw = image.shape[:2]
        shrink = max(1, round(iw / max(float(np.ptp(corners[:, 0])), 1.0)))
        if shrink > 1:  # else far pictures flicker with aliases
            image = cv2.resize(
                image, (max(2, iw // shrink), max(2, ih // shrink)), interpolation=cv2.INTER_AREA
            )
            ih, iw = image.shape[:2]
        source = np.array([[0, 0], [iw, 0], [iw, ih], [0, ih]], np.float32) - 0.5
        place = (corners - (x0, y0)).astype(np.float32)
        turn = cv2.getPerspectiveTransform(source, place)
        size = (int(x1 - x0), int(y1 - y0))
        hung = cv2.warpPerspective(image, turn, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        cover = np.zeros((size[1], size[0]), np.uint8)
        cv2.fillPoly(cover, [np.round(place * 16).astype(np.int32)], 255, cv2.LINE_AA, 4)
        share = cover.astype(np.float32) / 255
        part = np.ascontiguousarray(self.easel.rgb[y0:y1, x0:x1])
        self.easel.rgb[y0:y1, x0:x1] = cv2.blendLinear(part, hung, 1 - share, share)
        if self.easel.ink is not None:
            self.easel.line(np.vstack([corners, corners[:1]]), self.easel.ink.colour, self.easel.ink.width_px)


def _mean(image: U8) -> Rgb:
    r, g, b = image.reshape(-1, 3).mean(0).astype(int).tolist()
    return r, g, b


def look(easel: Easel, eye: tuple[float, float, float], yaw: float, pitch: float, view_deg: float) -> Stage:
    """A camera at `eye`; view_deg is the horizontal angle of view. Now and then it is tilted."""
    rng = easel.rng
    w, h = easel.size_wh
    roll = rng.normal(0, 0.12) if rng.random() < 0.12 else 0.0
    focal = w / 2 / np.tan(np.deg2rad(view_deg) / 2)
    shift = rng.uniform(-0.12, 0.12) * h if rng.random() < 0.6 else 0.0
    return Stage(easel, Camera(eye, yaw, pitch, roll, focal, (w / 2, h / 2 + shift)))
