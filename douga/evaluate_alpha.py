"""The alphas' part of `douga evaluate`: scores of each frame, tables by sub-folder as ToonOut prints them.

Every frame weighs the same, whatever its size: ToonOut and the work that it stands on average over images.
"""

from __future__ import annotations

import math
import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from douga.errors import InputError
from douga.metrics import Shares, mattes
from douga.metrics.correction import human_correction_efforts
from douga.metrics.shapes import ShapeComplexity, shape_complexity
from douga.types import U8

FOLDER = "alpha"
_FOLDERS = (FOLDER, "gt")  # the second is what studios and ToonOut's data have
TOTAL = "all"
_TWINS = "broadcast"  # of `douga simulate`
_TOP = "."  # frames that lie in no sub-folder


@dataclass(frozen=True)
class AlphaScore:
    """What was measured of one alpha; see `douga.metrics` for each. complexity: of the truth."""

    pixel_accuracy: float
    boundary_iou: float
    weighted_f: float
    s_measure: float
    mae: float
    mse: float
    mba: float
    hce: int
    f_curve: Shares
    e_curve: Shares
    complexity: ShapeComplexity

    @property
    def quality(self) -> float:
        """What frames are sorted by: the mean of ToonOut's three scores, as far as there are any; 0 to 1."""
        values = [v for v in (self.pixel_accuracy, self.boundary_iou, self.weighted_f) if not math.isnan(v)]
        return float(np.mean(values))


@dataclass(frozen=True)
class AlphaFrame:
    """One compared frame. predicted, true: the files."""

    score: AlphaScore
    predicted: Path
    true: Path


def find_alphas(folder: Path) -> dict[str, Path]:
    """The alphas below a folder by "SUB/STEM": alpha/STEM.png, alpha/SUB/STEM.png and SUB/alpha/STEM.png.

    So a set that was cut out part by part (`--out result/emotion`) fits a truth that is one folder of alphas.
    gt/ is as good as alpha/, and either of them may be the folder itself. The twins beside the frames of
    `douga simulate` are a folder to compare of their own. Raises InputError where two files have one name.
    """
    found: dict[str, Path] = {}
    below = [path for path in _walk(folder) if not _is_twin(path, folder)]
    holds_some = any(part in _FOLDERS for path in below for part in path.relative_to(folder).parts[:-1])
    base = folder.parent if folder.name in _FOLDERS and not holds_some else folder
    for path in sorted(path for path in below if path.suffix == ".png"):
        parts = path.relative_to(base).with_suffix("").parts
        place = [part for part in parts[:-1] if part not in _FOLDERS]
        if len(place) != len(parts) - 2 or path.name.startswith("."):
            continue
        key = "/".join((*place, parts[-1]))
        if key in found:
            raise InputError(f"{found[key]} and {path} are both the alpha of {key}; leave one of them")
        found[key] = path
    return found


def _walk(folder: Path) -> Iterator[Path]:
    """All files below a folder, also behind links to folders, each folder once."""
    seen: set[str] = set()
    for root, folders, files in os.walk(folder, followlinks=True):
        where = os.path.realpath(root)
        if where in seen:
            folders.clear()
            continue
        seen.add(where)
        yield from (Path(root) / name for name in files)


def _is_twin(path: Path, folder: Path) -> bool:
    return path.relative_to(folder).parts[0] == _TWINS and (folder / "frame").is_dir()


def read_alpha(path: Path) -> U8:
    """A grey PNG of 8 or 16 bits, also one written as RGB: (H, W) uint8, 0 to 255.

    Raises InputError, which names the file.
    """
    try:
        image = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED)
    except (OSError, cv2.error) as exc:
        raise InputError(f"{path}: cannot be read as a PNG ({exc}); write it again") from exc
    if image is None:
        raise InputError(f"{path}: cannot be read as a PNG; write it again")
    if image.ndim == 3 and image.shape[2] == 3 and (image[..., :1] == image[..., 1:]).all():
        image = image[..., 0]
    if image.ndim != 2 or image.dtype not in (np.uint8, np.uint16):
        raise InputError(
            f"{path}: expected a grey picture of 8 or 16 bits, the alpha alone, got colours; "
            "give alpha/NAME.png, or save it as grey"
        )
    return image if image.dtype == np.uint8 else np.round(image / 257).astype(np.uint8)


def compare_alphas(predictions: Mapping[str, Path], truths: Mapping[str, Path]) -> dict[str, AlphaFrame]:
    """Measure what is in both, by name. Raises InputError, which names the file."""
    frames = {}
    for key in sorted(set(predictions) & set(truths)):
        predicted, true = read_alpha(predictions[key]), read_alpha(truths[key])
        if predicted.shape != true.shape:
            sizes = [f"{a.shape[1]}x{a.shape[0]}" for a in (predicted, true)]
            raise InputError(
                f"{predictions[key]}: is {sizes[0]}, but its truth {truths[key]} is {sizes[1]}; "
                "cut the frame out at its own size"
            )
        frames[key] = AlphaFrame(score_alpha(predicted, true), predictions[key], truths[key])
    return frames


def score_alpha(predicted: U8, true: U8) -> AlphaScore:
    """Measure an alpha, (H, W) uint8 both. Raises InputError where they differ in size."""
    return AlphaScore(
        pixel_accuracy=mattes.pixel_accuracy(predicted, true),
        boundary_iou=mattes.boundary_iou(predicted, true),
        weighted_f=mattes.weighted_f(predicted, true),
        s_measure=mattes.s_measure(predicted, true),
        mae=mattes.mean_absolute_error(predicted, true),
        mse=mattes.mean_squared_error(predicted, true),
        mba=mattes.mean_boundary_accuracy(predicted, true),
        hce=human_correction_efforts(predicted, true),
        f_curve=mattes.f_curve(predicted, true),
        e_curve=mattes.e_curve(predicted, true),
        complexity=shape_complexity(true),
    )


def means(scores: Iterable[AlphaScore]) -> dict[str, float]:
    """Every score averaged over frames, NaN left out; max F and max E are those of the averaged curves."""
    all_of = list(scores)
    simple = ("pixel_accuracy", "boundary_iou", "weighted_f", "s_measure", "mae", "mse", "mba", "hce")
    out = {name: _mean(getattr(score, name) for score in all_of) for name in simple}
    for letter in "fe":
        curves = [curve for score in all_of if not np.isnan(curve := getattr(score, f"{letter}_curve")).any()]
        curve = np.mean(curves, axis=0) if curves else np.full(256, np.nan)
        out |= {f"max_{letter}": float(curve.max()), f"mean_{letter}": float(curve.mean())}
    out["ipq"] = _mean(score.complexity.ipq for score in all_of)
    out["contours"] = _mean(score.complexity.contours for score in all_of)
    out["dominant_points"] = _mean(score.complexity.dominant_points for score in all_of)
    return out


def _mean(values: Iterable[float]) -> float:
    known = [v for v in values if not math.isnan(v)]
    return float(np.mean(known)) if known else math.nan


def by_folder(frames: Mapping[str, AlphaFrame]) -> dict[str, list[AlphaScore]]:
    """Scores by sub-folder, in order, then all of them under "all" (a sub-folder of that name is "all/")."""
    groups: dict[str, list[AlphaScore]] = defaultdict(list)
    for key in sorted(frames):
        groups[key.rpartition("/")[0] or _TOP].append(frames[key].score)
    every = {name: groups[name] for name in sorted(groups)} if set(groups) != {_TOP} else {}
    if TOTAL in every:
        every[f"{TOTAL}/"] = every.pop(TOTAL)
    return {**every, TOTAL: [frame.score for frame in frames.values()]}


_PERCENT = {
    "pixel_accuracy": "PA",
    "boundary_iou": "BIoU",
    "weighted_f": "wF",
    "max_f": "max F",
    "mean_f": "mean F",
    "s_measure": "S",
    "mean_e": "mean E",
    "max_e": "max E",
    "mba": "mBA",
}
_ERRORS = {"mae": "MAE", "mse": "MSE"}
_COUNTS = {"hce": "HCE", "ipq": "IPQ", "contours": "contours", "dominant_points": "points"}


def alpha_rows(frames: Mapping[str, AlphaFrame]) -> list[list[str]]:
    """ToonOut's Table 3.2 with all scores: a row a sub-folder, then all frames; header included.

    Percent up to mBA, shares for MAE and MSE, clicks for HCE; IPQ, contours and points tell how hard the true
    shapes are.
    """
    table = [["alpha", "frames", *_PERCENT.values(), *_ERRORS.values(), *_COUNTS.values()]]
    for name, scores in by_folder(frames).items():
        of = means(scores)
        shown = [_shown(of[key] * 100, 1) for key in _PERCENT]
        shown += [_shown(of[key], 4) for key in _ERRORS]
        shown += [_shown(of[key], 1) for key in _COUNTS]
        table.append([name, str(len(scores)), *shown])
    return table


def alpha_headline(scores: Iterable[AlphaScore]) -> list[tuple[str, str]]:
    """ToonOut's three scores, averaged over frames, named, in percent."""
    of = means(scores)
    names = {"pixel_accuracy": "pixel accuracy", "boundary_iou": "boundary IoU", "weighted_f": "weighted F"}
    return [(name, _shown(of[key] * 100, 1)) for key, name in names.items()]


def alpha_json(frames: Mapping[str, AlphaFrame]) -> dict[str, Any]:
    """All numbers as JSON data: shares from 0 to 1, None where there is nothing to measure."""
    folders = {name: _clean(means(scores)) for name, scores in by_folder(frames).items()}
    return {
        "total": folders.pop(TOTAL),
        "by_folder": folders,
        "per_frame": {key: _clean(means([frame.score])) for key, frame in frames.items()},
    }


def _shown(value: float, digits: int) -> str:
    return "-" if math.isnan(value) else f"{value:.{digits}f}"


def _clean(numbers: Mapping[str, float]) -> dict[str, float | None]:
    return {name: None if math.isnan(value) else value for name, value in numbers.items()}
