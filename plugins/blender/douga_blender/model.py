"""What is taken apart and what people are told. Knows neither bpy nor pixels; the queue is the client's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from douga_client.api import ServerInfo
from douga_client.errors import ClientError, Mend
from douga_client.tasks import DocumentError


@dataclass(frozen=True)
class Source:
    """Where frames come from. kind: "IMAGE", "RENDER" or "CLIP". name: of the data block."""

    kind: str
    name: str


def cutout_refusal(info: ServerInfo | None) -> str:
    """Why characters cannot be cut out now, "" where they can; a key of `texts`."""
    if info is None:
        return "The server has not been asked yet what it can do: press the arrows beside Server"
    return "" if info.answers("Cutout") else "This server has no model that cuts out characters yet"


def sentence(error: Exception, language: str, translate: Callable[[str], str]) -> str:
    """One message for people, whatever went wrong."""
    if isinstance(error, ClientError):
        return error.text(language)
    if isinstance(error, DocumentError):
        return f"{translate(error.text)} {error.detail}".strip()
    return str(error)


def mending(error: Exception | None) -> tuple[Mend, str]:
    """What to offer beside the message, and the command line that mends it."""
    if isinstance(error, ClientError):
        return error.mend, error.command("blender")
    return Mend.NONE, ""
