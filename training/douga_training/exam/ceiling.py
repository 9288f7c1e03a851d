"""What no network could exceed: the truth itself, as a network that is sure of it would say it, cleaned."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from tqdm import tqdm

from douga.classes import NUM_CLASSES
from douga.evaluate import Evaluation, evaluate, read_ids, read_mask
from douga.frame_io import read_frame, write_png
from douga.palettes import load_palette
from douga.postprocess import clean_douga
from douga.types import CelMask


def ceiling(truth: Path, stems: Sequence[str], out: Path) -> Evaluation:
    """Clean the true classes of lossless frames with their true masks, and compare with the truth again.

    truth: folder in the layout of `douga simulate`. out: is emptied and gets the cleaned maps. Lines are
    painted 3 px wide, as they ship: what lies between two of them may vanish.
    """
    shutil.rmtree(out, ignore_errors=True)
    colours = load_palette("kugler").written
    for stem in tqdm(stems, desc="the truth, cleaned", unit="frame", disable=None, leave=False):
        name = f"{stem}.png"
        ids, mask = read_ids(truth / "classes" / name), read_mask(truth / "cel_mask" / name)
        sure = np.stack([ids == c for c in range(NUM_CLASSES)]).astype(np.float16)
        cel = CelMask(mask.astype(bool) * np.uint8(255))
        cleaned = clean_douga(sure, read_frame(truth / "frame" / name).rgb, cel)
        write_png(out / "classes" / name, cleaned.ids, palette=colours)
        write_png(out / "cel_mask" / name, cel.mask)
    return replace(evaluate(out, truth), missing=())
