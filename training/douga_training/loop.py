"""The training loop: one file, top to bottom. `python -m douga.train RECIPE.toml --key value`."""

from __future__ import annotations

import contextlib
import json
import math
import os
import sys
import time
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from tqdm import tqdm

from douga import __version__
from douga.checkpoint import WeightsInfo, choose_device, load_network, save_network
from douga.errors import CheckpointError, DougaError
from douga.frame_io import atomic_path
from douga.networks.gcn import Gcn
from douga_training import losses
from douga_training.data import Numbers, Samples, batches, open_folders
from douga_training.recipe import Recipe, parse_arguments
from douga_training.validate import sample_picture, score_cel, score_lines

RESUME = "last.pt"  # everything that a killed run needs to go on exactly
BEST, LAST = "best.safetensors", "last.safetensors"


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


def train(recipe: Recipe, *, fresh: bool = False) -> dict[str, float]:
    """Run a recipe to its end, resuming where a checkpoint is. Returns the last validation's scores."""
    rank, world = _join_group()
    device = choose_device(recipe.device if world == 1 or recipe.device == "cpu" else f"cuda:{rank}")
    if recipe.threads:
        torch.set_num_threads(recipe.threads)
    if recipe.batch % world:
        raise CheckpointError(f"batch = {recipe.batch} does not divide among {world} processes")
    torch.manual_seed(recipe.seed)
    out = Path(recipe.out)
    folders, held = open_folders(recipe)
    samples = Samples(recipe, folders)
    judged = Samples(recipe, held, validation=True) if held else None

    network = _new_network(recipe).to(device, memory_format=torch.channels_last)
    average = deepcopy(network).requires_grad_(False)
    adam = torch.optim.AdamW if recipe.optimizer == "adamw" else torch.optim.Adam
    optimizer = adam(
        network.parameters(),
        recipe.learning_rate,
        weight_decay=recipe.weight_decay if recipe.optimizer == "adamw" else 0.0,
    )
    weights = _class_weights(recipe, samples).to(device)
    step, best, stale, scores = 0, -1.0, 0, {}
    if not fresh and (out / RESUME).is_file():
        step, best, stale = _resume(out / RESUME, network, average, optimizer, device)

    loader = iter(batches(samples, Numbers(step, recipe.steps, recipe.batch, rank, world), recipe.workers))
    writer = _writer(out) if rank == 0 else None
    if rank == 0:
        frames = sum(len(f) for f in folders)
        print(f"douga: training {recipe.stage} on {device}, {frames} frames, step {step} of {recipe.steps} -> {out}")
    progress = tqdm(total=recipe.steps, initial=step, unit="step", disable=rank != 0, mininterval=5.0)
    while step < recipe.steps:
        network.train()
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(recipe, step)
        # Dropout's random numbers depend on the step alone, so a resumed run goes on exactly as the first would have.
        torch.manual_seed(recipe.seed * 1_000_003 + step * world + rank)
        batch = {key: value.to(device, non_blocking=True) for key, value in next(loader).items()}
        with torch.autocast(device.type, torch.bfloat16, enabled=recipe.bf16):
            loss = _loss(recipe, network, batch, weights)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        _share_gradients(network, world)
        norm = torch.nn.utils.clip_grad_norm_(network.parameters(), recipe.clip_norm)
        if torch.isfinite(norm):  # one bad batch must not end a night's training
            optimizer.step()
        step += 1
        _follow(average, network, min(recipe.average, step / (step + 10)))
        progress.update()
        progress.set_postfix(loss=f"{loss.item():.3f}", refresh=False)
        if writer and step % 10 == 0:
            writer.add_scalar("train/loss", loss.item(), step)
            writer.add_scalar("train/learning_rate", learning_rate(recipe, step), step)
            writer.add_scalar("train/gradient_norm", norm.item(), step)

        done = step == recipe.steps
        if judged and rank == 0 and (done or step % recipe.validate_every == 0):
            scores = _validate(recipe, average, judged, device, writer, step)
            stale = 0 if scores["score"] > best else stale + 1
            if scores["score"] > best:
                best = scores["score"]
                _save(out / BEST, average, recipe, step)
        stop = _agree(bool(recipe.patience and stale >= recipe.patience), device, world)
        if rank == 0 and (done or stop or step % recipe.checkpoint_every == 0):
            _checkpoint(out, network, average, optimizer, recipe, step, best, stale)
        if stop:
            print(f"douga: no better score in {recipe.patience} validations; stopped at step {step}")
            break
    progress.close()
    if writer:
        writer.close()
    if world > 1:
        dist.destroy_process_group()
    return scores


def learning_rate(recipe: Recipe, step: int) -> float:
    """Linear warm-up, then half a cosine down to `final_rate` of the peak."""
    if step < recipe.warmup_steps:
        return recipe.learning_rate * (step + 1) / recipe.warmup_steps
    share = (step - recipe.warmup_steps) / max(1, recipe.steps - recipe.warmup_steps)
    down = 0.5 * (1 + math.cos(math.pi * min(1.0, share)))
    return recipe.learning_rate * (recipe.final_rate + (1 - recipe.final_rate) * down)


def _loss(recipe: Recipe, network: Gcn, batch: dict[str, Tensor], weights: Tensor) -> Tensor:
    """The recipe's loss on one batch; the networks' answers are compared in float32."""
    if recipe.stage == "lines":
        return _pixel_loss(recipe, network(batch["image"]).float(), batch["ids"], weights)
    coarse, windows = network.forward_windows(batch["small"], batch["windows"], batch["boxes"])
    fine = _pixel_loss(recipe, windows.float(), batch["ids"].flatten(0, 1), weights)
    return fine + recipe.coarse * _pixel_loss(recipe, coarse.float(), batch["small_ids"], weights)


def _pixel_loss(recipe: Recipe, logits: Tensor, ids: Tensor, weights: Tensor) -> Tensor:
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
    for number in range(48):
        counts += torch.bincount(samples[-1 - number]["ids"].flatten(), minlength=recipe.classes)
    return losses.frequency_weights(counts)


def _new_network(recipe: Recipe) -> Gcn:
    network = Gcn(recipe.network)
    if recipe.init_from:
        start = load_network(recipe.init_from, "cpu")
        if start.info.config != recipe.network:
            raise CheckpointError(
                f"init_from = {recipe.init_from}: its network {start.info.config} is not the recipe's "
                f"{recipe.network}; make the recipe's entries equal"
            )
        network.load_state_dict(start.network.state_dict())
    return network


@torch.no_grad()
def _follow(average: Gcn, network: Gcn, decay: float) -> None:
    """Move the running average of the weights a little towards them; statistics of normalisation are copied."""
    here = network.state_dict()
    for key, value in average.state_dict().items():
        if value.is_floating_point() and "running" not in key:
            value.lerp_(here[key], 1 - decay)
        else:
            value.copy_(here[key])


# -- validation and files -------------------------------------------------------------------------------------


@torch.inference_mode()
def _validate(
    recipe: Recipe, network: Gcn, judged: Samples, device: torch.device, writer: Any, step: int
) -> dict[str, float]:
    network.eval()
    # Each held-back frame twice: as it is, and as broadcast where it has a twin.
    numbers = Numbers(0, math.ceil(2 * judged.total / recipe.batch), recipe.batch, 0, 1)
    loader = batches(judged, numbers, 0)
    score = score_cel if recipe.stage == "cel" else score_lines
    scores = score(network, loader, device)
    tqdm.write(f"step {step}: " + ", ".join(f"{key} {value:.3f}" for key, value in scores.items()))
    with open(Path(recipe.out) / "scores.jsonl", "a", encoding="utf-8") as file:
        file.write(json.dumps({"step": step, "time": round(time.time()), **scores}) + "\n")
    if writer:
        for key, value in scores.items():
            writer.add_scalar(f"validation/{key}", value, step)
        picture = sample_picture(network, next(iter(loader)), device)
        writer.add_image("validation/input, answer, truth", picture, step, dataformats="HWC")
    return scores


def _writer(out: Path) -> Any:
    from torch.utils.tensorboard import SummaryWriter

    out.mkdir(parents=True, exist_ok=True)
    return SummaryWriter(str(out / "tensorboard"))


def _save(path: Path, network: Gcn, recipe: Recipe, step: int) -> None:
    settings = {key: value for key, value in asdict(recipe).items() if key not in ("out", "device", "threads")}
    info = WeightsInfo(recipe.stage, recipe.network, recipe.input_mode, step, settings, __version__)
    save_network(path, network, info)


def _checkpoint(
    out: Path,
    network: Gcn,
    average: Gcn,
    optimizer: torch.optim.Optimizer,
    recipe: Recipe,
    step: int,
    best: float,
    stale: int,
) -> None:
    """Weights to use (averaged, half precision) and the whole state to resume from (exact)."""
    _save(out / LAST, average, recipe, step)
    state = {
        "network": network.state_dict(),
        "average": average.state_dict(),
        "optimizer": optimizer.state_dict(),
        "step": step,
        "best": best,
        "stale": stale,
        "recipe": asdict(recipe),
    }
    with atomic_path(out / RESUME) as temporary:
        torch.save(state, temporary)


def _resume(
    path: Path, network: Gcn, average: Gcn, optimizer: torch.optim.Optimizer, device: torch.device
) -> tuple[int, float, int]:
    try:
        state = torch.load(path, map_location=device, weights_only=True)
        network.load_state_dict(state["network"])
        average.load_state_dict(state["average"])
        optimizer.load_state_dict(state["optimizer"])
    except (RuntimeError, KeyError, EOFError, OSError, ValueError) as exc:
        raise CheckpointError(f"{path}: cannot go on from it ({exc}); start anew with --fresh or another --out") from exc
    return state["step"], state["best"], state["stale"]


# -- several processes ------------------------------------------------------------------------------------------


def _join_group() -> tuple[int, int]:
    """Rank and number of processes; one process unless `torchrun` started this."""
    world = int(os.environ.get("WORLD_SIZE", "1"))
    if world == 1:
        return 0, 1
    # After a killed rank a shared store may never let the group form again.
    os.environ.setdefault("TORCH_DISABLE_SHARE_RDZV_TCP_STORE", "1")
    dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    return dist.get_rank(), world


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
