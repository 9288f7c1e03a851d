"""Many large calls at once, as a process: `flood.py TARGET CA|- TOKEN|- CALLS MEGABYTES KIND`.

Prints the status of each. KIND: "unary", one message for a call that takes a small one; "message", one
that is larger than any chunk; "frames", sound raw frames of this size.
"""

from __future__ import annotations

import faulthandler
import sys
import threading
from collections.abc import Iterator

import grpc
import numpy as np
from douga_server.codec_client import requests
from douga_server.jobs import Options
from douga_server.pixels import Encoding
from hostile import SERVICE

from douga.types import Frame


def _messages(kind: str, size: int) -> Iterator[bytes]:
    if kind != "frames":
        yield bytes(size)
        return
    frame = Frame(np.zeros((1000, size // 3000, 3), np.uint8))
    for message in requests(frame, Options(), encoding=Encoding.RAW):
        yield message.SerializeToString()


def _call(target: str, ca: str, token: str, kind: str, size: int) -> None:
    options = [("grpc.max_send_message_length", -1), ("grpc.use_local_subchannel_pool", 1)]
    if ca == "-":
        channel = grpc.insecure_channel(target, options=options)
    else:
        with open(ca, "rb") as file:
            channel = grpc.secure_channel(target, grpc.ssl_channel_credentials(file.read()), options=options)
    path = f"/{SERVICE}/{'GetCapabilities' if kind == 'unary' else 'Reconstruct'}"
    metadata = () if token == "-" else (("authorization", f"Bearer {token}"),)
    code = "OK"
    with channel:
        try:
            for _ in channel.stream_stream(path)(_messages(kind, size), metadata=metadata, timeout=20):
                pass
        except grpc.RpcError as error:
            code = error.code().name
    sys.stdout.write(f"{code}\n")
    sys.stdout.flush()  # a call that hangs must not take the others' answers with it


if __name__ == "__main__":
    faulthandler.dump_traceback_later(45, exit=True)  # a client that hangs tells where
    target, ca, token, calls, megabytes, kind = sys.argv[1:]
    arguments = (target, ca, token, kind, int(megabytes) * 1_000_000)
    threads = [threading.Thread(target=_call, args=arguments) for _ in range(int(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
