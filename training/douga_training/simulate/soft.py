"""What gives a cel a soft alpha: wisps, veils, glass, lights and motion blur, planned once and laid on any
version of the cel (with its lines inked or tinted), so that the alpha is the same in all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from douga_training.simulate.figure import Place
from douga_training.simulate.film import SoftLayer, lay
from douga_training.simulate.glass import draw_glass
from douga_training.simulate.lights import draw_glow, draw_light
from douga_training.simulate.motion import Motion, sample_shift, sample_swing
from douga_training.simulate.sheet import CelArt
from douga_training.simulate.veils import draw_veil
from douga_training.simulate.wisps import draw_wisps

# How often a frame has each. Wisps, veils, glass and lights other than auras: a figure; no frame has cloth or
# glass more than twice, nor such a light more than once.
GLOW_SHARE = 0.25
_WISPS, _VEIL, _GLASS, _LIGHT, _SHIFT, _SWING = 0.8, 0.3, 0.4, 0.3, 0.14, 0.22


@dataclass(frozen=True)
class SoftPlan:
    """Films over and under a cel, in order, then how it moves. kinds: what there is, for the record."""

    layers: tuple[SoftLayer, ...]
    motions: tuple[Motion, ...]
    kinds: tuple[str, ...]

    def applied(self, art: CelArt) -> CelArt:
        """The cel with all of it. The alpha depends on the cel's alpha alone."""
        for layer in self.layers:
            art = lay(art, layer)
        for motion in self.motions:
            art = motion.applied(art)
        return art


def plan_soft(
    rng: np.random.Generator, art: CelArt, places: Sequence[Place], glow: float = GLOW_SHARE
) -> SoftPlan:
    """Draw what is soft on a cel. places: of its figures, back to front, in px of the cel. glow: share of
    cels with an aura; what else there is does not depend on it.
    """
    layers: list[SoftLayer] = []
    kinds: list[str] = []

    def keep(kind: str, layer: SoftLayer | None) -> None:
        if layer is not None and layer.alpha.any():
            layers.append(layer)
            kinds.append(kind)

    size_wh = (art.alpha.shape[1], art.alpha.shape[0])
    of_wisps, of_veils, of_glass, of_glow, of_motion, of_light = rng.spawn(6)
    if of_glow.random() < glow:
        keep("glow", draw_glow(of_glow, art))
    for place in places:
        if place.hair and of_veils.random() < _VEIL and kinds.count("veil") < 2:
            keep("veil", draw_veil(of_veils, size_wh, place))
        if place.hair and of_wisps.random() < _WISPS:
            keep("wisps", draw_wisps(of_wisps, art, place))
        if of_glass.random() < _GLASS and kinds.count("glass") < 2:
            keep("glass", _glass(of_glass, place, size_wh))
        if of_light.random() < _LIGHT and "light" not in kinds:
            keep("light", draw_light(of_light, size_wh, place))
    motions: list[Motion] = []
    if of_motion.random() < _SHIFT:
        motions.append(sample_shift(of_motion, size_wh[1]))
    elif of_motion.random() < _SWING and (swing := sample_swing(of_motion, art)) is not None:
        motions.append(swing)
    kinds += [type(motion).__name__.lower() for motion in motions]
    return SoftPlan(tuple(layers), tuple(motions), tuple(kinds))


def _glass(rng: np.random.Generator, place: Place, size_wh: tuple[int, int]) -> SoftLayer | None:
    """Glass in a hand; where the hand is outside of the frame, what can be at the side of the head."""
    x, y = place.hands_xy[int(rng.integers(len(place.hands_xy)))]
    kind = None
    if not (0 <= x < size_wh[0] and 0 <= y < size_wh[1]):
        kind = str(rng.choice(["pane", "umbrella", "bubbles"]))
        x, y = place.to_px([[rng.choice([-1, 1]) * rng.uniform(0.3, 0.9), rng.uniform(-0.2, 0.6)]])[0]
    ink = (place.ink, place.line_px)
    return draw_glass(rng, size_wh, centre_xy=(float(x), float(y)), unit_px=place.head_px, ink=ink, kind=kind)
