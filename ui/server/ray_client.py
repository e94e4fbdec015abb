"""Engine whose requests are answered by the workers of a Ray Serve deployment.

A request whose worker dies is sent once more, to another one; if that one dies too, it fails with a message. A stream
of many results continues where it was; the stream of a comparison begins again.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from crop_core.records.request import EngineRequest, R, ResultStream, unwrap


class WorkerError(ValueError):
    """Error of a worker, or the loss of it; the message is one sentence for the person who asked."""


class ServedEngine:
    """handle: of the engine's deployment (`ray.serve.handle.DeploymentHandle`). Not for use on an event loop."""

    def __init__(self, handle: Any) -> None:
        self._handle = handle
        self.keeps_history = bool(handle.keeps_history.remote().result())

    def call(self, request: EngineRequest[R], /) -> R:
        """As `Engine`; WorkerError for what a worker raises."""
        for last in (False, True):
            with _lost(last):
                result: R = unwrap(self._handle.call.remote(request).result(), WorkerError)
                return result
        raise AssertionError  # the second try returns or raises

    def stream(self, request: EngineRequest[R], /) -> ResultStream[R]:
        """As `Engine`; WorkerError for what a worker raises."""
        seen = 0  # results that a second try does not yield again, unless they are one growing answer
        for last in (False, True):
            results = self._handle.options(stream=True).stream.remote(request)
            try:
                with _lost(last):
                    for number, result in enumerate(results):
                        if number >= seen or request.kind == "stream":
                            yield unwrap(result, WorkerError)
                            seen = number + 1
                    return
            finally:
                results.cancel()


@contextmanager
def _lost(last: bool) -> Iterator[None]:
    """Suppress the death of the first try's worker; WorkerError for that of the last."""
    from ray.exceptions import ActorDiedError, ActorUnavailableError, RayActorError

    try:
        yield
    except (RayActorError, ActorDiedError, ActorUnavailableError):
        if last:
            raise WorkerError("The machine that worked at this was lost, twice; please ask again.") from None
