"""The raw loop: the same networks on the same frame in this process, beside the server that is measured."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from douga.errors import InputError
from douga.pipeline import Seen, Stages, see
from douga.postprocess import clean_douga
from douga.types import ClassMap, Frame
from douga_server.bench_report import Raw
from douga_server.codec_client import ServerInfo
from douga_server.jobs import DEFAULT_LINE_WIDTH_PX

_TOGETHER = 2


def raw_stages(info: ServerInfo) -> Stages:
    """Load here what a server uses by default. Raises CheckpointError, DeviceError, InputError for others."""
    from douga.cel import find_cel
    from douga.checkpoint import choose_device, load_network
    from douga.lines import find_lines

    device = choose_device(info.description.devices[0])
    networks = {}
    for model in info.description.models:
        if model.is_default and model.stage in ("cel", "lines"):
            networks[model.stage] = load_network(model.name, device)
            if networks[model.stage].sha256 != model.sha256:
                raise InputError(
                    f"--compare-raw: the {model.stage} weights {model.name} here are others than the server's"
                )
    return Stages(
        lambda frame: find_cel(frame, networks["cel"]),
        lambda frame, mask: find_lines(frame, mask, networks["lines"]),
    )


def compare(frame: Frame, stages: Stages, serve: Callable[[], object], *, rounds: int, calls: int) -> Raw:
    """Turn by turn, so that whatever else the machine does hits both alike.

    serve: one call, waited for. calls: of each kind in a round, at least 2. What comes of a round's first is
    thrown away. The raw loop with two frames at a time looks at the next while the last is cleaned, as any
    sensible loop would.
    """
    here: list[float] = []
    there: list[float] = []
    together_s = served_s = 0.0
    # The networks on a thread beside the main one, as in the server: with as many threads as cores and no
    # more, OpenMP's wait by spinning, and on a busy machine a frame takes four times as long.
    with ThreadPoolExecutor(1, thread_name_prefix="networks") as networks:

        def look() -> Seen:
            return networks.submit(see, frame, stages).result()

        for _ in range(rounds):
            here += _one_by_one(lambda: _clean(look()), calls)
            there += _one_by_one(serve, calls)
            together_s += _overlapped(look, calls)
            served_s += _side_by_side(serve, calls)
    frames = rounds * calls
    return Raw(here, there, frames / together_s, frames / served_s)


def _clean(seen: Seen) -> ClassMap:
    """What the server does after the networks; the layers are made by whoever asked."""
    return clean_douga(seen.probabilities, seen.frame.rgb, seen.cel_mask, line_width_px=DEFAULT_LINE_WIDTH_PX)


def _one_by_one(work: Callable[[], object], calls: int) -> list[float]:
    took_s = []
    for _ in range(calls + 1):
        begun_s = time.perf_counter()
        work()
        took_s.append(time.perf_counter() - begun_s)
    return took_s[1:]


def _overlapped(look: Callable[[], Seen], calls: int) -> float:
    """Seconds for so many frames: the networks on their thread, the cleaning on another."""
    with ThreadPoolExecutor(1) as cleaner:
        begun_s = time.perf_counter()
        last = None
        for _ in range(calls):
            seen = look()
            if last is not None:
                last.result()  # so that no more than two frames are under way
            last = cleaner.submit(_clean, seen)
        if last is not None:
            last.result()
        return time.perf_counter() - begun_s


def _side_by_side(serve: Callable[[], object], calls: int) -> float:
    """Seconds for so many calls, two under way."""
    with ThreadPoolExecutor(_TOGETHER) as pool:
        begun_s = time.perf_counter()
        for done in [pool.submit(serve) for _ in range(calls)]:
            done.result()
        return time.perf_counter() - begun_s
