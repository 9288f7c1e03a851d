"""The shape of the hair in front of and around the face: a cap whose hem falls in tufts."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from douga_training.simulate.curves import Points, bezier, smooth
from douga_training.simulate.head_pen import HeadSpace
from douga_training.simulate.look import HairDesign


@dataclass(frozen=True)
class Tuft:
    """One lock of the hem. left, right: notches beside it, tip: its end; each (azimuth in degrees, y).

    flat: share of the width that ends in a cut edge. inked: its edge is drawn.
    """

    left: tuple[float, float]
    tip: tuple[float, float]
    right: tuple[float, float]
    flat: float = 0.0
    inked: bool = True


@dataclass(frozen=True)
class FrontHair:
    """The cap of hair in head coordinates: polygons (crown, tufts), hem edges (tip to notch), marks."""

    shapes: list[Points]
    silhouette: Points
    edges: tuple[tuple[Points, bool], ...]
    notches: Points
    tips: Points
    crown_xy: NDArray[np.float64]
    spikes: list[Points]


def _bangs(rng: np.random.Generator, d: HairDesign, reach: float, eye_top: float) -> list[Tuft]:
    """Locks over the forehead, from -reach to reach degrees, down to about the upper lids."""
    line = eye_top + 0.045 - 1.1 * (0.5 - d.bang_length)
    count = {"straight": d.tufts + 4, "none": 5, "centre": 4 + d.tufts % 3}.get(d.bangs, d.tufts)
    # Locks of uneven width: big ones read as masses, small ones between them as loose strands.
    even = d.bangs in ("straight", "none")
    share = rng.uniform(0.8, 1.2, count) if even else rng.uniform(0.35, 1.0, count) ** 1.4
    marks = -reach + 2 * reach * np.concatenate([[0.0], np.cumsum(share) / share.sum()])
    middle = (marks[:-1] + marks[1:]) / 2
    parting = {"parted": d.part * 42, "centre": d.part * 8}.get(d.bangs, d.part * 25)
    if d.bangs in ("parted", "centre"):
        marks[1:-1][np.argmin(np.abs(marks[1:-1] - parting))] = parting
    away = (middle - parting) / reach
    depth = (0.05 + 0.13 * d.sharpness) * rng.uniform(0.6, 1.5, count + 1)
    tip_y = line + 0.07 * (middle / reach) ** 2 + rng.normal(0, 0.022 + 0.02 * d.sharpness, count)
    sweep = away * 7 + rng.normal(0, 3, count)
    flat = 0.0
    if d.bangs == "straight":
        tip_y, depth, sweep, flat = (
            np.full(count, min(line + 0.03, eye_top + 0.015)),
            depth * 0.35 * rng.random(count + 1),
            sweep * 0.1,
            0.88,
        )
    elif d.bangs == "none":
        tip_y, depth, flat = (
            -0.27 + 0.12 * (middle / reach) ** 2 + rng.normal(0, 0.01, count),
            depth * 0.2,
            0.5,
        )
    elif d.bangs == "swept":
        sweep += np.sign(d.part or 1.0) * rng.uniform(9, 20)
    elif d.bangs in ("parted", "centre"):
        sweep = np.sign(away) * rng.uniform(8, 20) + rng.normal(0, 3, count)
        tip_y = line - 0.06 + 0.16 * np.abs(away) + rng.normal(0, 0.02, count)
    elif d.bangs == "spiky":
        depth, sweep = depth * 1.5, sweep + rng.normal(0, 9, count)
    low = np.concatenate([tip_y[:1], np.minimum(tip_y[:-1], tip_y[1:]), tip_y[-1:]])
    notch_y = low - depth * np.clip(np.concatenate([share[:1], share]) / share.mean(), 0.6, 1.6)
    tip_y = tip_y + 0.035 * (share / share.mean() - 1) * (not even)
    notch_y[[0, -1]] = np.minimum(notch_y[[0, -1]], -0.08 - 0.1 * rng.random(2))
    if d.bangs in ("parted", "centre"):
        notch_y[np.argmin(np.abs(marks - parting))] = -0.33
        notch_y = np.maximum(notch_y, -0.38)
    return [
        Tuft(
            (marks[i], notch_y[i]),
            (float(middle[i] + sweep[i]), float(tip_y[i])),
            (marks[i + 1], notch_y[i + 1]),
            flat,
        )
        for i in range(count)
    ]


def _side(rng: np.random.Generator, d: HairDesign, start: float, top: float) -> list[Tuft]:
    """Locks from the temple round to the nape, for the side of positive azimuths."""
    tufts: list[Tuft] = []
    lock = start + 14 + 170 * d.side_width
    start_tip = start + 6 + 60 * d.side_width
    # Longer side locks are pieces of their own (hair_locks).
    tip_y = d.side_length - 0.2 if d.side_length < 0.6 else float(rng.uniform(-0.02, 0.15))
    ear_y = float(
        rng.uniform(0.12, 0.3)
        if rng.random() < 0.5 or d.back in ("bob", "long")
        else rng.uniform(-0.04, 0.05)
    )
    up = min(tip_y, ear_y) - rng.uniform(0.08, 0.16)
    tufts.append(Tuft((start, top), (start_tip + float(rng.normal(0, 3)), tip_y), (lock, up)))
    tufts.append(Tuft((lock, up), (lock + 10 + float(rng.normal(0, 4)), ear_y), (lock + 24, ear_y - 0.1)))
    at, y = lock + 24.0, ear_y - 0.1
    loose = d.back in ("long", "bob")
    while at < 175:
        step = float(rng.uniform(20, 38))
        nape = 0.22 if loose else float(0.36 + rng.normal(0, 0.03))
        share = np.clip((at - lock - 10) / 30, 0, 1)
        tip = ear_y + (nape - ear_y) * share
        tufts.append(Tuft((at, y), (at + step * 0.6, tip), (at + step, tip - 0.09), inked=not loose))
        at, y = at + step, tip - 0.09
    return tufts


def make_hem(rng: np.random.Generator, d: HairDesign, eye_top: float) -> list[Tuft]:
    """All locks around the head, from -180 to 180 degrees."""
    reach = float(rng.uniform(46, 58))
    bangs = _bangs(rng, d, reach, eye_top)
    right = _side(rng, d, reach, bangs[-1].right[1])
    left = _side(rng, d, reach, bangs[0].left[1])
    turned = [
        Tuft((-t.right[0], t.right[1]), (-t.tip[0], t.tip[1]), (-t.left[0], t.left[1]), t.flat, t.inked)
        for t in left
    ]
    return turned[::-1] + bangs + right


def silhouette(
    rng: np.random.Generator, space: HeadSpace, d: HairDesign, low_right: float, low_left: float
) -> tuple[Points, list[Points]]:
    """Outer contour from the right rim of the head over the crown to the left rim, and its spikes."""
    yaw = np.degrees(space.yaw_rad)
    level = -0.08
    right = space.around(90 - yaw, np.linspace(low_right, level, 6), d.volume * 0.7)[:-1]
    left = space.around(-90 - yaw, np.linspace(level, low_left, 6), d.volume * 0.7)[1:]
    a, b = space.around(90 - yaw, level, d.volume * 0.7)[0], space.around(-90 - yaw, level, d.volume * 0.7)[0]
    middle, half, high = (a[0] + b[0]) / 2, (a[0] - b[0]) / 2, 0.42 + d.volume

    def dome(theta: NDArray[np.float64] | float, out: float = 1.0) -> Points:
        x = middle + half * out * np.cos(theta)
        return np.stack(
            np.broadcast_arrays(x, level - high * out * np.maximum(np.sin(theta), 0.0) ** 0.94), -1
        )

    theta = np.linspace(0, np.pi, 25)
    bumps = sum(rng.normal(0, 0.006) * np.sin(theta * k) for k in (2, 3, 4, 5, 7))
    top = dome(theta) * (1 + np.asarray(bumps)[:, None])
    contour = smooth(np.vstack([right, top, left]), per_span=4)
    spikes: list[Points] = []
    full, loose = d.back == "spiky", "spiky" in (d.back, d.bangs)
    count = (
        int(rng.integers(5, 10))
        if full
        else int(rng.integers(3, 7))
        if loose
        else int(rng.choice([0, 1, 2, 3], p=[0.6, 0.2, 0.1, 0.1]))
    )
    marks = np.linspace(0.08, np.pi - 0.08, count + 1)
    comb = float(np.clip(rng.normal(0, 0.25), -0.4, 0.4))
    for start, end in itertools.pairwise(marks):
        width = (end - start) * (rng.uniform(1.2, 1.9) if full else rng.uniform(0.7, 1.1) if loose else 0.16)
        at = (start + end) / 2 + (0.0 if full else rng.normal(0, 0.15 if loose else 0.5))
        foot_a, foot_b = (
            dome(max(at - width / 2, 0.0), rng.uniform(0.8, 0.98)),
            dome(min(at + width / 2, np.pi), rng.uniform(0.8, 0.98)),
        )
        reach = (
            rng.uniform(0.14, 0.45) if full else rng.uniform(0.08, 0.2) if loose else rng.uniform(0.05, 0.12)
        )
        reach = min(reach, 0.75 * width)
        # Spikes lean the way the hair is combed and hang down a little at the sides.
        tip = dome(at + comb * reach * 3 - 0.25 * np.cos(at) * reach, 1 + reach) + (
            0.0,
            0.05 * abs(np.cos(at)),
        )
        spikes.append(np.vstack([_blade(foot_a, tip, 0.1), _blade(foot_b, tip, -0.1)[::-1][1:]]))
    return contour, spikes


def _blade(foot: NDArray[np.float64], tip: NDArray[np.float64], bulge: float) -> Points:
    """One edge of a pointed lock, bowed to one side by a share of its length."""
    d = tip - foot
    return bezier(foot, (foot + tip) / 2 + np.array([d[1], -d[0]]) * bulge, tip, samples=12)


def meridian(space: HeadSpace, crown_xy: NDArray[np.float64], p: NDArray[np.float64]) -> Points:
    """The way hair flows from a point on the head up to the crown."""
    dx, dy = p - crown_xy
    return bezier(p, (crown_xy[0] + dx * 1.08, crown_xy[1] + dy * 0.32), crown_xy, samples=24)


def _visible(hem: list[Tuft], rim_l: float, rim_r: float, edge_deg: float) -> list[Tuft]:
    """The locks between the two rims of the view; those that are seen edge-on merge with their neighbours."""
    merged: list[Tuft] = []
    zone_before = 0
    for t in hem:
        middle = (t.left[0] + t.right[0]) / 2
        if not rim_l + 4 < middle < rim_r - 4:
            continue
        zone = -1 if middle - rim_l < 24 else 1 if rim_r - middle < edge_deg else 0
        if merged and zone and zone == zone_before:
            last = merged[-1]
            lower = last.tip if last.tip[1] > t.tip[1] else t.tip
            merged[-1] = Tuft(last.left, lower, t.right, 0.0, last.inked)
        else:
            merged.append(t)
        zone_before = zone
    return merged


def build_front(rng: np.random.Generator, space: HeadSpace, d: HairDesign, eye_top: float) -> FrontHair:
    """Lay the hem and the silhouette out for one view of the head. eye_top: y of the upper lids."""
    if space.height_px < 80:
        d = replace(d, tufts=max(2, min(d.tufts, int(space.height_px / 16))))
    yaw = float(np.degrees(space.yaw_rad))
    rim_l, rim_r = -90 - yaw, 90 - yaw
    hem = _visible(make_hem(rng, d, eye_top), rim_l, rim_r, 36 if space.is_profile else 24)
    crown = np.array(
        [-0.16 * np.sin(space.yaw_rad) + 0.05 * d.part * np.cos(space.yaw_rad), -0.5 - 0.75 * d.volume]
    )

    def at(azimuth: float, y: float, grow: float) -> NDArray[np.float64]:
        return space.around(np.clip(azimuth, rim_l, rim_r), y + 0.03 * space.pitch, grow)[0]

    edges: list[tuple[Points, bool]] = []
    tufts: list[Points] = []
    # At both rims the silhouette runs on down to the tip of the last lock.
    notches, tips = [at(rim_l, hem[0].tip[1] - 0.12, d.volume * 0.7)], []
    for i, t in enumerate(hem):
        left, right = notches[-1], at(*t.right, d.volume * 0.55)
        if i == len(hem) - 1:
            right = at(rim_r, t.tip[1] - 0.12, d.volume * 0.7)
        # From the side the eye sits where the temple locks would hang.
        tip_y = min(t.tip[1], eye_top + 0.03) if space.is_profile and t.tip[0] > -68 else t.tip[1]
        tip = at(float(np.clip(t.tip[0], rim_l + 12, rim_r - 14)), tip_y, d.volume * 0.75)
        half = (right - left) / 2 * t.flat
        bow = float(rng.normal(0, 0.05) - 0.5 * np.clip(tip[0] - (left[0] + right[0]) / 2, -0.15, 0.15))
        pair = (_edge(left, tip - half, bow + 0.03, d), _edge(right, tip + half, bow - 0.03, d))
        if t.flat:
            pair = (np.vstack([[tip + half * 0.98], pair[0]]), pair[1])
        edges += [(pair[0], t.inked), (pair[1], t.inked)]
        tufts.append(np.vstack([pair[0][::-1], pair[1]]))
        notches.append(right)
        tips.append(tip)
    outer, spikes = silhouette(rng, space, d, float(notches[-1][1]), float(notches[0][1]))
    body = np.vstack([np.array(notches), outer])
    return FrontHair([body, *tufts], outer, tuple(edges), np.array(notches), np.array(tips), crown, spikes)


def _edge(notch: NDArray[np.float64], tip: NDArray[np.float64], bow: float, d: HairDesign) -> Points:
    """The edge of a tuft from its tip up to a notch. bow: bend to the right, as a share of the length."""
    length = float(np.linalg.norm(tip - notch))
    samples = max(10, int(14 + 24 * length))
    if length < 0.32:
        middle = notch * 0.45 + tip * 0.55 + (bow * length * 1.6, 0.0)
        return bezier(tip, middle, notch, samples=samples)
    # Long locks keep their width for a while and close late.
    edge = bezier(
        tip,
        (tip[0] * 0.4 + notch[0] * 0.6 + bow * length, tip[1] - 0.25 * length),
        (notch[0] + bow * 0.6 * length, notch[1] + 0.45 * length),
        notch,
        samples=samples,
    )
    s = np.linspace(0, 1, samples)
    return edge + np.stack([0.05 * d.waves * np.sin(edge[:, 1] * 13) * np.sin(np.pi * s), 0 * s], 1)
