"""What was written down at installation and what the user chose: one small JSON file for all hosts.

It holds the path of the Python that Douga is installed in. That is never guessed: within Krita and GIMP
`sys.executable` is the host itself. The token lies in it too, so nobody else may read it.
"""

from __future__ import annotations

import json
import os
import secrets
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from .address import Target, parse_address
from .errors import ClientError, Kind
from .system_errors import in_words

PACKINGS = ("auto", "raw", "png", "zstd")
_MOST_BYTES = 1 << 16


@dataclass(frozen=True)
class Settings:
    """What a plugin needs to know.

    server: "auto" for the one of this machine, else HOST:PORT or unix:PATH; token, tls, ca_file, cert_file
    and key_file go with it, see `address.Target`. packing: one of PACKINGS. python: has Douga in it.
    arguments: more for `douga serve`, e.g. ("--device", "cuda:1"). listen: address of the server that is
    started here, empty for a free one. start_server: whether one may be. keep_server: it outlives the host.
    """

    server: str = "auto"
    token: str = field(default="", repr=False)
    tls: bool = False
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""
    packing: str = "auto"
    python: str = ""
    arguments: tuple[str, ...] = ()
    listen: str = ""
    start_server: bool = True
    keep_server: bool = False

    def target(self) -> Target:
        """The server that was entered. Raises ClientError for an address that is none."""
        address = parse_address(self.server)
        return Target(address, self.token, self.tls, self.ca_file, self.cert_file, self.key_file, self.python)


def default_path() -> Path:
    """$XDG_CONFIG_HOME/douga/plugins.json or ~/.config/douga/plugins.json; on Windows in %APPDATA%."""
    folder = os.environ.get("APPDATA" if os.name == "nt" else "XDG_CONFIG_HOME", "")
    return (Path(folder) if os.path.isabs(folder) else Path.home() / ".config") / "douga" / "plugins.json"


def read(path: Path | None = None) -> Settings:
    """The settings; the usual ones where there is no file. Raises ClientError where it makes no sense."""
    path = path or default_path()
    try:
        with open(path, "rb") as file:
            found = json.loads(file.read(_MOST_BYTES))
    except FileNotFoundError:
        return Settings()
    except OSError as exc:
        raise ClientError(Kind.SETTINGS_BROKEN, path=str(path), said=in_words(exc)) from exc
    except ValueError as exc:
        raise ClientError(Kind.SETTINGS_BROKEN, path=str(path), said="it is no JSON") from exc
    if not isinstance(found, dict):
        raise ClientError(Kind.SETTINGS_BROKEN, path=str(path), said="expected an object with the settings")
    known = {
        f.name: _checked(path, f.name, found[f.name], f.default) for f in fields(Settings) if f.name in found
    }
    return Settings(**known)


def write(settings: Settings, path: Path | None = None) -> None:
    """Put the settings in place at once, readable by their owner alone. Raises ClientError."""
    path = path or default_path()
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(
            os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8"
        ) as file:
            json.dump(asdict(settings), file, indent=2)
            file.write("\n")
        os.replace(temporary, path)
    except OSError as exc:
        raise ClientError(Kind.SETTINGS_BROKEN, path=str(path), said=in_words(exc)) from exc
    finally:
        with suppress(OSError):
            temporary.unlink()


def _checked(path: Path, name: str, value: Any, usual: Any) -> Any:
    if isinstance(usual, tuple) and isinstance(value, list) and all(isinstance(item, str) for item in value):
        return tuple(value)
    if type(value) is not type(usual):
        said = (
            f"{name} is {value!r:.40}, expected {'a list of words' if usual == () else type(usual).__name__}"
        )
        raise ClientError(Kind.SETTINGS_BROKEN, path=str(path), said=said)
    if name == "packing" and value not in PACKINGS:
        raise ClientError(
            Kind.SETTINGS_BROKEN,
            path=str(path),
            said=f"packing is {value!r:.40}, expected {', '.join(PACKINGS)}",
        )
    return value
