"""The engine in Ray Serve: workers with one engine and one request at a time each, and the client that calls them.

A request whose worker dies is sent once more, to another one; if that one dies too, it fails with a message. A stream
of many results continues where it was; the stream of a comparison begins again. Ray replaces a worker that has died.

Source: https://docs.ray.io, Ray Serve's deployments, streaming responses and autoscaling. Results are plain records, on
the CPU. A ValueError is returned as a value, since Ray would wrap its message into a traceback.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from typing import Any

from crop_core.records.request import (
    Engine,
    EngineRequest,
    QueueStatus,
    R,
    RemoteError,
    ResultStream,
    remote_call,
    remote_stream,
    unwrap,
)

ENGINE = "Engine"
END = object()


class EngineReplica:
    """Worker: the engine that `load` makes, called from other processes."""

    def __init__(self, load: Callable[[], Engine]) -> None:
        self._engine = load()

    def keeps_history(self) -> bool:
        """As the engine's."""
        return self._engine.keeps_history

    def reads_several(self) -> bool:
        """As the engine's."""
        return self._engine.reads_several

    def short_answer_request(self) -> str:
        """As the engine's."""
        return self._engine.short_answer_request

    def call(self, request: EngineRequest[R]) -> R | RemoteError:
        """The result, or a RemoteError."""
        return remote_call(self._engine, request)

    async def stream(self, request: EngineRequest[R]) -> AsyncIterator[R | RemoteError | QueueStatus]:
        """The results as they come, or a RemoteError as the last. Cancelling it ends the work at the next result."""
        results: Any = remote_stream(self._engine, request)
        result: Any
        try:
            while (result := await asyncio.shield(asyncio.to_thread(next, results, END))) is not END:
                yield result
        finally:
            await asyncio.to_thread(_close, results)


def _close(results: ResultStream[Any]) -> None:
    """Close a generator that may still run in another thread: possible only after its next result."""
    while True:
        try:
            return results.close()
        except ValueError:
            time.sleep(0.05)


def deployment(load: Callable[[], Engine], min_workers: int = 1, max_workers: int = 1, gpus: float = 0) -> Any:
    """The engine's deployment in Ray Serve, to be bound into an application.

    load: makes an engine; it is pickled. Workers scale with the requests. gpus: of each worker.
    """
    from ray import serve

    scaling = {"min_replicas": min_workers, "max_replicas": max_workers, "target_ongoing_requests": 1}
    return serve.deployment(
        name=ENGINE,
        max_ongoing_requests=1,
        autoscaling_config=scaling,
        ray_actor_options={"num_gpus": gpus, "num_cpus": 1},
        health_check_period_s=2,
    )(EngineReplica).bind(load)


class WorkerError(ValueError):
    """Error of a worker, or its loss; the message is one sentence for the visitor."""


class ServedEngine:
    """Client: an engine whose requests are answered by the workers. Not for use on an event loop.

    handle: of the deployment (`ray.serve.handle.DeploymentHandle`).
    """

    def __init__(self, handle: Any) -> None:
        self._handle = handle
        self.keeps_history = bool(handle.keeps_history.remote().result())
        self.reads_several = bool(handle.reads_several.remote().result())
        self.short_answer_request = str(handle.short_answer_request.remote().result())

    def call(self, request: EngineRequest[R], /) -> R:
        """As `Engine`; WorkerError for what a worker raises."""
        for last in (False, True):
            with _lost(last):
                result: R = unwrap(self._handle.call.remote(request).result(), WorkerError)
                return result
        raise AssertionError  # the second try returns or raises

    def stream(self, request: EngineRequest[R], /) -> ResultStream[R]:
        """As `Engine`; WorkerError for what a worker raises."""
        seen = 0  # results that a second try skips, unless they are one growing answer
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
            raise WorkerError("The worker of this request was lost twice; please try again.") from None
