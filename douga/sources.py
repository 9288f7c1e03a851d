"""What the user named on the command line -> the frames in it, in order, each read when it is its turn."""

from __future__ import annotations

import re
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from douga.errors import InputError, MissingInputError
from douga.file_state import sha256_of, stat_of
from douga.image_file import read_frame
from douga.image_header import IMAGE_SUFFIXES
from douga.types import Frame
from douga.video import VIDEO_SUFFIXES, DecodedFrame, count_frames, decode

# shot.%04d.png, shot.%d.png, shot.####.png, shot.[0001-0100].png
_PATTERN = re.compile(r"%0?(?P<digits>\d*)d|(?P<hashes>#+)|\[(?P<first>\d+)-(?P<last>\d+)\]")
_MAX_RANGE = 1_000_000
_LISTED = 3  # names spelled out in a note before it says "and so on"
_ALL = (0, sys.maxsize)


@dataclass(frozen=True)
class FrameSource:
    """One frame that can be read.

    name: stem that its results are filed under, unique in the run. path: the file that it is in. opened: of a
    video, its size and time of change when it was opened.
    """

    name: str
    path: Path
    _read: Callable[[], Frame]
    opened: dict[str, int] | None = None

    def read(self) -> Frame:
        """Decode it. Raises InputError with one sentence that names the file."""
        return self._read()

    def stat(self) -> dict[str, int]:
        """Size and time of change of the file that the frame is in. Raises InputError."""
        return stat_of(self.path)

    def sha256(self, stat: dict[str, int] | None = None) -> str:
        """Hex digest of the bytes of that file. Raises InputError, also where it has another stat by now."""
        return sha256_of(self.path, stat)


@dataclass(frozen=True)
class _Item:
    """One image file or one video.

    number: of an image that a pattern named, which says where the number stands. note: what every frame of it
    is to be told.
    """

    path: Path
    is_video: bool
    number: int | None = None
    name: str = ""
    note: str = ""

    def is_within(self, numbers: tuple[int, int]) -> bool:
        """Whether an image bears one of these numbers. Raises InputError where it has none."""
        number = frame_number(self.path.stem) if self.number is None else self.number
        return numbers[0] <= number <= numbers[1]


@dataclass(frozen=True)
class Sources:
    """Iterate over it for the frames, any number of times; videos are decoded while it goes.

    count: number of frames, None where a video does not say; estimated for some videos.
    notes: what the user should be told once: files passed over, gaps in a sequence, inputs named twice.
    """

    _items: tuple[_Item, ...]
    count: int | None
    notes: tuple[str, ...] = ()
    _numbers: tuple[int, int] = _ALL

    @property
    def paths(self) -> tuple[Path, ...]:
        """The files that the frames are in; a video stands there once."""
        return tuple(item.path for item in self._items)

    def named(self, names: Iterable[str]) -> dict[str, Path]:
        """Those of some names that a frame of these may have, case ignored, and the files of these frames; a
        video may be of any length.
        """
        images = {item.name.casefold(): item.path for item in self._items if not item.is_video}
        videos = {item.name.casefold(): item.path for item in self._items if item.is_video}
        of_video = _names_of_videos(videos)
        first, last = self._numbers

        def file_of(name: str) -> Path | None:
            found = of_video.fullmatch(name)
            if name in images or found is None or not first <= int(found["number"]) <= last:
                return images.get(name)
            return videos[found["stem"]]

        files = {name: file_of(name.casefold()) for name in names}
        return {name: path for name, path in files.items() if path is not None}

    def __iter__(self) -> Iterator[FrameSource]:
        first, last = self._numbers
        for item in self._items:
            if not item.is_video:
                yield FrameSource(item.name, item.path, partial(_read_image, item))
                continue
            opened = stat_of(item.path)
            for decoded in decode(item.path):
                if decoded.number > last:
                    break
                if decoded.number < first:
                    continue
                name = f"{item.name}_{decoded.number:06d}"
                yield FrameSource(name, item.path, partial(_read_decoded, decoded, name, item.note), opened)


def open_sources(inputs: Sequence[Path], numbers: tuple[int, int] | None = None) -> Sources:
    """Find the frames in images, folders, numbered sequences and videos.

    numbers: only those numbered from the first to the last of these; the number of an image stands where the
    pattern of its sequence says, else at the end of its name.

    Folders give their images in natural order (2 before 10), hidden files and other kinds passed over.
    Sequences are written shot.%04d.png, shot.####.png or shot.[0001-0100].png. Video frames are named
    STEM_000001 onwards. Names that clash get their folder or extension, told in the frame's warnings.
    Raises MissingInputError where an input is not there or holds no frame, InputError where it cannot be
    opened, or has no number and is asked for by numbers. What is wrong with a single frame is raised when
    that frame is read, so that the others still finish.
    """
    notes: list[str] = []
    items: list[_Item] = []
    seen: set[Path] = set()
    for given in inputs:
        for path, number in _files_of(Path(given), notes):
            where = path.absolute()
            if where in seen:
                notes.append(f"{path}: named twice; it is taken once")
                continue
            seen.add(where)
            items.append(_Item(path, path.suffix.lower() in VIDEO_SUFFIXES, number))
    if not items:
        raise MissingInputError("there is no input; name an image, a folder of images, a sequence or a video")
    named = _named(items)
    if numbers is not None:
        named = tuple(item for item in named if item.is_video or item.is_within(numbers))
    counts = [_count(item, numbers or _ALL) for item in named]
    known = [n for n in counts if n is not None]
    return Sources(named, sum(known) if len(known) == len(counts) else None, tuple(notes), numbers or _ALL)


def frame_number(name: str) -> int:
    """The number at the end of a frame's name: A0012 -> 12. Raises InputError where there is none."""
    digits = re.search(r"(\d+)$", name)
    if digits is None:
        raise InputError(
            f"{name}: --frames goes by the number at the end of a name, and here is none; leave it out, or "
            "say where the number stands, as in c01_####_v2.png"
        )
    return int(digits[1])


def _count(item: _Item, numbers: tuple[int, int]) -> int | None:
    """How many frames of an image or a video bear these numbers, None where a video does not say."""
    if not item.is_video:
        return 1
    there = count_frames(item.path)
    return None if there is None else max(0, min(there, numbers[1]) - max(1, numbers[0]) + 1)


def _read_image(item: _Item) -> Frame:
    return _told(replace(read_frame(item.path, name=item.name), number=item.number), item.note)


def _read_decoded(decoded: DecodedFrame, name: str, note: str) -> Frame:
    return _told(decoded.to_frame(name), note)


def _told(frame: Frame, note: str) -> Frame:
    return replace(frame, warnings=(note, *frame.warnings)) if note else frame


def _files_of(given: Path, notes: list[str]) -> list[tuple[Path, int | None]]:
    """The files that one input stands for, and their numbers where a pattern says them."""
    try:
        if given.is_dir():
            return [(path, None) for path in _images_in(given, notes)]
        if given.exists():
            return [(given, None)]
        if _PATTERN.search(given.name):
            return _sequence(given, notes)
    except PermissionError as exc:
        raise InputError(f"{given}: permission denied; make the folder readable (chmod +rx)") from exc
    except OSError as exc:
        raise InputError(f"{given}: cannot be opened: {exc.strerror or exc}; check the name") from exc
    raise MissingInputError(f"{given}: there is no such file or folder; check the name")


def natural_key(path: Path) -> tuple[list[tuple[int, int, str]], str]:
    """Sort key that puts a2 before a10, whatever the case; the exact name decides between equals."""
    parts = re.findall(r"\d+|\D+", path.name.casefold())
    return [(0, int(p), "") if p.isdecimal() and p.isascii() else (1, 0, p) for p in parts], path.name


def pictures_named(folder: Path, stem: str) -> list[Path]:
    """The pictures of a folder that have this stem, whatever their suffix; none where there is no folder."""
    return pictures_by_stem(folder).get(stem, []) if folder.is_dir() else []


def pictures_by_stem(folder: Path) -> dict[str, list[Path]]:
    """All pictures of a folder, in the order of their names. Raises OSError."""
    found: dict[str, list[Path]] = defaultdict(list)
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file():
            found[path.stem].append(path)
    return dict(found)


def _images_in(folder: Path, notes: list[str]) -> list[Path]:
    files = sorted((p for p in folder.iterdir() if not p.name.startswith(".")), key=natural_key)
    images = [p for p in files if p.suffix.lower() in IMAGE_SUFFIXES and not p.is_dir()]
    if not images:
        kinds = ", ".join(sorted(s[1:] for s in IMAGE_SUFFIXES))
        raise MissingInputError(f"{folder}: there is no image in this folder; expected files of {kinds}")
    taken = set(images)
    others = [p.name for p in files if p not in taken]
    if others:
        notes.append(f"{folder}: passed over {len(others)} entries that are no images ({_some(others)})")
    return images


def _sequence(pattern: Path, notes: list[str]) -> list[tuple[Path, int | None]]:
    """The files of a numbered sequence and their numbers.

    In a stated range missing frames fail when they are read.
    """
    matches = list(_PATTERN.finditer(pattern.name))
    if len(matches) > 1:
        raise InputError(f"{pattern}: two places for the frame number; leave one, as in shot.%04d.png")
    match = matches[0]
    head, tail = pattern.name[: match.start()], pattern.name[match.end() :]
    if match["first"] is not None:
        first, last = int(match["first"]), int(match["last"])
        if not 0 <= last - first < _MAX_RANGE:
            raise InputError(f"{pattern}: the range must run upwards, over at most {_MAX_RANGE} frames")
        width = len(match["first"])
        files = {n: pattern.with_name(f"{head}{n:0{width}d}{tail}") for n in range(first, last + 1)}
        if not any(f.exists() for f in files.values()):
            raise MissingInputError(f"{pattern}: none of its {len(files)} frames is there; check the name")
        return [(path, n) for n, path in files.items()]
    width = int(match["digits"] or 1) if match["hashes"] is None else len(match["hashes"])
    is_frame = re.compile(re.escape(head) + rf"(\d{{{width},}})" + re.escape(tail))
    folder = pattern.parent
    found = {}
    for path in folder.iterdir() if folder.is_dir() else ():
        hit = is_frame.fullmatch(path.name)
        # printf writes more digits than asked for only without leading zeros
        if hit and (len(hit[1]) == width or hit[1][0] != "0"):
            found[int(hit[1])] = path
    if not found:
        raise MissingInputError(f"{pattern}: no file fits this sequence; check name and number of digits")
    missing = [str(n) for n in range(min(found), max(found) + 1) if n not in found]
    if missing:
        notes.append(f"{pattern}: {len(missing)} numbers are not there ({_some(missing)})")
    return [(found[n], n) for n in sorted(found)]


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:_LISTED]) + (", and so on" if len(names) > _LISTED else "")


def _named(items: Sequence[_Item]) -> tuple[_Item, ...]:
    """Give every item a name that no other has, nor a frame of a video, case ignored: its stem, or longer."""
    forms: tuple[Callable[[Path], str], ...] = (
        lambda p: p.stem,
        lambda p: f"{p.stem}_{p.suffix[1:]}",
        lambda p: f"{p.absolute().parent.name}_{p.stem}",
        lambda p: f"{p.absolute().parent.name}_{p.stem}_{p.suffix[1:]}",
        lambda p: re.sub(r"[^\w.-]+", "_", str(p.absolute())).strip("_"),
    )
    names: dict[int, str] = {}
    left = list(range(len(items)))
    of_video = _names_of_videos(item.path.stem for item in items if item.is_video)
    for form in forms:
        groups: dict[str, list[int]] = defaultdict(list)
        for i in left:
            groups[form(items[i].path).casefold()].append(i)
        taken = {name.casefold() for name in names.values()}
        for key, group in groups.items():
            if len(group) == 1 and key not in taken and not of_video.fullmatch(key):
                names[group[0]] = form(items[group[0]].path)
        left = [i for i in left if i not in names]
    for i in left:
        names[i] = f"{forms[-1](items[i].path)}_{i + 1}"
    return tuple(
        replace(item, name=names[i], note=_renamed(item.path, names[i])) for i, item in enumerate(items)
    )


def _names_of_videos(stems: Iterable[str]) -> re.Pattern[str]:
    """What a casefolded name is matched with to see whether it is that of a frame of some video."""
    either = "|".join(re.escape(stem.casefold()) for stem in stems)
    return re.compile(rf"(?P<stem>{either})_(?P<number>\d{{6,}})" if either else r"(?!)")


def _renamed(path: Path, name: str) -> str:
    return "" if name == path.stem else f"filed as {name}, since another input is named {path.stem} too"
