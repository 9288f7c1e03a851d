"""The training loop: one file, top to bottom. `python -m douga.train RECIPE.toml --key value`."""

from __future__ import annotations

import contextlib
import json
import math
import os
import sys
import time
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from tqdm import tqdm

from douga import __version__
from douga.checkpoint import WeightsInfo, choose_device, in_short, load_network, save_network
from douga.errors import CheckpointError, DougaError, OutputError, RecipeError
from douga.frame_io import atomic_path
from douga.networks.gcn import Gcn, GcnConfig
from douga_training import losses
from douga_training.alpha_losses import pixel_loss
from douga_training.data import COUNTING, Numbers, Samples, batches, open_folders
from douga_training.raw_cache import SceneFolder
from douga_training.recipe import Recipe, parse_arguments
from douga_training.validate import SCORES_OF, sample_picture

RESUME = "last.pt"  # everything that a killed run needs to go on exactly
BEST, LAST = "best.safetensors", "last.safetensors"
SCORES = "scores.jsonl"
_COUNTED = 48  # samples that class frequencies are taken from


def main(argv: Sequence[str] | None = None) -> int:
    """Command line entry. Returns the exit status."""
    try:
        recipe, fresh = parse_arguments(sys.argv[1:] if argv is None else argv)
        train(recipe, fresh=fresh)
    except DougaError as exc:
        print(f"douga: {exc}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("douga: stopped; the same command goes on from the last checkpoint", file=sys.stderr)
        return 130
    return 0


@dataclass
class _Run:
    """Everything that changes while a run goes on. average: the running average of weights, which is kept.

    best: the best score so far. stale: validations since then.
    """

    network: Gcn
    average: Gcn
    optimizer: torch.optim.Optimizer
    step: int = 0
    best: float = -1.0
    stale: int = 0


def train(recipe: Recipe, *, fresh: bool = False) -> dict[str, float]:
    """Run a recipe to its end, resuming where a checkpoint is unless `fresh`.

    Returns the scores of the last validation, empty where there was none. Raises RecipeError, InputError,
    CheckpointError, DeviceError and OutputError.
    """
    rank, world = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    if recipe.batch % world:
        raise RecipeError(f"batch = {recipe.batch}: does not divide among {world} processes; give a multiple")
    device = _device(recipe, world)
    folders, held = open_folders(recipe)
    if recipe.threads:
        torch.set_num_threads(recipe.threads)
    _join_group(device, world)
    try:
        return _train(recipe, folders, held, device, rank, world, fresh=fresh)
    finally:
        if world > 1:
            dist.destroy_process_group()


def _train(
    recipe: Recipe,
    folders: list[SceneFolder],
    held: list[SceneFolder],
    device: torch.device,
    rank: int,
    world: int,
    *,
    fresh: bool,
) -> dict[str, float]:
    """The loop itself, from top to bottom. It is longer than most functions so that it can be read as one."""
    samples = Samples(recipe, folders)
    judged = Samples(recipe, held, validation=True) if held else None
    out = Path(recipe.out)
    run = _start(recipe, device, None if fresh else out / RESUME)
    weights = _class_weights(recipe, samples).to(device)
    loader = iter(
        batches(samples, Numbers(run.step, recipe.steps, recipe.batch, rank, world), recipe.workers)
    )
    writer = _open_logs(out, run.step) if rank == 0 else None
    if rank == 0:
        frames = f"{samples.total} frames" if recipe.simulated < 1 else "frames drawn on the fly"
        print(f"douga: {recipe.stage} on {device}, {frames}, step {run.step} of {recipe.steps} -> {out}")
    progress = tqdm(total=recipe.steps, initial=run.step, unit="step", disable=rank != 0, mininterval=5.0)
    scores: dict[str, float] = {}
    if judged and recipe.init_from and run.step == 0 and rank == 0:
        scores = _validate(recipe, run, judged, device, writer)  # the best is never worse than the start
    stop = _is_stale(recipe, run)
    while run.step < recipe.steps and not stop:
        run.network.train()
        rate = learning_rate(recipe, run.step)
        for group in run.optimizer.param_groups:
            group["lr"] = rate
        # Dropout's random numbers depend on the step alone, so a resumed run goes on exactly as it would
        # have.
        torch.manual_seed(recipe.seed * 1_000_003 + run.step * world + rank)
        batch = {key: value.to(device, non_blocking=True) for key, value in next(loader).items()}
        with torch.autocast(device.type, torch.bfloat16, enabled=recipe.bf16):
            loss = _loss(recipe, run.network, batch, weights)
        run.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        _share_gradients(run.network, world)
        norm = torch.nn.utils.clip_grad_norm_(run.network.parameters(), recipe.clip_norm)
        if torch.isfinite(norm):  # one bad batch must not end a night's training
            run.optimizer.step()
        run.step += 1
        _follow(run.average, run.network, min(recipe.average, run.step / (run.step + 10)))
        progress.update()
        if run.step % 10 == 0:
            progress.set_postfix(loss=f"{loss.item():.3f}", refresh=False)
            _log(writer, run.step, loss=loss.item(), learning_rate=rate, gradient_norm=norm.item())

        done = run.step == recipe.steps
        if judged and (done or run.step % recipe.validate_every == 0):
            if rank == 0:
                scores = _validate(recipe, run, judged, device, writer)
            stop = _agree(_is_stale(recipe, run), device, world)
        if rank == 0 and (done or stop or run.step % recipe.checkpoint_every == 0):
            _checkpoint(out, run, recipe)
    if stop and rank == 0:
        tqdm.write(f"douga: no better score in {recipe.patience} validations; stopped at step {run.step}")
    progress.close()
    if writer:
        writer.close()
    return scores


def _device(recipe: Recipe, world: int) -> torch.device:
    """One device a process: where torchrun started several, each takes the GPU of its own number."""
    if world > 1 and recipe.device in ("auto", "cuda") and torch.cuda.is_available():
        return choose_device(f"cuda:{os.environ.get('LOCAL_RANK', '0')}")
    return choose_device(recipe.device)


def _start(recipe: Recipe, device: torch.device, checkpoint: Path | None) -> _Run:
    """Network, average and optimizer, new or as the checkpoint holds them."""
    torch.manual_seed(recipe.seed)
    network = _new_network(recipe).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    adam = torch.optim.AdamW if recipe.optimizer == "adamw" else torch.optim.Adam
    decay = recipe.weight_decay if recipe.optimizer == "adamw" else 0.0
    optimizer = adam(network.parameters(), recipe.learning_rate, weight_decay=decay)
    run = _Run(network, deepcopy(network).requires_grad_(False), optimizer)
    if checkpoint is not None and checkpoint.is_file():
        _resume(checkpoint, run, device)
    return run


def _is_stale(recipe: Recipe, run: _Run) -> bool:
    return bool(recipe.patience and run.stale >= recipe.patience)


def learning_rate(recipe: Recipe, step: int) -> float:
    """Linear warm-up, then down to `final_rate` of the peak, along half a cosine or a line."""
    if step < recipe.warmup_steps:
        return recipe.learning_rate * (step + 1) / recipe.warmup_steps
    share = min(1.0, (step - recipe.warmup_steps) / max(1, recipe.steps - recipe.warmup_steps))
    down = 1 - share if recipe.schedule == "linear" else 0.5 * (1 + math.cos(math.pi * share))
    return recipe.learning_rate * (recipe.final_rate + (1 - recipe.final_rate) * down)


def _loss(recipe: Recipe, network: Gcn, batch: dict[str, Tensor], weights: Tensor) -> Tensor:
    """The recipe's loss on one batch; the networks' answers are compared in float32."""
    if "image" in batch:
        ids = batch["ids"]
        coarse, answer = network.forward_both(batch["image"])
        small_ids = _shrink_ids(ids, coarse.shape[-2:])
    else:
        ids, small_ids = batch["ids"].flatten(0, 1), batch["small_ids"]
        coarse, answer = network.forward_windows(batch["small"], batch["windows"], batch["boxes"])
    fine = _pixel_loss(recipe, answer.float(), ids, weights)
    return fine + recipe.coarse * _pixel_loss(recipe, coarse.float(), small_ids, weights)


def _shrink_ids(ids: Tensor, size_hw: Sequence[int]) -> Tensor:
    """Class ids (B, H, W) at the context road's size: each cell's middle pixel."""
    (h, w), device = ids.shape[-2:], ids.device
    rows = (torch.arange(size_hw[0], device=device) * 2 + 1) * h // (2 * size_hw[0])
    columns = (torch.arange(size_hw[1], device=device) * 2 + 1) * w // (2 * size_hw[1])
    return ids[:, rows][:, :, columns]


def _pixel_loss(recipe: Recipe, logits: Tensor, ids: Tensor, weights: Tensor) -> Tensor:
    if recipe.loss == "alpha":
        return pixel_loss(logits.sigmoid(), ids[:, None])
    if recipe.loss == "focal":
        loss = losses.focal(logits, ids, gamma=recipe.focal_gamma)
    else:
        loss = losses.cross_entropy(logits, ids, weights if recipe.loss == "weighted" else None)
    return loss + recipe.dice * losses.dice(logits, ids) if recipe.dice else loss


def _class_weights(recipe: Recipe, samples: Samples) -> Tensor:
    """The recipe's own weights, or the reciprocal frequencies of a few samples."""
    if recipe.class_weights or recipe.loss != "weighted":
        return torch.tensor(recipe.class_weights or (1.0,) * recipe.classes)
    counts = torch.zeros(recipe.classes)
    for number in range(COUNTING, COUNTING + _COUNTED):
        counts += torch.bincount(samples[number]["ids"].flatten(), minlength=recipe.classes)
    return losses.frequency_weights(counts)


def _new_network(recipe: Recipe) -> Gcn:
    network = Gcn(recipe.network)
    if recipe.init_from:
        start = load_network(recipe.init_from, "cpu", fused=False)
        config, state = start.info.config, start.network.state_dict()
        if not isinstance(config, GcnConfig):
            raise CheckpointError(
                f"init_from = {recipe.init_from}: of kind {start.info.kind!r}; give weights of kind 'gcn'"
            )
        if recipe.stage == "cutout" and start.info.stage == "cel":
            config, state = replace(config, classes=1), _as_alpha(state)
        # How large the context road sees the frame, and dropout, belong to a run and not to the weights.
        free = {key: getattr(recipe.network, key) for key in ("context_px", "context_stride", "dropout")}
        if replace(config, **free) != recipe.network:
            raise CheckpointError(
                f"init_from = {recipe.init_from}: its network {config} is not the recipe's "
                f"{recipe.network}; make the recipe's entries equal"
            )
        network.load_state_dict(state)
    return network


def _as_alpha(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Stage one's weights as a cutout network that answers the same: how much rather cel than background."""
    ends = ("coarse.", "detail.last.2.")
    return {key: value[1:] - value[:1] if key.startswith(ends) else value for key, value in state.items()}


@torch.no_grad()
def _follow(average: Gcn, network: Gcn, decay: float) -> None:
    """Move the average of the weights a little towards them.

    The statistics of normalisation move at the same pace: those of today would not fit weights of the past.
    """
    here = network.state_dict()
    for key, value in average.state_dict().items():
        if value.is_floating_point():
            value.lerp_(here[key], 1 - decay)
        else:
            value.copy_(here[key])


# -- validation and files
# -------------------------------------------------------------------------------------


@torch.inference_mode()
def _validate(
    recipe: Recipe, run: _Run, judged: Samples, device: torch.device, writer: Any
) -> dict[str, float]:
    """Score the averaged weights, log it, and keep them where they are the best so far."""
    run.average.eval()
    # Each held-back frame twice: as it is, and as broadcast where it has a twin.
    numbers = Numbers(0, math.ceil(2 * judged.total / recipe.batch), recipe.batch, 0, 1)
    loader = batches(judged, numbers, 0)
    scores = SCORES_OF[recipe.stage](run.average, loader, device)
    tqdm.write(f"step {run.step}: " + ", ".join(f"{key} {value:.3f}" for key, value in scores.items()))
    with open(Path(recipe.out) / SCORES, "a", encoding="utf-8") as file:
        file.write(json.dumps({"step": run.step, "time": round(time.time()), **scores}) + "\n")
    if writer:
        for key, value in scores.items():
            writer.add_scalar(f"validation/{key}", value, run.step)
        picture = sample_picture(run.average, next(iter(loader)), device)
        writer.add_image("validation/input, answer, truth", picture, run.step, dataformats="HWC")
    run.stale += 1
    if scores["score"] > run.best:
        run.best, run.stale = scores["score"], 0
        _save(Path(recipe.out) / BEST, run.average, recipe, run.step)
    return scores


def _open_logs(out: Path, step: int) -> Any:
    """TensorBoard's writer, and the list of scores without those of steps that are still to come (again)."""
    from torch.utils.tensorboard import SummaryWriter

    try:
        out.mkdir(parents=True, exist_ok=True)
        if (out / SCORES).is_file():
            lines = (out / SCORES).read_text("utf-8").splitlines(keepends=True)
            kept = "".join(line for line in lines if json.loads(line)["step"] <= step)
            with atomic_path(out / SCORES) as temporary:
                temporary.write_text(kept, "utf-8")
        return SummaryWriter(str(out / "tensorboard"), purge_step=step + 1)
    except OSError as exc:
        raise OutputError(f"{out}: cannot be written ({exc.strerror}); choose another --out") from exc
    except (ValueError, KeyError) as exc:
        raise OutputError(f"{out / SCORES}: not a list of scores ({exc}); move it away") from exc


def _log(writer: Any, step: int, **values: float) -> None:
    if writer:
        for key, value in values.items():
            writer.add_scalar(f"train/{key}", value, step)


# Entries that say where a run took place, not what was trained; a studio's paths are its own business.
_OF_THE_MACHINE = ("out", "device", "threads", "data", "validation", "init_from")


def _save(path: Path, network: Gcn, recipe: Recipe, step: int) -> None:
    settings = {key: value for key, value in asdict(recipe).items() if key not in _OF_THE_MACHINE}
    info = WeightsInfo(recipe.stage, recipe.network, recipe.input_mode, step, settings, __version__)
    save_network(path, network, info)


def _checkpoint(out: Path, run: _Run, recipe: Recipe) -> None:
    """Weights to use (averaged, half precision) and the whole state to resume from (exact)."""
    _save(out / LAST, run.average, recipe, run.step)
    state = {
        "network": run.network.state_dict(),
        "average": run.average.state_dict(),
        "optimizer": run.optimizer.state_dict(),
        "step": run.step,
        "best": run.best,
        "stale": run.stale,
        "recipe": asdict(recipe),
    }
    with atomic_path(out / RESUME) as temporary:
        torch.save(state, temporary)


def _resume(path: Path, run: _Run, device: torch.device) -> None:
    try:
        state = torch.load(path, map_location=device, weights_only=True)
        run.network.load_state_dict(state["network"])
        run.average.load_state_dict(state["average"])
        run.optimizer.load_state_dict(state["optimizer"])
        run.step, run.best, run.stale = state["step"], state["best"], state["stale"]
    except (RuntimeError, KeyError, TypeError, EOFError, OSError, ValueError, UnpicklingError) as exc:
        raise CheckpointError(
            f"{path}: cannot go on from it ({in_short(exc)}); start anew with --fresh or another --out"
        ) from exc


# -- several processes
# ------------------------------------------------------------------------------------------


def _join_group(device: torch.device, world: int) -> None:
    """Meet the other processes that `torchrun` started, if it did."""
    if world == 1:
        return
    # After a killed rank a shared store may never let the group form again.
    os.environ.setdefault("TORCH_DISABLE_SHARE_RDZV_TCP_STORE", "1")
    if device.type == "cuda":
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")


def _share_gradients(network: Gcn, world: int) -> None:
    if world > 1:
        for parameter in network.parameters():
            if parameter.grad is not None:
                dist.all_reduce(parameter.grad)
                parameter.grad /= world


def _agree(stop: bool, device: torch.device, world: int) -> bool:
    """True in every process once the first one wants to stop."""
    if world == 1:
        return stop
    flag = torch.tensor([int(stop)], device=device)
    dist.broadcast(flag, 0)
    return bool(flag.item())


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError):
        sys.exit(main())
