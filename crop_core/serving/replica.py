"""What lives in a worker: one engine with one request at a time. Ray starts another where one has died.

Source: https://docs.ray.io, Ray Serve's deployments, streaming responses and autoscaling. What comes out is plain
records, on the CPU. A refusal goes out as a value, since Ray would wrap its sentence into a traceback.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from typing import Any

ENGINE = "Engine"
END = object()


@dataclass(frozen=True)
class Refusal:
    """The sentence of a ValueError, on its way out of a worker."""

    sentence: str


class EngineReplica:
    """The entries of the engine that `load` makes, by name; a generator's results as they come."""

    def __init__(self, load: Callable[[], Any]) -> None:
        self._engine = load()

    def keeps_history(self) -> bool:
        """As the engine's."""
        return bool(self._engine.keeps_history)

    def call(self, entry: str, request: tuple[Any, ...]) -> Any:
        """The result, or a Refusal."""
        try:
            return getattr(self._engine, entry)(*request)
        except ValueError as error:
            return Refusal(str(error))

    async def stream(self, entry: str, request: tuple[Any, ...]) -> AsyncIterator[Any]:
        """The results, or a Refusal as the last. Whoever cancels it ends the work at its next result."""
        results = getattr(self._engine, entry)(*request)
        try:
            while (result := await asyncio.shield(asyncio.to_thread(_next, results))) is not END:
                yield result
        finally:
            await asyncio.to_thread(_close, results)


def _next(results: Iterator[Any]) -> Any:
    try:
        return next(results, END)
    except ValueError as error:
        return Refusal(str(error))


def _close(results: Any) -> None:
    """A generator that still works in another thread cannot be closed: it is, after its next result."""
    while True:
        try:
            return results.close()
        except ValueError:
            time.sleep(0.05)


def deployment(load: Callable[[], Any], least: int = 1, most: int = 1, gpus: float = 0) -> Any:
    """The engine's deployment in Ray Serve, to be bound into an application.

    load: makes an engine; it is pickled. least, most: workers, as many as there are requests. gpus: of each worker.
    """
    from ray import serve

    scaling = {"min_replicas": least, "max_replicas": most, "target_ongoing_requests": 1}
    return serve.deployment(
        name=ENGINE,
        max_ongoing_requests=1,
        autoscaling_config=scaling,
        ray_actor_options={"num_gpus": gpus, "num_cpus": 1},
        health_check_period_s=2,
    )(EngineReplica).bind(load)
