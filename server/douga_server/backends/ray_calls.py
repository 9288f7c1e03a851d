"""Calls to the replicas of a farm: made again where one is lost, given up where nobody waits any more."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from typing import Any, TypeVar

from douga.errors import DougaError
from douga_server.backends.ray_replica import Done, Refused, Told, own_answer
from douga_server.jobs import AnyAnswer, AnyJob, BackendError, Model, OnProgress, Progress, Stage, Stopped

_LOG = logging.getLogger(__name__)
_Made = TypeVar("_Made")

_LAST_STEP_S = 5.0  # longer than any step of a network; the replica may be silent for ever
_STAGES = list(Stage)


class ReplicaCalls:
    """Calls through a handle of Ray Serve, each to the replica with the least to do.

    The inputs stay here until there is an answer: where a replica or its machine dies, the job goes to
    another one, and who waits notices the time only.

    models: that the replicas shall answer with, which load them where they have others.
    """

    def __init__(self, ray: Any, handle: Any, *, tries: int, patience_s: float) -> None:
        """ray: the module. tries: replicas that may die on one call. patience_s: for one to take it."""
        self._ray, self._handle = ray, handle
        self._tries, self._patience_s = tries, patience_s
        self.models: tuple[Model, ...] = ()

    async def run(self, job: AnyJob, on_progress: OnProgress) -> AnyAnswer | DougaError:
        """The answer to a job, or why there is none; where on_progress raises Stopped, it is given up."""
        tell = _Onward(on_progress)
        try:
            return await self._insist(lambda: self._try(job, tell))
        except Stopped:
            return BackendError("nobody waited for this frame any more, so it was given up")
        except BackendError as error:
            return error.with_traceback(None)

    async def ask(self, method: str) -> Any:
        """What a method of some replica returns. Raises BackendError."""
        return await self._insist(lambda: self._ask_one(method))

    def close(self) -> None:
        """End the handle, or its thread goes on telling the cluster of its load."""
        self._handle.shutdown()

    async def _insist(self, call: Callable[[], Awaitable[_Made]]) -> _Made:
        """Make a call until a replica answers it. Raises BackendError where too many died on it."""
        lost = _LostError("")
        for turn in range(self._tries):
            try:
                return await call()
            except _LostError as exc:
                lost = exc
                _LOG.warning("a replica was lost, try %d of %d: %s", turn + 1, self._tries, exc)
                await asyncio.sleep(0.02 * 4**turn)
        raise BackendError(
            f"{self._tries} replicas in turn were lost with this frame, the last one because: {lost}"
        )

    async def _try(self, job: AnyJob, tell: _Onward) -> AnyAnswer | DougaError:
        """One try, on the replica with the least to do. Raises Stopped, and _LostError where it is lost."""
        response = self._handle.options(method_name="run", stream=True).remote(job, self.models)
        done = False
        try:
            async with aclosing(self._words(response)) as words:
                async for word in words:
                    if isinstance(word, Told):
                        tell.all(word.progress)
                    elif isinstance(word, Refused):
                        raise _LostError(word.reason)
                    elif isinstance(word, Done):
                        done = True
                        return _result(word)
            raise _LostError("it ended without a word")
        finally:
            if not done:
                await _give_up(response)

    async def _words(self, response: Any) -> AsyncGenerator[Any, None]:
        """What a replica says. Raises _LostError where it takes too long to take the job, or dies."""
        first = asyncio.timeout(self._patience_s)
        try:
            async with first:
                word = await anext(response)
            while True:
                yield word
                word = await anext(response)
        except StopAsyncIteration:
            return
        except TimeoutError as exc:
            raise _LostError(f"none took the frame within {self._patience_s:g} s") from exc
        except asyncio.CancelledError as exc:
            raise _cancelled_by_whom(exc) from exc
        except Exception as exc:
            raise self._translated(exc) from exc

    async def _ask_one(self, method: str) -> Any:
        """One call for a short word. Raises _LostError."""
        try:
            async with asyncio.timeout(self._patience_s):
                return await self._handle.options(method_name=method).remote()
        except TimeoutError as exc:
            raise _LostError(f"none answered within {self._patience_s:g} s") from exc
        except asyncio.CancelledError as exc:
            raise _cancelled_by_whom(exc) from exc
        except Exception as exc:
            raise self._translated(exc) from exc

    def _translated(self, exc: Exception) -> Exception:
        """Ray's errors are a replica's death or our bug, as seen from here."""
        ray = self._ray
        if isinstance(exc, ray.exceptions.RayTaskError):
            cause = exc.cause
            if not isinstance(cause, ray.exceptions.RayError):
                return BackendError(
                    f"a replica met a bug ({type(cause).__name__}: {cause}); its log has more"
                )
        if isinstance(exc, ray.exceptions.RayError | ray.serve.exceptions.RayServeException):
            return _LostError(f"{type(exc).__name__}: {str(exc).strip().splitlines()[0] if str(exc) else ''}")
        return exc


class _LostError(Exception):
    """A replica could not do what it was asked; another might."""


class _Onward:
    """Passes progress on, but never back: a second try begins where the first one did."""

    def __init__(self, on_progress: OnProgress) -> None:
        self._on_progress = on_progress
        self._furthest = (-1, 0.0)

    def all(self, told: Sequence[Progress]) -> None:
        """Raises Stopped where nobody wants the job any more."""
        for progress in told:
            here = (_STAGES.index(progress.stage), progress.share)
            if here > self._furthest:
                self._furthest = here
                self._on_progress(progress)


def _result(word: Done) -> AnyAnswer | DougaError:
    if isinstance(word.result, Stopped):
        raise _LostError("it stopped by itself")
    return own_answer(word.result) if isinstance(word.result, AnyAnswer) else word.result


async def _give_up(response: Any) -> None:
    """Stop a call, and wait until its replica has let go of it, however often this task is cancelled."""
    response.cancel()  # or the replica goes on working for nobody
    ending = asyncio.ensure_future(_last_word(response))
    until_s = time.monotonic() + _LAST_STEP_S
    while not ending.done() and (left_s := until_s - time.monotonic()) > 0:
        try:
            await asyncio.wait([ending], timeout=left_s)
        except asyncio.CancelledError:
            continue
    ending.cancel()


async def _last_word(response: Any) -> None:
    try:
        async for _ in response:
            pass
    except (Exception, asyncio.CancelledError):
        return  # cancelled, or dead: it is over


def _cancelled_by_whom(exc: asyncio.CancelledError) -> BaseException:
    """Ray says "cancelled" too where a replica was taken away; only our own caller's word is one."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        return exc
    return _LostError("the replica was taken away")
