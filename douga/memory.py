"""Too little memory for a frame, told as what it is, so that the other frames go on."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from douga.errors import DougaError, InputError
from douga.types import Frame


@contextmanager
def memory_minded(frame: Frame, told: Callable[[Frame], DougaError] | None = None) -> Iterator[None]:
    """Translate the ways in which numpy, OpenCV and torch say that memory is short.

    told: makes the error to raise; an InputError with the frame's size where it is left out.
    """
    import cv2

    try:
        yield
        return
    except MemoryError:
        pass
    except cv2.error as exc:
        if getattr(exc, "code", None) != cv2.Error.StsNoMem:
            raise
    except RuntimeError as exc:
        if not _is_torch_short(exc):
            raise
    # Outside of the handlers: the first error's traceback would hold the arrays that there was no room for.
    raise (told or _too_large)(frame)


def _is_torch_short(exc: RuntimeError) -> bool:
    torch = sys.modules.get("torch")  # where it is not loaded it is none of its errors
    if torch is not None and isinstance(exc, torch.OutOfMemoryError):
        torch.cuda.empty_cache()
        return True
    return "can't allocate memory" in str(exc)  # its allocator of the CPU has no class of its own


def _too_large(frame: Frame) -> InputError:
    height, width = frame.size_hw
    return InputError(
        f"{frame.name}: not enough memory for a frame of {width} x {height} px; scale it down, end other "
        "programs, or give --device cpu where it was the accelerator's memory"
    )
