"""Coverage-guided mutations of what a caller sends, by atheris: `fuzz_decoder.py TARGET RUNS FOLDER [SEED]`.

Run by `make fuzz`. TARGET: "messages" (the bytes of a call -> jobs) or "planes" (packed pixels -> pixels).
FOLDER: gets a file for an input that should not have done what it did; `fuzz_decoder.py TARGET FILE` plays it
again. Ends with another status than 0 then.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["douga_server"], enable_loader_override=False):
    import mutation

_MAX_INPUT_BYTES = 8192
_RSS_MB = 1024  # of the fuzzer itself, whose corpus grows; an input's own share is watched by `mutation`


def _fuzz(target: str, runs: int, folder: Path, seed: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as corpus:
        for number, data in enumerate(mutation.seeds(target)):
            Path(corpus, str(number)).write_bytes(data)
        arguments = [
            sys.argv[0],
            corpus,
            f"-runs={runs}",
            f"-seed={seed}",
            f"-max_len={_MAX_INPUT_BYTES}",
            "-timeout=5",
            f"-rss_limit_mb={_RSS_MB}",
            f"-artifact_prefix={folder}/{target}-",
            "-print_final_stats=1",
            "-verbosity=0",
        ]
        atheris.Setup(arguments, lambda data: _try(target, data))
        atheris.Fuzz()


def _try(target: str, data: bytes) -> None:
    mutation.watched(mutation.TARGETS[target], data)


if __name__ == "__main__":
    target, what, *rest = sys.argv[1:]
    for data in mutation.seeds(target):  # everything is loaded and warm before memory is watched
        mutation.TARGETS[target](data)
    if rest:
        _fuzz(target, int(what), Path(rest[0]), int(rest[1]) if len(rest) > 1 else 4)
    else:
        _try(target, Path(what).read_bytes())
        print("nothing happened")
