"""Engine whose requests are queued, so that each has the model to itself; streams yield the queue status.

All requests run in the same few threads: libraries keep memory per thread, and Gradio has many.

Closing a stream, queued or running, frees its place. A call cannot be closed: it keeps its place until it is answered
or times out. A measurement lets other requests go first between two of its steps: a visitor never waits for more than
one pair of somebody else's timed runs.
"""

from __future__ import annotations

import contextvars
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

from crop_core.records.request import Engine, EngineRequest, EngineWrapper, R, ResultStream
from ui.server.rate_limit import tab_or_visitor
from ui.server.request_queue import RequestQueue, Ticket

END = object()
PAUSE = 60.0  # seconds that a measurement waits for others, before it ends with what is measured
T = TypeVar("T")


class QueuedEngine(EngineWrapper):
    """Engine behind a queue; QueueFullError if the queue is full (of a stream, once it is read). pause: as PAUSE; 0 for
    an engine that is paid for while it waits.
    """

    def __init__(self, engine: Engine, queue: RequestQueue, pause: float = PAUSE) -> None:
        super().__init__(engine)
        self._queue, self._pause = queue, pause
        self._threads = ThreadPoolExecutor(queue.width, "crop-model")

    def call(self, request: EngineRequest[R], /) -> R:
        """As the engine's, after waiting in the queue."""
        ticket = self._queue.join(request.kind, visitor=tab_or_visitor())
        try:
            for _ in ticket.waits():
                pass
            result = self._submit(self.engine.call, request).result()
            ticket.leave(answered=True)
            return result
        finally:
            ticket.leave()

    def stream(self, request: EngineRequest[R], /) -> ResultStream[R]:
        """As the engine's, after a QueueStatus every second."""
        ticket = self._queue.join(request.kind, 1 + len(request.specs), tab_or_visitor())
        try:
            results = self.engine.stream(request)
            yield from ticket.waits()
            while (result := self._submit(next, results, END).result()) is not END:
                yield result
                if ticket.make_way() and not (yield from ticket.waits(longest=self._pause)):
                    self._submit(_close, results, ticket)
                    return
            ticket.leave(answered=True)
        except GeneratorExit:
            self._submit(_close, results, ticket)  # without waiting: this is Gradio's event loop
            raise
        except BaseException:
            ticket.leave()
            raise

    def _submit(self, task: Callable[..., T], *args: Any) -> Future[T]:
        """Run in a model thread, in the caller's context (ZeroGPU reads the Gradio request from it)."""
        return self._threads.submit(contextvars.copy_context().run, task, *args)


def _close(results: ResultStream[Any], ticket: Ticket) -> None:
    try:
        results.close()
    finally:
        ticket.leave()
