"""What a character looks like: its colour model, its hair and face design, and how its lines are drawn."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from douga_training.simulate import colours
from douga_training.simulate.chance import pick_name
from douga_training.simulate.colours import Swatch
from douga_training.simulate.sheet import Rgb

_SEEN = 14  # of 255: what a line has to differ from paint and shadow to be seen
_LIFT = 60  # by how much at most it is lighter than a paint that is too dark for a darker one


@dataclass(frozen=True)
class LineStyle:
    """How a drawing is inked.

    width_px: a visible line in frame pixels. ink_kind: "black", "dark" (nearly black, tinted by the paint) or
    "tint" (a dark shade of the paint). detail: 0 (a figure of few lines) to 1 (close-up). tone_px: width of
    the trace lines around tones. black: grey level of black ink. taper: share of a free line's length that
    thins out.
    """

    width_px: float
    ink_kind: str = "black"
    detail: float = 1.0
    tone_px: float = 2.0
    black: int = 12
    taper: float = 0.35

    def ink(self, paint: Swatch) -> Rgb:
        """The colour of a visible line around or on this paint.

        On one that is nearly black the line is lighter: nobody draws what cannot be seen.
        """
        ink = self._dark_ink(paint)
        if min(sum(paint.normal), sum(paint.shade)) - sum(ink) >= 3 * _SEEN:
            return ink
        r, g, b = (min(255, v + _LIFT - self.black) for v in paint.normal)
        return r, g, b

    def _dark_ink(self, paint: Swatch) -> Rgb:
        if self.ink_kind == "black":
            return (self.black, self.black, self.black)
        r, g, b = paint.shade
        grey = (r + g + b) / 3
        depth, vivid = (0.2, 1.5) if self.ink_kind == "dark" else (0.42, 1.4)
        mixed = [min(max((grey + (v - grey) * vivid) * depth, 0.0), 255.0) for v in (r, g, b)]
        return round(mixed[0]), round(mixed[1]), round(mixed[2])


@dataclass(frozen=True)
class HairDesign:
    """A hair style. Lengths and widths are shares of the head's height.

    bangs: "tufts", "parted", "straight", "spiky", "swept", "centre", "none". back: "short", "bob", "long",
    "spiky", "ponytail", "twin", "bun". waves: 0 straight to 1 wavy. volume: hair over the skull.
    """

    bangs: str
    back: str
    tufts: int
    bang_length: float
    part: float
    sharpness: float
    volume: float
    side_length: float
    side_width: float
    back_length: float
    waves: float
    strands: float
    ahoge: bool
    tail_height: float
    shine: str  # "zigzag", "patches", "tips", "none"
    shade: str  # "under", "side", "tips", "none"
    has_dyed_tips: bool


@dataclass(frozen=True)
class FaceDesign:
    """A face. Lengths are shares of the head's height; the rest runs 0 to 1.

    mouth and lids are moods of the moment, drawn from the same seed.
    """

    jaw: float  # width at the jaw's corner
    chin: float  # 0 pointed to 1 broad
    cheek: float
    eye_y: float  # height of the eyes below the head's centre
    eye_width: float
    eye_height: float
    eye_gap: float
    eye_slant: float
    lash: float  # thickness of the upper lash
    lash_flick: float
    lower_lash: float
    fold: bool
    iris_style: str  # "two_tone", "gradient", "ring", "flat", "shine"
    iris_outlined: bool
    pupil: str  # "round", "tall", "slit", "none"
    highlights: int
    lid: str  # "open", "half", "closed", "smile", "wide"
    gaze_xy: tuple[float, float]
    brow: str  # "line", "filled", "thin", "none"
    brow_over_hair: bool
    eye_over_hair: bool  # the lashes are drawn through the bangs
    brow_slant: float
    nose: str  # "dot", "line", "shadow", "bridge", "none"
    mouth: str  # "line", "smile", "open", "shout", "cat", "frown", "small", "grin"
    blush: str  # "none", "area", "hatch", "soft", "both"
    extras: tuple[
        str, ...
    ]  # "tear", "sweat", "glasses", "mole", "hairpin", "ribbon", "band", "hat", "earring"


@dataclass(frozen=True)
class Look:
    """A character's design: its paints, shapes, light, and how it is shaded.

    sex: "female" or "male". age: 0 child to 1 adult. heads_tall: body height over head height. light_xy: unit
    vector towards the light, x right and y down. shade_amount: 0 (slivers) to 1 (half of every form).
    """

    sex: str
    age: float
    heads_tall: float
    skin: Swatch
    hair: Swatch
    eyes: Swatch
    shirt: Swatch
    jacket: Swatch
    lower: Swatch
    accent: Swatch
    shoes: Swatch
    lower_kind: str  # "skirt", "trousers", "shorts"
    has_jacket: bool
    hair_design: HairDesign
    face: FaceDesign
    light_xy: tuple[float, float]
    has_shadow: bool
    has_second_shadow: bool
    has_highlights: bool
    shade_amount: float


def make_style(rng: np.random.Generator, head_px: float) -> LineStyle:
    """Line style for a head of this height: thin lines on small figures, a little thicker in close-ups."""
    detail = float(np.clip((np.log2(max(head_px, 1.0)) - 5.0) / 4.5, 0.0, 1.0))
    close = float(np.clip((head_px - 900) / 1200, 0, 1))
    width = float(np.exp(rng.normal(np.log(1.5 + 0.5 * detail + 0.5 * close), 0.22)))
    width = float(np.clip(width, 1.0, min(4.0, max(1.0, 0.7 + head_px / 75.0))))
    kind = pick_name(rng, black=0.45, dark=0.35, tint=0.2)
    return LineStyle(
        width_px=width,
        ink_kind=kind,
        detail=detail,
        tone_px=float(rng.uniform(1.5, 2.2) * np.clip(head_px / 90, 0.55, 1.0)),
        black=int(rng.integers(0, 34)),
        taper=float(rng.uniform(0.15, 0.5)),
    )


def _make_hair(rng: np.random.Generator, sex: str) -> HairDesign:
    if sex == "female":
        bangs = pick_name(
            rng, tufts=0.36, parted=0.16, straight=0.12, spiky=0.06, swept=0.16, centre=0.1, none=0.04
        )
        back = pick_name(rng, short=0.16, bob=0.2, long=0.3, spiky=0.03, ponytail=0.12, twin=0.12, bun=0.07)
    else:
        bangs = pick_name(
            rng, tufts=0.3, parted=0.14, straight=0.03, spiky=0.22, swept=0.18, centre=0.08, none=0.05
        )
        back = pick_name(rng, short=0.55, bob=0.08, long=0.05, spiky=0.26, ponytail=0.05)
    long_side = sex == "female" and rng.random() < 0.7
    return HairDesign(
        bangs=bangs,
        back=back,
        tufts=int(rng.integers(3, 9)),
        bang_length=float(rng.uniform(0.3, 0.5)),
        part=float(rng.uniform(-0.6, 0.6)),
        sharpness=float(rng.uniform(0.3, 1.0)),
        volume=float(rng.uniform(0.05, 0.12)),
        side_length=float(rng.uniform(0.6, 1.2) if long_side else rng.uniform(0.28, 0.5)),
        side_width=float(rng.uniform(0.06, 0.17)),
        back_length=float(rng.uniform(0.7, 2.0)),
        waves=float(rng.choice([0.0, rng.uniform(0.2, 1.0)], p=[0.6, 0.4])),
        strands=float(rng.uniform(0.2, 1.0)),
        ahoge=bool(rng.random() < 0.12),
        tail_height=float(rng.uniform(0.0, 1.0)),
        shine=pick_name(rng, zigzag=0.45, patches=0.2, tips=0.1, none=0.25),
        shade=pick_name(rng, under=0.4, side=0.3, tips=0.2, none=0.1),
        has_dyed_tips=bool(rng.random() < 0.08),
    )


def _make_face(rng: np.random.Generator, sex: str, age: float) -> FaceDesign:
    size = (0.235 if sex == "female" else 0.18) * (1.22 - 0.32 * age) * rng.uniform(0.8, 1.18)
    chance = rng.random
    extras = [
        name
        for name, share in (
            ("tear", 0.05),
            ("sweat", 0.05),
            ("glasses", 0.11),
            ("mole", 0.06),
            ("hairpin", 0.12),
            ("ribbon", 0.14 if sex == "female" else 0.02),
            ("band", 0.09 if sex == "female" else 0.04),
            ("hat", 0.06),
            ("earring", 0.08),
        )
        if chance() < share
    ]
    return FaceDesign(
        jaw=float(rng.uniform(0.26, 0.315) + (0.02 if sex == "male" else 0.0)),
        chin=float(rng.uniform(0.1, 0.7) + (0.3 * age if sex == "male" else 0.0)),
        cheek=float(rng.uniform(0.0, 1.0) * (1.1 - 0.6 * age)),
        eye_y=float(rng.uniform(0.07, 0.14) - 0.03 * age),
        eye_width=float(size * rng.uniform(0.85, 1.08)),
        eye_height=float(size * rng.uniform(0.72, 1.08) * (1.0 if sex == "female" else 0.78)),
        eye_gap=float(rng.uniform(0.17, 0.23)),
        eye_slant=float(rng.normal(0.02, 0.09)),
        lash=float(rng.uniform(0.35, 1.0) * (1.0 if sex == "female" else 0.7)),
        lash_flick=float(rng.uniform(0.2, 1.0) if sex == "female" else rng.uniform(0.0, 0.4)),
        lower_lash=float(rng.uniform(0.3, 1.0)),
        fold=bool(rng.random() < 0.75),
        iris_style=pick_name(rng, two_tone=0.5, gradient=0.17, ring=0.1, flat=0.08, shine=0.15),
        iris_outlined=bool(rng.random() < 0.75),
        pupil=pick_name(rng, round=0.45, tall=0.4, slit=0.04, none=0.11),
        highlights=int(rng.choice([0, 1, 2, 3], p=[0.06, 0.4, 0.36, 0.18])),
        lid=pick_name(rng, open=0.62, half=0.12, closed=0.1, smile=0.06, wide=0.1),
        gaze_xy=(float(rng.normal(0, 0.25)), float(rng.normal(0, 0.15))),
        brow=pick_name(rng, line=0.45, filled=0.35, thin=0.15, none=0.05),
        brow_over_hair=bool(rng.random() < 0.45),
        eye_over_hair=bool(rng.random() < 0.22),
        brow_slant=float(rng.normal(0.0, 0.3)),
        nose=pick_name(rng, dot=0.25, line=0.3, shadow=0.2, bridge=0.2, none=0.05),
        mouth=pick_name(
            rng, line=0.2, smile=0.18, open=0.24, shout=0.1, cat=0.04, frown=0.1, small=0.08, grin=0.06
        ),
        blush=pick_name(rng, none=0.5, area=0.14, hatch=0.12, soft=0.16, both=0.08),
        extras=tuple(extras),
    )


def make_look(rng: np.random.Generator) -> Look:
    """Design a character from a seed."""
    sex = "female" if rng.random() < 0.6 else "male"
    age = float(np.clip(rng.beta(3.0, 2.4), 0.0, 1.0))
    angle = rng.uniform(-1.15, 1.15)
    skirt = 0.6 if sex == "female" else 0.02
    lower_kind = pick_name(rng, skirt=skirt, trousers=0.7 - skirt * 0.5, shorts=0.15)
    shadow = bool(rng.random() < 0.9)
    return Look(
        sex=sex,
        age=age,
        heads_tall=float(4.2 + 3.2 * age + rng.uniform(-0.3, 0.4)),
        skin=colours.skin(rng),
        hair=colours.hair(rng),
        eyes=colours.swatch(rng, rng.random(), rng.uniform(0.3, 0.85), rng.uniform(0.35, 0.85)),
        shirt=colours.cloth(rng),
        jacket=colours.cloth(rng),
        lower=colours.cloth(rng),
        accent=colours.swatch(rng, rng.random(), rng.uniform(0.4, 0.95), rng.uniform(0.5, 0.95)),
        shoes=colours.cloth(rng),
        lower_kind=lower_kind,
        has_jacket=bool(rng.random() < 0.5),
        hair_design=_make_hair(rng, sex),
        face=_make_face(rng, sex, age),
        light_xy=(float(np.sin(angle)), float(-np.cos(angle))),
        has_shadow=shadow,
        has_second_shadow=bool(shadow and rng.random() < 0.3),
        has_highlights=bool(rng.random() < 0.7),
        shade_amount=float(rng.beta(2.0, 2.2)),
    )
