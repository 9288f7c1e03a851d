"""``douga serve``: frames in from other programs, their douga back."""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # gRPC is loaded when there is something to serve, not for --help
    from douga_server.address import Address
    from douga_server.auth import Tokens
    from douga_server.backends.base import Backend
    from douga_server.batcher import QueueLimits
    from douga_server.models import ModelStore
    from douga_server.serve import Plan
    from douga_server.tls import TlsFiles

EXAMPLES = """\
examples:
  douga serve                                        for the programs of this user on this machine
  douga serve --address unix:/run/user/1000/douga.sock
  douga serve --address 0.0.0.0:7610 --tls-cert server.pem --tls-key server.key --token-file token
  douga serve --backend ray --replicas 1-4           more than one process (pip install '.[farm]')
  douga serve --metrics-address 127.0.0.1:9610       numbers for Prometheus

On the loopback and on a Unix socket nothing has to be set up: programs of the same user find address and
token in the discovery file. Any other address needs TLS and a token:
  python -c 'import secrets; print(secrets.token_urlsafe(32))' > token; chmod 600 token
and a certificate for the name of this machine, from the studio's own authority. All of these files may be
replaced while the server runs.

On stdout stand two lines, each with a JSON object: "douga serve: listening {...}" and, when the weights are
loaded, "douga serve: ready {...}". The log goes to stderr, one line a call.

signals: SIGTERM and Ctrl-C finish what is under way and take nothing new, the second one ends at once; SIGHUP
loads the weights anew without losing a call.

exit status: 0 after SIGTERM or Ctrl-C; 2 when it cannot start; 130 ended at once.
"""
_LARGEST_BATCH = 64


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `run`."""
    add = parser.add_argument_group("where it listens").add_argument
    add("--address", default="127.0.0.1:7610", metavar="A", help=f"{_ADDRESS} (default: %(default)s)")
    add("--token-file", type=Path, metavar="FILE", help="tokens that callers may show, one a line")
    add("--tls-cert", type=Path, metavar="FILE", help="the server's certificate and its chain, PEM")
    add("--tls-key", type=Path, metavar="FILE", help="its key, PEM, not encrypted")
    add("--client-ca", type=Path, metavar="FILE", help="ask clients for a certificate of this authority")
    add("--discovery-file", metavar="FILE|none", help=f"tells programs of this user (default: {_DISCOVERY})")

    add = parser.add_argument_group("what it runs").add_argument
    add("--backend", choices=("local", "ray"), default="local", help="in this process, or in Ray's")
    add("--ray-address", metavar="A", help="of a running cluster (default: one on this machine)")
    add("--replicas", type=_replicas, default=(1, 1), metavar="MIN-MAX", help="of Ray (default: 1)")
    add("--weights-cel", action="append", metavar="NAME|FILE", help=f"stage one; {_WEIGHTS} cel-small)")
    add("--weights-lines", action="append", metavar="NAME|FILE", help=f"stage two; {_WEIGHTS} lines-small)")
    add("--weights-cutout", action="append", metavar="NAME|FILE", help=_CUTOUT)
    add("--device", default="auto", help="auto, cpu, cuda, cuda:1, mps (default: auto)")

    add = parser.add_argument_group("how much it takes").add_argument
    add(
        "--max-queued",
        type=_count(100_000),
        default=64,
        metavar="N",
        help="frames that may wait (default: 64)",
    )
    add("--max-batch", type=_count(_LARGEST_BATCH), default=1, metavar="N", help=_BATCH)
    add("--drain-timeout", type=_seconds, default=60.0, metavar="S", help="for calls to end (default: 60 s)")

    add = parser.add_argument_group("what it tells").add_argument
    add("--metrics-address", metavar="HOST:PORT", help="Prometheus metrics over HTTP (default: none)")
    add("--log-format", choices=("json", "text"), help="default: text on a terminal, json elsewhere")
    add(
        "--die-with",
        type=_count(1 << 30),
        metavar="PID",
        help="end with that process (not on Windows)",
    )


_ADDRESS = "HOST:PORT, port 0 for any that is free, or unix:PATH"
_DISCOVERY = "server.json in $XDG_RUNTIME_DIR/douga or ~/.cache/douga"
_BATCH = "frames handed over together; both backends are fastest with 1 (default: 1)"
_CUTOUT = "of cutouts; may be given several times (default: those imported last, or the shipped ones)"
_WEIGHTS = "may be given several times, the first is the default (default:"


def run(args: argparse.Namespace) -> int:
    """Serve until a signal comes. Raises DougaError where the server cannot or must not start like this."""
    # Ours are the lines of the log; gRPC's own are of no form that a collector of logs could read.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    import sys

    from douga_server import logs, serve

    logs.set_up(args.log_format or ("text" if sys.stderr.isatty() else "json"))
    return serve.run(plan(args))


def plan(args: argparse.Namespace) -> Plan:
    """Check what can be checked before anything is loaded. Raises SetupError and InputError."""
    from douga_server import discovery
    from douga_server.address import parse_address
    from douga_server.lifeline import Lifeline
    from douga_server.limits import Limits
    from douga_server.options import FrontOptions, ServiceOptions
    from douga_server.serve import Plan

    host = Lifeline(args.die_with) if args.die_with else None
    address = parse_address(args.address)
    tls = _tls(args, address)
    announced = (
        None if args.discovery_file == "none" else Path(args.discovery_file or discovery.default_path())
    )
    tokens = _tokens(args, address, tls, announced)
    if announced is not None:
        discovery.refuse_second(announced)
    metrics_address = parse_address(args.metrics_address) if args.metrics_address else None
    service = ServiceOptions(limits=Limits(max_queued=args.max_queued))
    return Plan(
        address,
        tls,
        tokens,
        announced,
        metrics_address,
        lambda: _make_backend(args),
        # Twice as many calls as frames wait: the others receive, are worked on or send.
        FrontOptions(service=service, max_calls=max(16, 2 * args.max_queued)),
        args.drain_timeout,
        may_abandon=args.backend == "local",  # Ray has processes that must be told
        die_with=host,
    )


def _tls(args: argparse.Namespace, address: Address) -> TlsFiles | None:
    from douga_server.errors import SetupError
    from douga_server.tls import TlsFiles, load

    if args.tls_cert is None and args.tls_key is None and args.client_ca is None:
        return None
    if args.tls_cert is None or args.tls_key is None:
        raise SetupError("TLS needs both a certificate and its key: --tls-cert FILE --tls-key FILE")
    if address.is_unix:
        raise SetupError("a Unix socket needs no TLS; leave --tls-cert, --tls-key and --client-ca out")
    files = TlsFiles(args.tls_cert, args.tls_key, args.client_ca)
    load(files)
    return files


def _tokens(
    args: argparse.Namespace, address: Address, tls: TlsFiles | None, announced: Path | None
) -> Tokens | None:
    """Whoever may call. Raises SetupError for an address that would be open to others."""
    from douga_server.auth import TokenFile, Tokens
    from douga_server.errors import SetupError

    if args.token_file is not None and (address.is_local or tls is not None):
        return TokenFile(args.token_file)
    if not address.is_local:
        raise SetupError(
            f"{address.target} can be reached from other machines, so it needs TLS and a token: "
            "--tls-cert FILE --tls-key FILE --token-file FILE (`douga serve --help` tells how to get them); "
            "without them use 127.0.0.1:PORT or unix:PATH"
        )
    if address.is_unix:
        return None  # only its owner can open it
    if announced is None:
        raise SetupError(
            "other users of this machine reach the loopback too, so callers need a token, and without a "
            "discovery file nobody would know it; give one by --token-file"
        )
    return Tokens.random()


def _make_backend(args: argparse.Namespace) -> tuple[Backend, QueueLimits]:
    """Raises InputError for weights and numbers that cannot be."""
    import douga_server.service  # noqa: F401  imported here, on a thread, and not when the first call waits
    from douga_server.batcher import QueueLimits
    from douga_server.models import ModelStore

    store = ModelStore(
        tuple(args.weights_cel or ["cel-small"]),
        tuple(args.weights_lines or ["lines-small"]),
        args.device,
        cutout=tuple(args.weights_cutout or _usual_cutout_weights()),
    )
    limits = QueueLimits(max_queued=args.max_queued, max_batch=args.max_batch)
    if args.backend == "ray":
        return _ray_backend(args, store), limits
    from douga_server.backends.local import LocalBackend

    return LocalBackend(store), limits


def _usual_cutout_weights() -> list[str]:
    """None at all where there are none that can be used: the other calls need no such weights."""
    from douga.cutout_weights import default_model
    from douga.errors import CheckpointError

    try:
        return [default_model()]
    except CheckpointError as exc:
        print(f"note: without cutouts: {exc}", file=sys.stderr)
        return []


def _ray_backend(args: argparse.Namespace, store: ModelStore) -> Backend:
    from douga_server.backends.ray import FarmSettings, RayBackend

    least, most = args.replicas
    return RayBackend(store, FarmSettings(address=args.ray_address, min_replicas=least, max_replicas=most))


def _replicas(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d{1,4})(?:-(\d{1,4}))?", text)
    if match is None or not 1 <= int(match[1]) <= int(match[2] or match[1]):
        raise argparse.ArgumentTypeError(f"{text!r}: expected MIN-MAX, at least 1, e.g. 1-4, or one number")
    return int(match[1]), int(match[2] or match[1])


def _count(most: int) -> Callable[[str], int]:
    def count(text: str) -> int:
        if not text.isdecimal() or not 1 <= int(text) <= most:
            raise argparse.ArgumentTypeError(f"{text!r}: expected a whole number from 1 to {most}")
        return int(text)

    return count


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= 86400:
        raise argparse.ArgumentTypeError(f"{text!r}: expected seconds from 0 to 86400")
    return seconds
