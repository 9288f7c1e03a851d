"""The training loop: one file, top to bottom. `python -m douga.train RECIPE.toml --key value`."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
import torch.distributed as dist
from torch import Tensor, nn
from tqdm import tqdm

from douga.checkpoint import choose_device
from douga.errors import DougaError, RecipeError
from douga_training.data import Numbers, Samples, batches
from douga_training.folders import count_found, count_judged, open_folders
from douga_training.interrupt import Interrupted, stop_between_steps
from douga_training.learners import Learner, learner_of
from douga_training.learners.isnet import masks_recipe
from douga_training.logs import Logs
from douga_training.raw_cache import SceneFolder
from douga_training.recipe import Recipe, parse_arguments
from douga_training.run_state import BEST, LAST, RESUME, Run, resume, save_weights, write_checkpoint, written
from douga_training.schedule import epoch_steps, in_steps, learning_rate


def main(argv: Sequence[str] | None = None) -> int:
    """Command line entry. Returns the exit status."""
    try:
        recipe, fresh = parse_arguments(sys.argv[1:] if argv is None else argv)
        train(recipe, fresh=fresh)
    except DougaError as exc:
        print(f"douga: {exc}", file=sys.stderr)
        return 2
    except Interrupted as exc:
        print(f"douga: stopped at step {exc.step}; the same command goes on from there", file=sys.stderr)
        return 130
    except KeyboardInterrupt:
        print("douga: stopped; the same command goes on from the last checkpoint, if any", file=sys.stderr)
        return 130
    return 0


def train(recipe: Recipe, *, fresh: bool = False) -> dict[str, float]:
    """Run a recipe to its end, resuming where a checkpoint is unless `fresh`.

    Returns the scores of the last validation, empty where there was none. Raises RecipeError, InputError,
    CheckpointError, DeviceError and OutputError, and Interrupted where Ctrl-C has ended it.
    """
    if recipe.kind == "isnet" and recipe.stage == "cutout" and not recipe.teacher:
        recipe = _with_teacher(recipe, fresh=fresh)
    rank, world = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    if recipe.batch % world:
        raise RecipeError(f"batch = {recipe.batch}: does not divide among {world} processes; give a multiple")
    if recipe.kind != "gcn" and recipe.batch < 2 * world:
        raise RecipeError(f"batch = {recipe.batch}: give each of {world} processes 2 or more")
    device = _device(recipe, world)
    folders, held = open_folders(recipe)
    if recipe.threads:
        torch.set_num_threads(recipe.threads)
    _join_group(device, world)
    # Several processes would stop at different steps and wait for each other.
    stopping = stop_between_steps() if world == 1 else contextlib.nullcontext(threading.Event())
    try:
        with stopping as asked:
            return _train(recipe, folders, held, device, rank, world, asked, fresh=fresh)
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
    asked: threading.Event,
    *,
    fresh: bool,
) -> dict[str, float]:
    """The loop itself, from top to bottom. It is longer than most functions so that it can be read as one.

    asked: is set where the user wants it to stop.
    """
    learner = learner_of(recipe)
    samples = learner.samples(folders)
    judged = learner.samples(held, validation=True) if held else None
    recipe, epoch = in_steps(recipe, samples.total), epoch_steps(recipe, samples.total)
    out = Path(recipe.out)
    run = _start(recipe, learner, device, None if fresh else out / RESUME)
    learner.prepare(samples, device)
    loader = iter(
        batches(samples, Numbers(run.step, recipe.steps, recipe.batch, rank, world), recipe.workers)
    )
    logs = Logs(out, run.step) if rank == 0 else None
    if rank == 0:
        frames = f"{samples.total} frames" if recipe.simulated < 1 else "frames drawn on the fly"
        print(f"douga: {recipe.stage} on {device}, {frames}, step {run.step} of {recipe.steps} -> {out}")
        if held:
            print(f"douga: {count_judged(recipe, held)}")
        if recipe.found_masks:
            print(f"douga: {count_found(folders)}")
        if recipe.hard:
            print(f"douga: {len(samples.hard)} frames are hard; {recipe.hard:.0%} of the samples show these")
        if run.step >= recipe.steps:
            print("douga: nothing is left to do; more --steps go on from here, --fresh begins anew")
    progress = tqdm(total=recipe.steps, initial=run.step, unit="step", disable=rank != 0, mininterval=5.0)
    scores: dict[str, float] = {}
    with progress:
        if judged and recipe.init_from and run.step == 0 and rank == 0:
            scores = _validate(recipe, learner, run, judged, device, logs)  # never worse than the start
        stop = _agree(_is_enough(recipe, run), device, world)
        while run.step < recipe.steps and not stop:
            run.network.train()
            rate = learning_rate(recipe, run.step, epoch)
            for group in run.optimizer.param_groups:
                group["lr"] = rate
            # Dropout's random numbers depend on the step alone, so a resumed run goes on exactly as it would
            # have.
            torch.manual_seed(recipe.seed * 1_000_003 + run.step * world + rank)
            batch = {key: value.to(device, non_blocking=True) for key, value in _next(loader).items()}
            with torch.autocast(device.type, torch.bfloat16, enabled=recipe.bf16):
                loss = learner.loss(run.network, batch)
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
                if logs:
                    logs.trained(run.step, loss=loss.item(), learning_rate=rate, gradient_norm=norm.item())

            done = run.step == recipe.steps
            if judged and (done or run.step % recipe.validate_every == 0):
                if rank == 0:
                    scores = _validate(recipe, learner, run, judged, device, logs)
                stop = _agree(_is_enough(recipe, run), device, world)
            last = done or stop or asked.is_set()
            if rank == 0 and (last or run.step % recipe.checkpoint_every == 0):
                written(partial(write_checkpoint, out, run, recipe, learner), must=last)
            if asked.is_set():
                break
        if stop and rank == 0:
            tqdm.write(f"douga: {_why(recipe, run)}; stopped at step {run.step}")
    if logs:
        logs.close()
    if asked.is_set() and run.step < recipe.steps:
        raise Interrupted(run.step)
    return scores


def _next(loader: Iterator[dict[str, Tensor]]) -> dict[str, Tensor]:
    """The next batch; what a worker process cannot read is said in one sentence, without its traceback."""
    try:
        return next(loader)
    except DougaError as exc:
        said = str(exc)
        if not said.startswith("Caught "):
            raise
        raise type(exc)(said.rpartition(f"{type(exc).__name__}: ")[2].strip()) from None


def _with_teacher(recipe: Recipe, *, fresh: bool) -> Recipe:
    """Train the encoder of masks that an IS-Net's recipe names none of, or find it trained."""
    masks = masks_recipe(recipe)
    train(masks, fresh=fresh)
    best = Path(masks.out) / BEST
    return replace(recipe, teacher=str(best if best.is_file() else Path(masks.out) / LAST))


def _device(recipe: Recipe, world: int) -> torch.device:
    """One device a process: where torchrun started several, each takes the GPU of its own number."""
    if world > 1 and recipe.device in ("auto", "cuda") and torch.cuda.is_available():
        return choose_device(f"cuda:{os.environ.get('LOCAL_RANK', '0')}")
    return choose_device(recipe.device)


def _start(recipe: Recipe, learner: Learner, device: torch.device, checkpoint: Path | None) -> Run:
    """Network, average and optimizer, new or as the checkpoint holds them."""
    torch.manual_seed(recipe.seed)
    network = learner.new_network()
    network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stubs lag
    adam = torch.optim.AdamW if recipe.optimizer == "adamw" else torch.optim.Adam
    decay = recipe.weight_decay if recipe.optimizer == "adamw" else 0.0
    optimizer = adam(network.parameters(), recipe.learning_rate, weight_decay=decay)
    run = Run(network, deepcopy(network).requires_grad_(False), optimizer)
    if checkpoint is not None and checkpoint.is_file():
        resume(checkpoint, run, recipe, device)
    return run


def _is_enough(recipe: Recipe, run: Run) -> bool:
    """True where a run may stop before its last step."""
    return bool(recipe.patience and run.stale >= recipe.patience) or _is_there(recipe, run)


def _is_there(recipe: Recipe, run: Run) -> bool:
    return bool(recipe.goal and run.best >= recipe.goal)


def _why(recipe: Recipe, run: Run) -> str:
    if _is_there(recipe, run):
        return "goal reached"
    return f"no better score in {recipe.patience} validations"


@torch.no_grad()
def _follow(average: nn.Module, network: nn.Module, decay: float) -> None:
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
    recipe: Recipe, learner: Learner, run: Run, judged: Samples, device: torch.device, logs: Logs | None
) -> dict[str, float]:
    """Score the averaged weights, log it, and keep them where they are the best so far."""
    run.average.eval()
    loader = batches(judged, judged.judging(), 0)
    scores = learner.scores(run.average, loader, device)
    tqdm.write(f"step {run.step}: " + ", ".join(f"{key} {value:.3f}" for key, value in scores.items()))
    if logs:
        logs.judged(run.step, scores, lambda: learner.picture(run.average, next(iter(loader)), device))
    run.stale += 1
    save = partial(save_weights, Path(recipe.out) / BEST, run, recipe, learner)
    if scores["score"] > run.best and written(save):
        run.best, run.stale = scores["score"], 0
    return scores


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


def _share_gradients(network: nn.Module, world: int) -> None:
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
