"""``douga bench-server``: loads a server with calls and tells how it bore them."""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from douga.errors import InputError

if TYPE_CHECKING:  # --help needs none of it
    from douga.types import Frame
    from douga_server.bench_load import Load
    from douga_server.bench_memory import Killer, Watch
    from douga_server.bench_report import Measured
    from douga_server.client import Client
    from douga_server.codec_client import Received, ServerInfo
    from douga_server.jobs import Priority

EXAMPLES = """\
examples:
  douga bench-server --calls 100                         the server of this machine, 2 calls/s at random
  douga bench-server --server gpu01:7610 --token-file token.txt --tls-ca ca.pem --rate 20 --duration 60
  douga bench-server --calls 1000 --interactive 0.3      7 of 10 calls are of class batch
  douga bench-server --calls 10000 --in-flight 2 --rate 0       one call as soon as another has ended
  douga bench-server --calls 20 --compare-raw            beside the same networks without a server
  douga bench-server --calls 1000 --rate 5 --kill-replica-every 10 --plot kills.png

A call's time runs from the moment that it was to begin: what waits because the server is slow counts. Nothing
is tried again, so that what was lost is seen as lost. "beside the stages" is a call's time without that of
the server's stages: the way there and back, and waiting. Ctrl-C ends it and shows what there is so far.
"""
_CALLS = 100  # without --calls and --duration
_RAW_CALLS = 4  # of each kind in a turn of --compare-raw
EXIT_OK, EXIT_SOME_LOST, EXIT_INTERRUPTED = 0, 1, 130


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `run`."""
    add = parser.add_argument_group("which server").add_argument
    add(
        "--server",
        default="auto",
        metavar="HOST:PORT|unix:PATH|auto",
        help="default: this machine's",
    )
    add("--token-file", type=Path, metavar="FILE", help="holds the token that it wants")
    add("--tls-ca", type=Path, metavar="FILE", help="who signed its certificate, as PEM")
    add("--tls-cert", type=Path, metavar="FILE", help="your certificate, if it wants one")
    add("--tls-key", type=Path, metavar="FILE", help="the key of that certificate")

    add = parser.add_argument_group("the load").add_argument
    add("--rate", type=float, default=2.0, metavar="N", help="calls/s on average; 0: as fast as they end")
    add("--calls", type=int, metavar="N", help="so many (default: 100, without --duration)")
    add("--duration", type=float, metavar="S", help="begin calls for so many seconds")
    add("--in-flight", type=int, default=64, metavar="N", help="calls under way at most (default: 64)")
    add(
        "--interactive",
        type=float,
        default=1.0,
        metavar="SHARE",
        help="0 to 1, the rest is batch; default: 1",
    )
    add("--frame", type=Path, metavar="FILE", help="this frame (default: one that is drawn for it)")
    add(
        "--size",
        type=_size,
        default=(1920, 1080),
        metavar="WxH",
        help="of the drawn one; default: 1920x1080",
    )
    add("--encoding", choices=("zstd", "raw", "png"), default="zstd", help="of the pixels (default: zstd)")
    add("--warm-up", type=int, default=3, metavar="N", help="calls before, not counted (default: 3)")
    add("--timeout", type=float, default=120.0, metavar="S", help="deadline of a call (default: 120)")
    add("--seed", type=int, default=0, metavar="N", help="of the random moments (default: 0)")
    add("--kill-replica-every", type=float, metavar="S", help="kill one of a Ray server's on this machine")

    add = parser.add_argument_group("what is measured").add_argument
    add("--compare-raw", action="store_true", help="also the same networks here, turn by turn")
    add("--rounds", type=int, default=3, metavar="N", help="turns of --compare-raw (default: 3)")
    add("--pid", type=int, metavar="N", help="the server's process, for its memory (default: as announced)")
    add("--metrics", metavar="URL", help="the server's /metrics, for its memory where it runs elsewhere")
    add("--plot", type=Path, metavar="FILE.png", help="draw every call")
    add("--json", type=Path, metavar="FILE", help="write every number")


def run(args: argparse.Namespace) -> int:
    """Load the server that `args` name and print what came of it.

    Returns 0, or 1 when calls were lost, or 130 when it was stopped. Raises DougaError.
    """
    from douga_server.bench_report import table
    from douga_server.client import Client
    from douga_server.client_calls import Patience
    from douga_server.connection import find_server
    from douga_server.pixels import Encoding

    load, frame = _load(args), _frame(args)
    server = find_server(
        args.server,
        token_file=args.token_file,
        tls_ca=args.tls_ca,
        tls_cert=args.tls_cert,
        tls_key=args.tls_key,
    )
    with Client(
        server,
        timeout_s=args.timeout,
        patience=Patience(0, 0, by_grpc=False),
        encoding=Encoding[args.encoding.upper()],
    ) as client:
        measured = _measure(args, client, load, frame)
    print(table(measured))
    _write(args, measured)
    if not measured.is_whole:
        return EXIT_INTERRUPTED
    return EXIT_SOME_LOST if measured.lost else EXIT_OK


def _measure(args: argparse.Namespace, client: Client, load: Load, frame: Frame) -> Measured:
    """Warm up, load, compare. Ctrl-C ends it; what was measured until then is returned."""
    from douga_server.bench_load import LoadRun
    from douga_server.bench_raw import compare, raw_stages
    from douga_server.bench_report import Measured
    from douga_server.jobs import Options, Priority

    def send(priority: Priority = Priority.INTERACTIVE) -> Received:
        return client.reconstruct(frame, Options(priority=priority))

    info = client.capabilities()
    for _ in range(args.warm_up):
        send()
    load_run = LoadRun(load, send, client.close)
    watch, killer, raw, took_s, is_whole = _watch(args), _killer(args), None, None, True
    print(f"measuring {args.server}; Ctrl-C shows what there is so far", file=sys.stderr, flush=True)
    try:
        with ExitStack() as watching:
            for each in (watch, killer):
                if each is not None:
                    watching.enter_context(each)
            load_run.run()
            took_s = load_run.now_s
        if args.compare_raw:
            raw = compare(frame, raw_stages(info), send, rounds=args.rounds, calls=_RAW_CALLS)
    except KeyboardInterrupt:
        is_whole = False
    return Measured(
        about=_about(args, info, load, frame),
        samples=load_run.samples,
        took_s=load_run.now_s if took_s is None else took_s,
        memory=watch.samples if watch else (),
        kills_s=killer.kills_s if killer else (),
        raw=raw,
        is_whole=is_whole,
    )


def _load(args: argparse.Namespace) -> Load:
    from douga_server.bench_load import Load

    calls = args.calls
    if calls is None and args.duration is None:
        calls = _CALLS
    return Load(
        rate_per_s=args.rate or None,
        in_flight=args.in_flight,
        calls=calls,
        duration_s=args.duration,
        interactive_share=args.interactive,
        seed=args.seed,
    )


def _frame(args: argparse.Namespace) -> Frame:
    from douga.frame_io import read_frame

    return drawn_frame(args.size) if args.frame is None else read_frame(args.frame)


def drawn_frame(size_wh: tuple[int, int]) -> Frame:
    """Painted shapes with black outlines on a soft background; always the same for one size."""
    import cv2
    import numpy as np

    from douga.types import Frame

    width, height = size_wh
    background = np.linspace((250, 240, 225), (150, 185, 215), height).round().astype(np.uint8)
    rgb = np.repeat(background[:, None], width, axis=1)
    chance = np.random.default_rng(0)
    line_px = max(1, height // 360)
    for _ in range(24):
        centre = (chance.random(2) * size_wh).astype(int).tolist()
        axes = (chance.uniform(0.03, 0.15, 2) * height).astype(int).tolist()
        turn, colour = chance.uniform(0, 180), chance.integers(80, 256, 3).tolist()
        cv2.ellipse(rgb, centre, axes, turn, 0, 360, colour, -1)
        cv2.ellipse(rgb, centre, axes, turn, 0, 360, (0, 0, 0), line_px, cv2.LINE_AA)
    return Frame(rgb, "drawn")


def _server_pid(args: argparse.Namespace) -> int | None:
    from douga_server import discovery

    announced = discovery.find() if args.pid is None and args.server == "auto" else None
    return args.pid if announced is None else announced.pid


def _watch(args: argparse.Namespace) -> Watch | None:
    from douga_server.bench_memory import Watch, memory_by_metrics, memory_of

    pid = _server_pid(args)
    if args.metrics is not None:
        return Watch(memory_by_metrics(args.metrics))
    return None if pid is None else Watch(memory_of(pid))


def _killer(args: argparse.Namespace) -> Killer | None:
    from douga_server.bench_memory import Killer

    if args.kill_replica_every is None:
        return None
    pid = _server_pid(args)
    if pid is None:
        raise InputError("--kill-replica-every: give the process of the server on this machine with --pid")
    return Killer(pid, args.kill_replica_every)


def _about(args: argparse.Namespace, info: ServerInfo, load: Load, frame: Frame) -> dict[str, str]:
    """What was measured, so that a number is never without it."""
    import grpc

    from douga import __version__

    height, width = frame.size_hw
    what = info.description
    rate = "as fast as they end" if load.rate_per_s is None else f"{load.rate_per_s:g} calls/s at random"
    end = f"{load.calls} calls" if load.duration_s is None else f"for {load.duration_s:g} s"
    busy = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    return {
        "when": time.strftime("%Y-%m-%d %H:%M"),
        "server": f"{args.server}, Douga {info.version}, backend {what.backend} on {', '.join(what.devices)}",
        "weights": ", ".join(f"{m.name} {m.sha256[:12]}" for m in what.models if m.is_default),
        "client": f"Douga {__version__}, grpcio {grpc.__version__}, Python {platform.python_version()}",
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores{busy}",
        "frame": f"{frame.name}, {width} x {height} px, {args.encoding}",
        "load": f"{rate}, {end}, {load.in_flight} under way at most, "
        f"{load.interactive_share:.0%} interactive",
    }


def _write(args: argparse.Namespace, measured: Measured) -> None:
    """The plot and the numbers. Raises OutputError."""
    from douga.atomic import atomic_path
    from douga_server.bench_plot import plot_png
    from douga_server.bench_report import as_json

    if args.plot is not None:
        with atomic_path(args.plot) as unfinished:
            unfinished.write_bytes(plot_png(measured))
    if args.json is not None:
        with atomic_path(args.json) as unfinished:
            unfinished.write_text(json.dumps(as_json(measured), indent=2) + "\n", encoding="utf-8")


def _size(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"(\d{1,5})x(\d{1,5})", text)
    if found is None or not int(found[1]) or not int(found[2]):
        raise argparse.ArgumentTypeError(f"{text!r} is no size in pixels; write it as 1920x1080")
    return int(found[1]), int(found[2])
