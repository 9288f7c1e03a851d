"""The HTTP/2 library, in the form that we use. When a plugin is packed, these imports go to its own copy."""

from __future__ import annotations

from typing import Any

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    Event,
    RemoteSettingsChanged,
    ResponseReceived,
    StreamEnded,
    StreamReset,
    TrailersReceived,
)
from h2.exceptions import H2Error
from h2.settings import SettingCodes, Settings

__all__ = [
    "ConnectionTerminated",
    "DataReceived",
    "ErrorCodes",
    "Event",
    "H2Error",
    "RemoteSettingsChanged",
    "ResponseReceived",
    "StreamEnded",
    "StreamReset",
    "TrailersReceived",
    "client_connection",
]


class _Patient(H2Connection):
    """Reads on after GOAWAY: a server that goes down finishes what is under way, which h2 would refuse."""

    def _receive_goaway_frame(self, frame: Any) -> tuple[list[Any], list[Event]]:
        event = ConnectionTerminated()
        event.error_code = frame.error_code
        event.last_stream_id = frame.last_stream_id
        event.additional_data = frame.additional_data or None
        return [], [event]


def client_connection(window_bytes: int, max_frame_bytes: int) -> H2Connection:
    """A connection with its preface ready to be sent. window_bytes: of each stream."""
    connection = _Patient(H2Configuration(client_side=True, header_encoding="utf-8"))
    connection.local_settings = Settings(
        client=True,
        initial_values={
            SettingCodes.ENABLE_PUSH: 0,
            SettingCodes.INITIAL_WINDOW_SIZE: window_bytes,
            SettingCodes.MAX_FRAME_SIZE: max_frame_bytes,
            SettingCodes.MAX_HEADER_LIST_SIZE: H2Connection.DEFAULT_MAX_HEADER_LIST_SIZE,
        },
    )
    connection.max_inbound_frame_size = max_frame_bytes
    connection.initiate_connection()
    connection.increment_flow_control_window(2 * window_bytes)
    return connection
