"""What a character wears, chosen from its look."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from douga_training.simulate.chance import pick
from douga_training.simulate.colours import Swatch
from douga_training.simulate.look import Look


@dataclass(frozen=True)
class Outfit:
    """Clothes of a figure.

    top: garment of the trunk. sleeve: position on the arm where sleeves end (0 none, 2 wrist).
    lower: "skirt", "trousers", "shorts" or "none" (the top reaches down). hem: where it ends on the leg.
    legwear: its name; sock: where it starts on the leg (2 none). neckwear: "none", "tie", "bow", "scarf".
    loose: 0 tight to 1 wide.
    """

    top: str
    sleeve: float
    lower: str
    hem: float
    legwear: str
    sock: float
    sock_paint: Swatch
    shoe: str
    neckwear: str
    loose: float
    tucked: bool
    belt: bool
    cape: bool
    bag: bool
    cuffs: bool
    print_on: bool
    main: Swatch
    inner: Swatch
    lower_paint: Swatch


_TOPS = {
    "female": {
        "shirt": 1.4,
        "sailor": 1.4,
        "blazer": 1.6,
        "tshirt": 1.2,
        "sweater": 1.0,
        "hoodie": 0.8,
        "dress": 1.2,
        "coat": 0.6,
        "kimono": 0.5,
        "tank": 0.7,
        "armour": 0.25,
        "gakuran": 0.1,
    },
    "male": {
        "shirt": 1.5,
        "gakuran": 1.2,
        "blazer": 2.0,
        "tshirt": 1.4,
        "sweater": 0.9,
        "hoodie": 1.0,
        "coat": 0.8,
        "kimono": 0.5,
        "tank": 0.5,
        "armour": 0.4,
    },
}
# Name and the position on the leg where it starts.
_LEGWEAR = (("bare", 2.0), ("socks", 1.8), ("socks", 1.55), ("knee", 1.12), ("thigh", 0.62), ("tights", 0.0))
_LEGWEAR_SHARES = {"female": (0.2, 0.2, 0.15, 0.2, 0.13, 0.12), "male": (0.4, 0.35, 0.2, 0.05, 0.0, 0.0)}
_JACKETS = ("blazer", "coat", "hoodie", "gakuran", "kimono")


def choose_outfit(rng: np.random.Generator, look: Look) -> Outfit:
    """Dress a character: jackets for those whose look has one."""
    table = {k: w for k, w in _TOPS[look.sex].items() if (k in _JACKETS) == look.has_jacket}
    top = pick(rng, table)
    jacket = top in _JACKETS
    short = float(rng.choice([0.35, 0.55, 0.7, 1.35]))
    sleeve = 2.0 if jacket or rng.random() < 0.45 else short
    sleeve = {"tank": 0.0, "armour": float(rng.choice([0.0, 1.97])), "tshirt": min(sleeve, 0.7)}.get(
        top, sleeve
    )
    lower = "none" if top in ("dress", "kimono") else look.lower_kind
    hem = {"skirt": rng.choice([0.45, 0.6, 0.75, 0.9, 1.2]), "shorts": rng.choice([0.4, 0.6, 0.85])}.get(
        lower, 1.96
    )
    if top == "dress":
        hem = rng.choice([0.6, 0.8, 1.0, 1.5, 1.9])
    if top == "kimono":
        hem = rng.choice([0.7, 1.9], p=[0.2, 0.8])
    legwear, sock = _LEGWEAR[int(rng.choice(len(_LEGWEAR), p=_LEGWEAR_SHARES[look.sex]))]
    return Outfit(
        top=top,
        sleeve=min(sleeve, 1.97),
        lower=lower,
        hem=float(hem),
        legwear=legwear,
        sock=sock,
        sock_paint=look.shirt if rng.random() < 0.5 else look.shoes,
        shoe=str(rng.choice(["shoe", "sneaker", "loafer", "boot", "bare"], p=[0.3, 0.27, 0.2, 0.16, 0.07])),
        neckwear=_neckwear(rng, top),
        loose=float(rng.uniform(0.1, 0.9) + (0.3 if jacket else 0.0)),
        tucked=bool(rng.random() < (0.75 if lower == "skirt" else 0.4))
        and top in ("shirt", "tank", "armour", "sailor"),
        belt=bool(rng.random() < 0.3),
        cape=bool(rng.random() < (0.5 if top == "armour" else 0.04)),
        bag=bool(rng.random() < 0.1),
        cuffs=bool(rng.random() < 0.5),
        print_on=bool(rng.random() < 0.6),
        main=look.jacket if look.has_jacket else look.shirt,
        inner=look.shirt,
        lower_paint=look.lower,
    )


def _neckwear(rng: np.random.Generator, top: str) -> str:
    draw = float(rng.random())
    if top in ("shirt", "blazer"):
        return "tie" if draw < 0.35 else "bow" if draw < 0.6 else "none"
    if top == "sailor":
        return "bow" if draw < 0.8 else "none"
    if top in ("coat", "sweater", "tshirt", "hoodie"):
        return "scarf" if draw < 0.15 else "none"
    return "bow" if top == "dress" and draw < 0.3 else "none"
