"""What `douga simulate` runs: productions from seeds into a folder, resumable, in one process or several."""

from __future__ import annotations

import argparse
import hashlib
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from douga.errors import InputError
from douga.palettes import load_palette
from douga_training.simulate import store
from douga_training.simulate.layout import EFFECTS, SHOTS
from douga_training.simulate.production import BOOK_SHARE, broadcast_scene, composite_scene, draw_scene
from douga_training.simulate.soft import GLOW_SHARE

if TYPE_CHECKING:
    from douga_training.simulate.material import CelPicture, Material

EXAMPLES = """\
examples:
  douga simulate --out try --count 8
      then look at try/overview.png
  douga simulate --out cache --count 2000 --broadcast --workers 8
      training data; run it again to go on where it stopped
  douga simulate --out faces --count 50 --shot close_up --size 1280x720
  douga simulate --out crops --count 500 --crop 512
      512 x 512 windows, several a second
  douga simulate --out alphas --count 250 --alpha --broadcast
      data for cutouts: soft alphas
  douga simulate --out painted --count 200 --painted --broadcast
      soft gradients and faint lines, for stage one and cutouts
  douga simulate --out own --count 20 --drawing A0001.tga
      your own colour-traced drawing, painted and composited
  douga simulate --out cels --count 200 --broadcast --cel painted/
      painted cels with an alpha (PNG) over backgrounds; without class maps they teach stage one and cutouts

A production is decided by its number: number 7 is the same in every run with the same options. --seed is
the first number, so two machines can share the work with --seed 0 and --seed 5000. With --broadcast,
`douga evaluate` takes DIR as the truth of lossless frames and DIR/broadcast as the truth of their twins.
"""
_INDEX_EVERY = 50
_NAMES_TOLD = 8
OPTIONS = "options"  # key of a production's entry in the index


@dataclass(frozen=True)
class Job:
    """What every production of a run has in common; see `add_arguments`."""

    out: Path
    size_wh: tuple[int, int] | None = None
    shot: str | None = None
    background_kinds: tuple[str, ...] = ()
    crop_px: int | None = None
    with_broadcast: bool = False
    book: float = BOOK_SHARE
    alike: float = 0.1
    soft: bool = False
    glow: float = GLOW_SHARE
    painted: bool = False
    overwrite: bool = False
    given: tuple[Material | CelPicture, ...] = ()

    @property
    def options(self) -> dict[str, Any]:
        """What decides a production beside its number, by the names of the command line, as JSON has it."""
        return {
            "size": None if self.size_wh is None else list(self.size_wh),
            "shot": self.shot,
            "background": list(self.background_kinds),
            "crop": self.crop_px,
            "book": self.book,
            "alike": self.alike,
            "alpha": self.soft,
            "glow": self.glow if self.soft else None,
            "painted": self.painted,
            "drawings": _told([material.name for material in self.given]),
        }


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `douga simulate`."""
    add = parser.add_argument
    add(
        "--out",
        type=Path,
        required=True,
        metavar="DIR",
        help="folder for the results; made if it is not there",
    )
    add("--count", type=int, default=16, metavar="N", help="how many productions (default: 16)")
    add("--seed", type=int, default=0, metavar="S", help="number of the first production (default: 0)")
    add(
        "--size",
        type=parse_size,
        metavar="WxH",
        help="frame size; left out, mostly 1920x1080 with some smaller ones",
    )
    add(
        "--shot",
        choices=(*SHOTS, EFFECTS),
        help="how close the characters are; left out, all kinds. effects: smoke, blasts, water and fire that "
        "fill the frame",
    )
    add(
        "--background", action="append", default=[], metavar="KIND", help="only this kind; may be given again"
    )
    add(
        "--broadcast",
        action="store_true",
        help="also write broadcast twins to DIR/broadcast, with the same truth",
    )
    add("--crop", type=int, metavar="N", help="draw only an N x N window of each production")
    add(
        "--alike",
        type=float,
        default=0.1,
        metavar="SHARE",
        help="share of backgrounds in a colour of the cel: dark clothes at night, white hair before "
        "white walls (default: 0.1)",
    )
    books = parser.add_mutually_exclusive_group()
    books.add_argument(
        "--book",
        type=float,
        default=BOOK_SHARE,
        metavar="SHARE",
        help="share of frames with a foreground book; what it hides stays the same (default: %(default)s)",
    )
    books.add_argument("--no-book", dest="book", action="store_const", const=0.0, help="the same as --book 0")
    add(
        "--alpha",
        action="store_true",
        help="for cutouts: with hair wisps, veils, glass, auras, lights, things held and motion blur, alphas "
        "exact",
    )
    add(
        "--glow",
        type=float,
        metavar="SHARE",
        help=f"with --alpha: share of frames with an aura around the cel (default: {GLOW_SHARE})",
    )
    add(
        "--painted",
        action="store_true",
        help="characters painted softly, with gradients and faint lines, as illustrations and visual novels "
        "are; without class maps, for stage one and cutouts",
    )
    own = partial(add, type=Path, action="append", default=[], nargs="+")
    own(
        "--drawing",
        metavar=("FILE", "MASK"),
        help="colour-traced drawing (or class map) to paint; MASK is white on the cel",
    )
    own(
        "--cel",
        metavar=("FILE", "CLASSES"),
        help="painted cel with its class map, and a mask as third file if it has no alpha; or, for stage one "
        "and cutouts, a cel with an alpha alone, or a folder of these",
    )
    add("--palette", default="retas", help="colours of --drawing: a preset or a TOML file (default: retas)")
    add("--workers", type=int, default=1, metavar="N", help="processes; one draws some 30 frames a minute")
    add("--overwrite", action="store_true", help="draw again what is already there")


def parse_size(text: str) -> tuple[int, int]:
    """WIDTHxHEIGHT, for argparse."""
    try:
        w, h = (int(part) for part in text.lower().split("x"))
    except ValueError:
        raise argparse.ArgumentTypeError(f"got {text!r}, expected WIDTHxHEIGHT such as 1920x1080") from None
    return w, h


def run(args: argparse.Namespace) -> int:
    """Draw what the arguments ask for. Returns the exit status; raises DougaError for what cannot be done."""
    if args.painted and (args.drawing or args.cel):
        raise InputError("--painted: is for the simulator's own characters; leave --drawing and --cel out")
    job = Job(
        out=args.out,
        size_wh=args.size,
        shot=args.shot,
        background_kinds=tuple(args.background),
        crop_px=args.crop,
        with_broadcast=args.broadcast,
        book=args.book,
        alike=args.alike,
        soft=args.alpha,
        glow=GLOW_SHARE if args.glow is None else args.glow,
        painted=args.painted,
        overwrite=args.overwrite,
        given=tuple(_given(args)),
    )
    if args.count < 1 or args.workers < 1:
        raise InputError(f"--count {args.count}, --workers {args.workers}: expected at least 1 of each")
    if not 0 <= args.book <= 1:
        raise InputError(f"--book {args.book}: expected 0 to 1, the share of frames with a book")
    if not 0 <= args.alike <= 1:
        raise InputError(f"--alike {args.alike}: expected 0 to 1, the share of such backgrounds")
    if args.glow is not None and not (args.alpha and 0 <= args.glow <= 1):
        raise InputError(
            f"--glow {args.glow}: expected 0 to 1, the share of frames with an aura, and --alpha"
        )
    if args.seed < 0:
        raise InputError(f"--seed {args.seed}: expected 0 or more")
    seeds = range(args.seed, args.seed + args.count)
    started = time.perf_counter()
    drawn = render(job, seeds, workers=args.workers)
    write_overview(job, [f"{seed:06d}" for seed in seeds])
    seconds = time.perf_counter() - started
    print(
        f"{drawn} drawn, {args.count - drawn} already there, {seconds:.1f} s; "
        f"look at {job.out / 'overview.png'}"
    )
    return 0


def render(job: Job, seeds: Iterable[int], *, workers: int = 1, progress: bool = True) -> int:
    """Draw productions into a folder, leaving out what is there. Returns how many were drawn.

    This is how a training cache is made; it can be stopped at any time and run again, and several runs with
    different seeds may write to one folder. Raises InputError where one of them is there by other options.
    """
    # What a killed run drew and did not tell of in the index is drawn again.
    told = {} if job.overwrite else store.read_index(job.out)
    wanted = [s for s in seeds if f"{s:06d}" not in told or not _is_there(job, s)]
    _check_options(job, told, [f"{s:06d}" for s in seeds if s not in set(wanted)])
    pending: dict[str, Any] = {}
    for name, meta in tqdm(
        _results(job, wanted, workers), total=len(wanted), unit="frame", disable=not progress
    ):
        pending[name] = meta
        if len(pending) >= _INDEX_EVERY:
            store.update_index(job.out, pending)
            pending = {}
    if pending:
        store.update_index(job.out, pending)
    return len(wanted)


def _check_options(job: Job, told: Mapping[str, Any], kept: Sequence[str]) -> None:
    for name in kept:
        former = told[name].get(OPTIONS, job.options)  # older folders do not tell
        if others := [key for key, value in job.options.items() if former.get(key, value) != value]:
            raise InputError(
                f"{job.out}: {name} was drawn with other options ("
                + ", ".join(f"{key} {former[key]}, now {job.options[key]}" for key in others)
                + "); give another --out, or --overwrite"
            )


def _is_there(job: Job, seed: int) -> bool:
    return store.is_written(job.out, f"{seed:06d}", with_broadcast=job.with_broadcast)


def _results(job: Job, seeds: list[int], workers: int) -> Iterator[tuple[str, dict[str, Any]]]:
    if workers == 1:
        yield from map(partial(_draw_one, job), seeds)
        return
    # Fresh processes rather than forked ones: OpenCV's and the encoder's threads do not survive a fork.
    context = get_context("spawn")
    with ProcessPoolExecutor(
        workers, mp_context=context, initializer=cv2.setNumThreads, initargs=(1,)
    ) as pool:
        yield from pool.map(partial(_draw_one, job), seeds)


def _draw_one(job: Job, seed: int) -> tuple[str, dict[str, Any]]:
    scene = draw_scene(
        seed,
        job.size_wh,
        shot=job.shot,
        background_kinds=job.background_kinds,
        crop_px=job.crop_px,
        given=job.given,
        book=job.book,
        alike=job.alike,
        soft=job.soft,
        glow=job.glow,
        painted=job.painted,
    )
    production = composite_scene(scene)
    twin = broadcast_scene(scene, production) if job.with_broadcast else None
    store.write_production(job.out, production, twin)
    return production.name, {**(twin or production).meta, OPTIONS: job.options}


def _given(args: argparse.Namespace) -> Iterator[Material | CelPicture]:
    """The drawings and cels of the command line, those that are traced read once."""
    if not args.drawing and not args.cel:
        return
    # Loads slowly, and is rarely needed.
    from douga_training.simulate.material import find_cel_pictures, read_cel, read_douga

    palette = load_palette(args.palette)
    for files in args.drawing:
        if len(files) > 2:
            raise InputError(
                f"--drawing: got {len(files)} files, expected FILE [MASK]; repeat --drawing for more"
            )
        yield read_douga(files[0], palette, *files[1:])
    for files in args.cel:
        if len(files) > 3:
            raise InputError(f"--cel: got {len(files)} files, expected FILE [CLASSES [MASK]] or DIR")
        if len(files) == 1:
            yield from find_cel_pictures(files[0])
        else:
            yield read_cel(*files)


def _told(names: list[str]) -> list[str]:
    """Names for the record of every production; of very many their number and a digest."""
    if len(names) <= _NAMES_TOLD:
        return names
    return [f"{len(names)} files, {hashlib.sha256(chr(10).join(names).encode()).hexdigest()[:12]}"]


def write_overview(job: Job, names: list[str], *, rows: int = 6, width_px: int = 480) -> None:
    """Contact sheet DIR/overview.png: frame, its twin if there is one, and the class map (of a cel that
    nobody traced the mask), side by side.
    """
    strips = [_strip(job, name, width_px) for name in names[: rows * 2]]
    height = max(strip.shape[0] for strip in strips)
    strips = [cv2.copyMakeBorder(s, 0, height - s.shape[0] + 6, 0, 6, cv2.BORDER_CONSTANT) for s in strips]
    if len(strips) % 2:
        strips.append(np.zeros_like(strips[0]))
    sheet = np.vstack([np.hstack(strips[i : i + 2]) for i in range(0, len(strips), 2)])
    store.write_whole(job.out / "overview.png", store.png_bytes(sheet, compression=6))


def _strip(job: Job, name: str, width_px: int) -> NDArray[np.uint8]:
    pictures = [store.read_image(job.out, "frame", name)]
    if job.with_broadcast:
        pictures.append(store.read_image(job.out / store.BROADCAST, "frame", name))
    if (job.out / "classes" / f"{name}.png").is_file():
        pictures.append(store.CLASS_COLOURS[store.read_image(job.out, "classes", name)])
    else:
        pictures.append(cv2.cvtColor(store.read_image(job.out, "cel_mask", name), cv2.COLOR_GRAY2RGB))
    h, w = pictures[0].shape[:2]
    size = width_px, round(h * width_px / w)
    return np.hstack([cv2.resize(p, size, interpolation=cv2.INTER_AREA) for p in pictures])
