"""A training run as data: one frozen dataclass, read from TOML, each entry open to the command line."""

from __future__ import annotations

import argparse
import dataclasses
import math
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args, get_type_hints

from douga.checkpoint import NetworkConfig
from douga.errors import RecipeError
from douga.networks.birefnet import SWIN
from douga.networks.birefnet.network import STRIDE as BIREFNET_STRIDE
from douga.networks.gcn import GcnConfig
from douga.networks.isnet import STRIDE as ISNET_STRIDE
from douga.networks.isnet import IsNetConfig
from douga.preprocess import INPUT_MODES, input_channels
from douga_training.alpha_losses import Synchronisation
from douga_training.hard_frames import HARD_IOU

OUTPUTS = {"cel": 2, "lines": 10, "cutout": 1, "masks": 1}  # background and cel; the ten classes; an alpha
SOFT = ("cutout", "masks")  # stages whose truth is an alpha
GUESSED = ("concatenated", "synthetic_cel")  # input modes whose mask stage one finds
STAGES_OF = {"gcn": ("cel", "lines", "cutout"), "birefnet": ("cutout",), "isnet": SOFT}
LOSSES = ("cross_entropy", "weighted", "focal", "alpha")
OPTIMIZERS = ("adam", "adamw")
SCHEDULES = ("cosine", "linear", "halving")
RESNETS = ("resnet18", "resnet34", "resnet50", "resnet101")
ENCODERS = (*RESNETS, *SWIN)
_STRIDES = {"birefnet": BIREFNET_STRIDE, "isnet": ISNET_STRIDE}
_ABOVE_ZERO = (
    *("kernel_size", "width", "context_stride", "batch", "windows", "simulated_px", "validation_frames"),
    *("steps", "validate_every", "checkpoint_every", "scale_min", "learning_rate", "clip_norm"),
    *("seen_px", "halve_every", "teacher_steps"),
)
_SHARES = (
    *("dropout", "simulated", "broadcast", "flip", "affine", "brightness", "contrast", "colour", "wear"),
    *(
        "night",
        "erase",
        "erase_shapes",
        "replace_background",
        "texture",
        "mask_noise",
        "found_masks",
        "hard",
        "final_rate",
        "average",
        "goal",
    ),
)


def knob(default: Any, text: str) -> Any:
    """A recipe entry with its explanation, shown by --help."""
    return dataclasses.field(default=default, metadata={"help": text})


@dataclass(frozen=True)
class Recipe:
    """Every knob of a run."""

    stage: str = knob(
        "cel",
        "what to train: cel (stage one), lines (stage two), cutout (soft alphas) or masks (teaches IS-Net)",
    )
    kind: str = knob("gcn", "network: gcn, or for cutouts also birefnet or isnet")
    out: str = knob("runs/cel", "folder of checkpoints, logs and samples")
    init_from: str = knob(
        "",
        "weights to start from (a .safetensors file, a shipped or imported name); imagenet: BiRefNet's "
        "encoder as timm fetches it; empty: from nothing",
    )
    teacher: str = knob("", "isnet: weights of its encoder of masks; empty: trained first, to OUT/masks")
    teacher_steps: int = knob(2000, "isnet: longest training of its encoder of masks (its authors: 1000)")

    encoder: str = knob(
        "resnet18", "resnet18, resnet34, resnet50 or resnet101; birefnet: swin_t, swin_s, swin_b or swin_l"
    )
    input_mode: str = knob(
        "color", "how stage two gets the cel: color, synthetic_cel, concatenated, manual_cel"
    )
    kernel_size: int = knob(25, "size of the large kernels; Kugler: 25 for cel, 49 for lines")
    width: int = knob(
        24, "channels of the large-kernel blocks; isnet: of its first convolution (published 64)"
    )
    dropout: float = knob(0.1, "dropout in front of the large kernels; birefnet: after its ASPP")
    seen_px: int = knob(
        1024, "birefnet, isnet: the whole frame is seen at the area of a square of this side, its shape kept"
    )
    context_px: int = knob(640, "long side of the frame as the context road sees it; 0: use context_stride")
    context_stride: int = knob(2, "where context_px is 0: the context road sees the crop this much smaller")
    detail_width: int = knob(16, "channels of the full-resolution path; 0 leaves it out")
    quarter_width: int = knob(0, "channels of that path's level at a quarter of the size; 0 leaves it out")

    data: str = knob(
        "", "folders in the layout of `douga simulate`, for cutouts also of im/ and gt/, comma-separated"
    )
    simulated: float = knob(0.0, "share of samples drawn on the fly by the simulator; 1 needs no folder")
    simulated_px: int = knob(512, "size of the window that the simulator draws on the fly for stage two")
    validation: str = knob(
        "",
        "folder for validation; empty: val/ beside a train/, else the last validation_frames, at most a "
        "fifth, of the last folder of `data`",
    )
    validation_frames: int = knob(24, "how many frames to hold back, or to read of the validation folder")
    broadcast: float = knob(0.5, "share of samples that show the broadcast twin, where there is one")
    batch: int = knob(6, "samples in a step, over all processes")
    crop_px: int = knob(
        320, "side of the full-resolution windows, or of the crop where context_px is 0; even"
    )
    windows: int = knob(2, "full-resolution windows of each frame")
    workers: int = knob(1, "processes that prepare samples")

    flip: float = knob(0.5, "chance of a mirror image")
    scale_min: float = knob(0.5, "smallest size of the drawing (Kugler 0.5)")
    scale_max: float = knob(2.0, "largest size of the drawing (Kugler 2)")
    rotate_deg: float = knob(10.0, "largest rotation, either way (Kugler 10)")
    affine: float = knob(0.3, "chance that scale and rotation are applied")
    brightness: float = knob(0.2, "largest change of brightness")
    contrast: float = knob(0.2, "largest change of contrast")
    hue_deg: int = knob(20, "largest turn of the hue, degrees of 180")
    colour: float = knob(0.5, "chance that brightness, contrast and hue change")
    wear: float = knob(1.0, "share of what Kugler has not: saturation, gamma, channel swap, noise, JPEG")
    night: float = knob(0.0, "chance that a frame is graded down to dusk or night")
    erase: float = knob(0.1, "chance that rectangles are erased from frame and truth")
    erase_shapes: float = knob(0.0, "chance that irregular shapes are erased from frame and truth")
    replace_background: float = knob(0.2, "chance that the cel is put over another frame's background")
    texture: float = knob(0.1, "chance that cel or background gets a texture of its own")
    mask_noise: float = knob(0.5, "stage two: chance that a true mask is given to the network with errors")
    found_masks: float = knob(
        0.0,
        "stage two: chance that a frame of `data` comes with the mask that stage one finds there, which "
        "`python -m douga_training.found_masks` writes; validation has the true masks",
    )
    hard: float = knob(
        0.0,
        "share of the samples from `data` that show frames on which stage one fails: the mask that "
        f"`python -m douga_training.found_masks` writes has an IoU below {HARD_IOU}; the others show any",
    )

    loss: str = knob(
        "cross_entropy",
        "cross_entropy, weighted (by class frequency) or focal; cutouts: alpha (SSIM, MAE and IoU; gcn has "
        "cross-entropy beside them), or with isnet cross_entropy",
    )
    synchronisation: str = knob("l2", "isnet: how far features are from the teacher's: l2, kl or l1")
    class_weights: tuple[float, ...] = knob(
        (), "one weight a class instead of frequencies, with loss = weighted"
    )
    focal_gamma: float = knob(2.0, "exponent of the focal loss")
    dice: float = knob(0.0, "weight of a soft Dice term beside the loss above")
    dice_by_frame: bool = knob(
        False, "the Dice term scores every frame or window by itself, so that small figures count in full"
    )
    coarse: float = knob(0.4, "weight of the context road's own answer beside the final one")
    optimizer: str = knob("adamw", "adam or adamw")
    learning_rate: float = knob(1e-3, "peak; a linear warm-up leads to it, the schedule away from it")
    weight_decay: float = knob(1e-4, "adamw only")
    warmup_steps: int = knob(50, "length of the warm-up")
    schedule: str = knob(
        "cosine", "how the learning rate falls: cosine (half a wave), linear or halving (see halve_every)"
    )
    halve_every: int = knob(20, "epochs between two halvings of the learning rate (ToonOut 20)")
    final_rate: float = knob(0.02, "share of the learning rate that is left at the end; 1 keeps it constant")
    clip_norm: float = knob(5.0, "largest norm of the gradient")
    average: float = knob(
        0.995, "decay of the running average of the weights that is kept and validated; 0: none"
    )
    epochs: int = knob(
        0, "length of the run as passes over `data`, each validated and saved; 0: counted in steps"
    )
    steps: int = knob(1000, "length of the run")
    validate_every: int = knob(200, "steps between validations")
    checkpoint_every: int = knob(100, "steps between checkpoints that a killed run resumes from")
    patience: int = knob(0, "validations without a better score before the run stops; 0 never stops early")
    goal: float = knob(0.0, "the run stops once its score reaches this; 0: it does not")
    bf16: bool = knob(True, "autocast to bfloat16")
    device: str = knob("auto", "auto, cpu, cuda, cuda:1, mps")
    threads: int = knob(0, "threads of one process on the CPU; 0 leaves it to torch")
    seed: int = knob(1, "of weights, samples and augmentations")

    def __post_init__(self) -> None:
        self._check_choices()
        self._check_ranges()
        self._check_kind()
        if self.stage != "lines" and self.input_mode != "color":
            raise RecipeError(
                f"input_mode = {self.input_mode!r}: stage {self.stage} has no mask yet; use 'color'"
            )
        if self.found_masks and (self.stage != "lines" or self.input_mode not in GUESSED):
            raise RecipeError(
                f"found_masks = {self.found_masks}: only stage lines is given masks that are found, with "
                f"input_mode {' or '.join(GUESSED)}; use 0"
            )
        if (self.stage == "cutout" and self.kind != "isnet") != (self.loss == "alpha"):
            raise RecipeError(
                f"loss = {self.loss!r}: stage cutout wants 'alpha' (SSIM, MAE and IoU), which is for it alone"
                + (", and with kind isnet 'cross_entropy'" if self.kind == "isnet" else "")
            )
        if not self.data and (self.epochs or self.schedule == "halving"):
            raise RecipeError(
                "epochs and schedule halving count passes over a folder; set data, or use steps"
            )
        if self.hard and (self.epochs or self.schedule == "halving"):
            raise RecipeError(
                f"hard = {self.hard}: epochs and schedule halving show every frame once; use steps and "
                "another schedule, or hard = 0"
            )
        if self.crop_px % 2 or self.crop_px < 32:
            raise RecipeError(f"crop_px = {self.crop_px}: give an even size of at least 32")
        if self.kernel_size % 2 == 0:
            raise RecipeError(f"kernel_size = {self.kernel_size}: give an odd one, such as 25 or 49")
        if self.quarter_width and not self.detail_width:
            raise RecipeError(
                f"quarter_width = {self.quarter_width}: is a level of the full-resolution path, which "
                "detail_width = 0 leaves out; set it to 0 too"
            )
        if self.scale_min > self.scale_max:
            raise RecipeError(
                f"scale_min = {self.scale_min} is above scale_max = {self.scale_max}; swap them"
            )
        if not self.data and self.simulated < 1:
            raise RecipeError(
                'no training data: set data = "DIR" (douga simulate --out DIR) or simulated = 1'
            )
        if self.class_weights and len(self.class_weights) != self.classes:
            raise RecipeError(
                f"class_weights: expected {self.classes} numbers, got {len(self.class_weights)}"
            )

    def _check_choices(self) -> None:
        for name, choices in (
            ("stage", tuple(OUTPUTS)),
            ("kind", tuple(STAGES_OF)),
            ("encoder", ENCODERS),
            ("input_mode", INPUT_MODES),
            ("loss", LOSSES),
            ("optimizer", OPTIMIZERS),
            ("schedule", SCHEDULES),
            ("synchronisation", get_args(Synchronisation)),
        ):
            if getattr(self, name) not in choices:
                raise RecipeError(f"{name} = {getattr(self, name)!r}: choose one of {', '.join(choices)}")

    def _check_kind(self) -> None:
        """That the entries go with the kind of network."""
        if self.stage not in STAGES_OF[self.kind]:
            kinds = " or ".join(kind for kind, stages in STAGES_OF.items() if self.stage in stages)
            raise RecipeError(f"stage = {self.stage!r}: not learned by kind {self.kind!r}; use kind {kinds}")
        encoders = tuple(SWIN) if self.kind == "birefnet" else RESNETS
        if self.kind != "isnet" and self.encoder not in encoders:
            raise RecipeError(
                f"encoder = {self.encoder!r}: kind {self.kind} takes one of {', '.join(encoders)}"
            )
        if self.kind == "isnet" and self.width % 4:
            raise RecipeError(f"width = {self.width}: kind isnet wants a multiple of 4; published is 64")
        if self.kind == "gcn":
            return
        stride = _STRIDES[self.kind]
        if self.seen_px % stride or self.seen_px < 2 * stride:
            raise RecipeError(
                f"seen_px = {self.seen_px}: give a multiple of {stride}, at least {2 * stride}; published is "
                "1024"
            )
        if self.batch < 2:
            raise RecipeError("batch = 1: batch normalisation of maps of one pixel wants 2 or more")

    def _check_ranges(self) -> None:
        for entry in dataclasses.fields(self):
            name, value = entry.name, getattr(self, entry.name)
            if not isinstance(value, (int, float)) or isinstance(value, bool):
                continue
            if not math.isfinite(value) or value < 0:
                raise RecipeError(f"{name} = {value}: must be a number of at least zero")
            if name in _ABOVE_ZERO and value <= 0:
                raise RecipeError(f"{name} = {value}: must be above zero")
            if name in _SHARES and value > 1:
                raise RecipeError(f"{name} = {value}: must lie between 0 and 1")
        if self.dropout == 1 or self.average == 1:
            raise RecipeError("dropout and average: must be below 1, or nothing would be learned")

    @property
    def classes(self) -> int:
        """Outputs of the network."""
        return OUTPUTS[self.stage]

    @property
    def stride(self) -> int:
        """What the sides of the pictures are multiples of that birefnet and isnet are trained on."""
        return _STRIDES[self.kind]

    @property
    def network(self) -> NetworkConfig:
        """Config of the network that this recipe trains."""
        if self.kind == "birefnet":
            return dataclasses.replace(SWIN[self.encoder], dropout=self.dropout)
        if self.kind == "isnet":
            return IsNetConfig(self.width)
        return GcnConfig(
            classes=self.classes,
            in_channels=input_channels(self.input_mode),
            encoder=self.encoder,
            kernel_size=self.kernel_size,
            width=self.width,
            dropout=self.dropout,
            context_px=self.context_px,
            context_stride=self.context_stride,
            detail_width=self.detail_width,
            quarter_width=self.quarter_width,
        )


_TYPES = get_type_hints(Recipe)


def _convert(name: str, value: Any) -> Any:
    """A TOML or command-line value as the entry's type. Raises RecipeError."""
    if name not in _TYPES:
        raise RecipeError(f"unknown entry {name!r}; known are {', '.join(sorted(_TYPES))}")
    kind = _TYPES[name]
    try:
        if kind is bool:
            if isinstance(value, bool):
                return value
            return {"true": True, "false": False}[str(value).lower()]
        if kind is str:
            if not isinstance(value, str):
                raise TypeError
            return value
        if kind in (int, float):
            number = float(value)
            if isinstance(value, bool) or (kind is int and number != int(number)):
                raise ValueError
            return kind(number)
        items = [item for item in value.split(",") if item.strip()] if isinstance(value, str) else value
        return tuple(float(item) for item in items)
    except (ValueError, KeyError, TypeError, OverflowError) as exc:
        wanted = {bool: "true or false", int: "a whole number", float: "a number", str: "text in quotes"}
        raise RecipeError(f"{name} = {value!r}: expected {wanted.get(kind, 'a list of numbers')}") from exc


def read_recipe(path: Path | None, overrides: dict[str, Any] | None = None) -> Recipe:
    """Read a TOML recipe and lay overrides over it. Raises RecipeError.

    Entries are flat: tables are only headings, for people.
    """
    entries: dict[str, Any] = {}
    if path is not None:
        try:
            document = tomllib.loads(path.read_text("utf-8-sig"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as exc:
            raise RecipeError(f"{path}: not a readable TOML recipe ({exc}); see training/recipes/") from exc
        for key, value in document.items():
            entries.update(value if isinstance(value, dict) else {key: value})
    entries.update(overrides or {})
    return Recipe(**{name: _convert(name, value) for name, value in entries.items()})


def parse_arguments(argv: Sequence[str]) -> tuple[Recipe, bool]:
    """`RECIPE.toml --key value ... [--fresh]` -> the recipe, and whether to start anew, not to resume."""
    parser = argparse.ArgumentParser(
        prog="python -m douga.train",
        description="Train stage one, stage two or cutouts. A run that was stopped goes on where it was.",
        epilog="Example: python -m douga.train training/recipes/cel-small.toml --data data/train --steps 99",
    )
    parser.add_argument("recipe", type=Path, metavar="RECIPE.toml", help="the run, see training/recipes/")
    parser.add_argument("--fresh", action="store_true", help="start anew, even where a checkpoint is")
    for entry in dataclasses.fields(Recipe):
        flags = {f"--{entry.name}", f"--{entry.name.replace('_', '-')}"}
        parser.add_argument(
            *sorted(flags), dest=entry.name, metavar="X", help=f"{entry.metadata['help']} [{entry.default}]"
        )
    args = vars(parser.parse_args(argv))
    path, fresh = args.pop("recipe"), args.pop("fresh")
    return read_recipe(path, {name: value for name, value in args.items() if value is not None}), fresh
