"""Streamed comparison: it runs in a thread of its own and queues events for the reader."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator, Sequence

from crop_core.engine.compare import Measurement
from crop_core.engine.out_of_memory import compare_with_fallback
from crop_core.records.region import Region
from crop_core.records.results import StreamEvent

PULSE = 2.0  # seconds after which the last event is repeated


class Cancelled(Exception):
    """Raised inside a run whose stream was closed."""


class ComparisonThread(threading.Thread):
    """One comparison in a thread, its events in a queue. release: as in `compare_with_fallback`."""

    def __init__(self, measured: Measurement, lock: threading.Lock, release: Callable[[], None]) -> None:
        super().__init__(daemon=True, name="crop-stream")
        self._measured, self._lock, self._limit = measured, lock, measured.progress
        measured.progress = self._progress
        self._queue: queue.SimpleQueue[StreamEvent | tuple[str, list[int], Sequence[Region]] | BaseException] = (
            queue.SimpleQueue()
        )
        self._release = release
        self._cancelled = threading.Event()
        self._stage = ""

    def run(self) -> None:
        """Run the comparison under the engine's lock; its result or error is the last item of the queue."""
        try:
            while not self._lock.acquire(timeout=0.1):
                self._check()
            try:
                result = compare_with_fallback(self._measured, self._release)
            finally:
                self._lock.release()
            self._queue.put(StreamEvent("done", result.crop.text, result.regions, result))
        except BaseException as error:  # any error is raised in the reader
            self._queue.put(error)

    def _check(self) -> None:
        if self._cancelled.is_set():
            raise Cancelled

    def _progress(self, stage: str, ids: list[int], regions: Sequence[Region]) -> None:
        self._check()
        self._limit(stage, ids, regions)
        if ids or stage != self._stage:  # the same stage without a new token is no event
            self._queue.put((stage, ids, regions))
        self._stage = stage

    def events(self) -> Iterator[StreamEvent]:
        """Events until the last one; raises what the comparison raised.

        After PULSE seconds without an event the last one is repeated, since an iterator can only be closed between two
        events.
        """
        event: StreamEvent | None = None
        while True:
            try:
                item = self._queue.get(timeout=PULSE if event else None)
            except queue.Empty:
                assert event is not None  # noqa: S101  nothing else times out
                yield event
                continue
            if isinstance(item, BaseException):
                raise item
            if isinstance(item, StreamEvent):
                yield item
                return
            stage, ids, regions = item
            event = StreamEvent(stage, self._measured.task.adapter.decode(ids), tuple(regions))
            yield event

    def cancel(self) -> None:
        """Stop at the next token and wait for the thread; no effect on a comparison that has ended."""
        self._cancelled.set()
        self.join()
