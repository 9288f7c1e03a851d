"""The bounds of the front and their defaults. Light on purpose, as the front is."""

from __future__ import annotations

from dataclasses import dataclass, field

from douga_server.limits import Limits


@dataclass(frozen=True)
class ServiceOptions:
    """What a call may take.

    message_timeout_s: for the next message while one is owed. receive_timeout_s: for a whole frame.
    send_timeout_s: for the caller to take the next part of an answer. pause_timeout_s: both ways between the
    frames of a sequence. max_bytes_held: of all frames under way, packed and unpacked.
    """

    limits: Limits = field(default_factory=Limits)
    message_timeout_s: float = 20.0
    receive_timeout_s: float = 120.0
    send_timeout_s: float = 120.0
    pause_timeout_s: float = 600.0
    max_bytes_held: int = 1 << 30


@dataclass(frozen=True)
class FrontOptions:
    """What the front takes from the network.

    max_calls: of the service, under way at once; half of them may be receiving while the queue is full.
    handshake_timeout_s: from the connection to the end of the handshakes (TLS, HTTP/2). keepalive_s: silence
    after which a connection is asked whether it lives. max_connection_age_s: after it a connection takes no
    new calls; those under way have max_connection_grace_s, and longer sequences are cut off then.
    """

    service: ServiceOptions = field(default_factory=ServiceOptions)
    max_calls: int = 128
    max_connections: int = 1024
    max_streams: int = 128
    handshake_timeout_s: float = 10.0
    keepalive_s: float = 30.0
    keepalive_timeout_s: float = 20.0
    max_connection_idle_s: float = 900.0
    max_connection_age_s: float = 4 * 3600.0
    max_connection_grace_s: float = 1800.0

    def channel_args(self) -> list[tuple[str, int]]:
        """For grpc.aio.server. The names stand in gRPC's core, which passes over unknown ones in silence."""
        ms = 1000
        return [
            # A second server on the same port would get half of the calls instead of an error.
            ("grpc.so_reuseport", 0),
            ("grpc.max_receive_message_length", self.service.limits.max_message_bytes),
            ("grpc.max_send_message_length", self.service.limits.max_message_bytes),
            # What may be on the way to a call that does not read: one chunk. gRPC's own probing goes up to
            # 16 MB for each call. Over 20 ms it still is 50 MB/s.
            ("grpc.http2.bdp_probe", 0),
            ("grpc.http2.lookahead_bytes", self.service.limits.max_chunk_bytes),
            # What of a connection is read at once; without a bound it grows with what comes, headers too.
            ("grpc.experimental.tcp_max_read_buffer_size", 64 << 10),
            ("grpc.max_metadata_size", 8 << 10),
            ("grpc.absolute_max_metadata_size", 16 << 10),
            ("grpc.max_allowed_incoming_connections", self.max_connections),
            ("grpc.max_concurrent_streams", self.max_streams),
            ("grpc.server_handshake_timeout_ms", int(self.handshake_timeout_s * ms)),
            ("grpc.keepalive_time_ms", int(self.keepalive_s * ms)),
            ("grpc.keepalive_timeout_ms", int(self.keepalive_timeout_s * ms)),
            ("grpc.keepalive_permit_without_calls", 1),
            ("grpc.http2.max_pings_without_data", 0),
            ("grpc.http2.min_ping_interval_without_data_ms", 10 * ms),
            ("grpc.http2.max_ping_strikes", 3),
            ("grpc.max_connection_idle_ms", int(self.max_connection_idle_s * ms)),
            ("grpc.max_connection_age_ms", int(self.max_connection_age_s * ms)),
            ("grpc.max_connection_age_grace_ms", int(self.max_connection_grace_s * ms)),
        ]
