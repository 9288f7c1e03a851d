"""The server's log on stderr: one line an event, one line a call, in JSON or for people.

What callers send stands in it only escaped, so that nobody can write a line of their own. Tokens, pixels and
the names of files that callers have never do.
"""

from __future__ import annotations

import json
import logging
import sys
import traceback
from datetime import UTC, datetime
from typing import Any, TextIO

from douga_server.calls import CallRecord

_calls = logging.getLogger("douga_server.calls.access")
_QUIET = ("grpc._cython.cygrpc", "asyncio")  # their notes on single calls are told by ours


def set_up(form: str, stream: TextIO | None = None) -> None:
    """Send all logs to `stream`, stderr by default. form: "json" or "text"."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(_Json() if form == "json" else _Text())
    root = logging.getLogger()
    for old in list(root.handlers):
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)


def log_call(record: CallRecord) -> None:
    """The line of a call that has ended. What went wrong for the caller alone is no warning of ours."""
    level = logging.ERROR if record.code in ("INTERNAL", "UNKNOWN") else logging.INFO
    _calls.log(level, "call", extra={"fields": _fields(record)})


def _fields(record: CallRecord) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "method": record.method.rpartition("/")[2],
        "code": record.code,
        "call_id": record.call_id,
        "peer": record.peer,
        "seconds": round(record.seconds, 4),
    }
    if record.size_wh is not None:
        fields |= {"width": record.size_wh[0], "height": record.size_wh[1], "frames": record.frames}
        fields |= {"bytes_in": record.bytes_in, "bytes_out": record.bytes_out}
    for stage, seconds in record.stage_s.items():
        fields[f"{stage}_s"] = round(seconds, 4)
    if record.reason:
        fields["reason"] = record.reason
    return fields


class _Json(logging.Formatter):
    """One JSON object a line, ASCII only: json escapes control characters and everything beyond ASCII."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
        }
        line |= getattr(record, "fields", {})
        if record.exc_info and record.exc_info[0] is not None:
            line["traceback"] = "".join(traceback.format_exception(*record.exc_info))
        return json.dumps(line)


class _Text(logging.Formatter):
    """For people: time, level, event, then name=value. Only a traceback takes more than one line."""

    def format(self, record: logging.LogRecord) -> str:
        fields = [f"{name}={_plain(value)}" for name, value in getattr(record, "fields", {}).items()]
        event = _plain(record.getMessage(), quote=False)
        line = " ".join([_time(record), f"{record.levelname.lower():7}", event, *fields])
        if record.exc_info and record.exc_info[0] is not None:
            lines = "".join(traceback.format_exception(*record.exc_info)).splitlines()
            line += "".join(f"\n    {_plain(text, quote=False)}" for text in lines)
        return line


def _plain(value: object, *, quote: bool = True) -> str:
    """A value in printable ASCII, in quotation marks where it has spaces."""
    text = json.dumps(str(value))[1:-1].replace('\\"', '"')
    return f'"{text}"' if quote and (not text or " " in text) else text


def _time(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
