"""Mutated calls to a real server: `fuzz_calls.py CALLS FOLDER [SEED]`, run by `make fuzz`.

The same seed gives the same calls. FOLDER: gets a file for a call whose answer should not have been;
`fuzz_calls.py FILE` plays it again. Ends with another status than 0 then.
"""

from __future__ import annotations

import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import grpc
from hostile import SERVICE, Code, Target, attacked, serving_unix
from mutation import joined, message_lists, mutated_call, parted

EXPECTED = {Code.OK, Code.INVALID_ARGUMENT, Code.RESOURCE_EXHAUSTED}
_AT_ONCE = 8
_TIMEOUT_S = 20.0
Call = tuple[bool, list[bytes]]


def fuzz(target: Target, calls: int, seed: int, folder: Path) -> Counter[str]:
    """How so many mutated calls ended. Raises AssertionError at one that ended as none should."""
    rng, ended = random.Random(seed), Counter[str]()
    whole = message_lists("")
    with attacked(target), target.channel() as channel:
        for first in range(0, calls, _AT_ONCE):
            batch: list[Call] = []
            for _ in range(min(_AT_ONCE, calls - first)):
                is_sequence, messages = rng.choice(whole)
                batch.append((is_sequence, mutated_call(messages, rng)))
            for call, code in zip(batch, _play(channel, batch), strict=True):
                ended[code.name] += 1
                if code not in EXPECTED:
                    _report(call, code, folder)
    return ended


def _play(channel: grpc.Channel, batch: list[Call]) -> list[grpc.StatusCode]:
    begun = []
    for is_sequence, messages in batch:
        path = f"/{SERVICE}/{'ReconstructSequence' if is_sequence else 'Reconstruct'}"
        begun.append(channel.stream_stream(path)(iter(messages), timeout=_TIMEOUT_S))
    codes = []
    for call in begun:
        try:
            for _ in call:
                pass
        except grpc.RpcError:
            pass
        codes.append(call.code())
    return codes


def _report(call: Call, code: grpc.StatusCode, folder: Path) -> None:
    data = joined(*call)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"call-{len(list(folder.iterdir()))}"
    path.write_bytes(data)
    raise AssertionError(f"{code.name} from {data!r}, written to {path}")


if __name__ == "__main__":
    what, *rest = sys.argv[1:]
    with tempfile.TemporaryDirectory() as place, serving_unix(Path(place)) as server:
        if rest:
            begun_s = time.monotonic()
            found = fuzz(server, int(what), int(rest[1]) if len(rest) > 1 else 4, Path(rest[0]))
            print(f"{found.total()} calls in {time.monotonic() - begun_s:.0f} s: {dict(found)}")
        else:
            again = parted(Path(what).read_bytes())
            with server.channel() as channel:
                print(_play(channel, [again])[0].name)
            print(server.log.read_text())
