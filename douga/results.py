"""A reconstruction -> the files of one frame, in the folders that the README's table names."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISREG
from tempfile import TemporaryFile

from douga.atomic import atomic_path, remove_leftovers
from douga.errors import OutputError
from douga.export.ora import encode_ora
from douga.export.png import encode_indexed, encode_png
from douga.export.tga import encode_line_tga, redraw_lines
from douga.layers import colour_table, cut_cel
from douga.palettes import Palette
from douga.pipeline import Reconstruction, Settings


@dataclass(frozen=True)
class ResultFolder:
    """Where the results of a run go and what they look like.

    settings: how the douga was cleaned; its palette colours classes/ and layers/. trace_palette: colours of
    douga/. tga_line_width_px: width of the lines in douga/. layered: write layers/ as well. overwrite:
    replace what is there.
    """

    folder: Path
    settings: Settings
    trace_palette: Palette
    tga_line_width_px: int = 1
    layered: bool = True
    overwrite: bool = False

    @property
    def kinds(self) -> dict[str, str]:
        """Suffix by kind of all results there may be, asked for or not; a kind's folder has its name."""
        return {"classes": "png", "cel_mask": "png", "cel": "png", "douga": "tga", "layers": "ora"}

    def prepare(self) -> None:
        """Make the folder and see that it can be written to, before any work is spent. Raises OutputError.

        What a killed run left unfinished in it is removed.
        """
        prepare_folder(self.folder, (self.folder / kind for kind in self.kinds))

    @property
    def asked(self) -> tuple[str, ...]:
        """The kinds that are asked for."""
        return tuple(kind for kind in self.kinds if kind != "layers" or self.layered)

    def paths(self, name: str) -> dict[str, Path]:
        """Path by kind of all results that the frame of this name may have, asked for or not."""
        return {kind: self.folder / kind / f"{name}.{suffix}" for kind, suffix in self.kinds.items()}

    def has_all(self, name: str) -> bool:
        """Whether every result of the frame is there already."""
        paths = self.paths(name)
        return all(is_there(paths[kind]) for kind in self.asked)

    def has_any(self, name: str) -> bool:
        """Whether some result of the frame is there already, asked for or not."""
        return any(is_there(path) for path in self.paths(name).values())

    def write(self, name: str, result: Reconstruction) -> None:
        """Write a frame's results, each file whole or not at all; without `overwrite` only those not there.

        Raises OutputError, which names the file.
        """
        paths = self.paths(name)
        asked = {kind: paths[kind] for kind in self.asked}
        write_files(asked, dict(self._encoders(result)), overwrite=self.overwrite)

    def _encoders(self, result: Reconstruction) -> Iterator[tuple[str, Callable[[], bytes]]]:
        yield "classes", lambda: encode_indexed(result.classes.ids, colour_table(self.settings.palette))
        yield "cel_mask", lambda: encode_png(result.cel_mask.mask)
        yield "cel", lambda: encode_png(cut_cel(result.frame, result.cel_mask))
        yield "douga", lambda: self._encode_tga(result)
        yield "layers", lambda: encode_ora(result.layers)

    def _encode_tga(self, result: Reconstruction) -> bytes:
        lines = redraw_lines(result.classes, self.settings.line_width_px, self.tga_line_width_px)
        return encode_line_tga(lines, colour_table(self.trace_palette))


def prepare_folder(folder: Path, parts: Iterable[Path]) -> None:
    """Make a folder for results and see that it can be written to, before any work is spent.

    parts: the folders within. What a killed run left unfinished in any of them is removed. Raises
    OutputError.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        TemporaryFile(dir=folder).close()
    except OSError as exc:
        raise OutputError(f"{folder}: cannot write there ({exc.strerror}); choose another --out") from exc
    for part in (folder, *parts):
        remove_leftovers(part)


def is_there(path: Path) -> bool:
    """Whether there is a file, and no empty one, as a power cut may leave it."""
    try:
        found = path.stat()
        return S_ISREG(found.st_mode) and found.st_size > 0
    except OSError:  # also where it can never be; writing it tells why
        return False


def write_files(
    paths: Mapping[str, Path], encoders: Mapping[str, Callable[[], bytes]], *, overwrite: bool
) -> None:
    """Write a frame's files, each whole or not at all; without `overwrite` only those not there.

    paths, encoders: by kind of result. Raises OutputError, which names the file.
    """
    for kind, path in paths.items():
        if overwrite or not is_there(path):
            data = encoders[kind]()
            with atomic_path(path) as unfinished:
                unfinished.write_bytes(data)


def remove_files(paths: Iterable[Path]) -> None:
    """Remove results that are there. Raises OutputError, which names the file."""
    for path in paths:
        try:
            path.unlink(missing_ok=True)
        except OSError as exc:
            raise OutputError(
                f"{path}: is of before and cannot be removed ({exc.strerror}); remove it, or choose another "
                "--out"
            ) from exc
