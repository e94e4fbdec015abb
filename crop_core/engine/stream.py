"""Streams: the work of a request runs in a thread of its own and queues events for the reader."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import cast

from crop_core.engine.compare import RequestRuns, compare
from crop_core.engine.out_of_memory import compare_with_fallback, measure_with_fallback
from crop_core.records.region import Region
from crop_core.records.results import StreamEvent

PULSE = 2.0  # seconds after which the last event is repeated
CHECK = 0.1  # seconds between two looks at whether the stream was closed
END = object()
Progress = tuple[str, list[int], Sequence[Region]]


class Cancelled(Exception):
    """Raised inside a run whose stream was closed."""


class StreamThread(threading.Thread):
    """Work in a thread, its events in a queue. work: yields events, each made under the engine's lock; the next one is
    begun only when the reader comes back, so that a reader who waits lets others run.
    """

    def __init__(self, work: Iterator[StreamEvent], runs: RequestRuns, lock: threading.Lock) -> None:
        super().__init__(daemon=True, name="crop-stream")
        self._work, self._runs, self._lock, self._limit = work, runs, lock, runs.progress
        runs.progress = self._progress
        self._queue: queue.SimpleQueue[StreamEvent | Progress | BaseException | object] = queue.SimpleQueue()
        self._wanted = threading.Semaphore()
        self._cancelled = threading.Event()
        self._stage = ""

    def run(self) -> None:
        """Run the work; its end or its error is the last item of the queue."""
        item: object = None
        try:
            while item is not END:
                self._acquire(self._wanted)
                self._acquire(self._lock)
                try:
                    item = next(self._work, END)
                finally:
                    self._lock.release()
                self._queue.put(item)
        except BaseException as error:  # any error is raised in the reader
            self._queue.put(error)

    def _acquire(self, lock: threading.Lock | threading.Semaphore) -> None:
        while not lock.acquire(timeout=CHECK):
            self._check()

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
        """Events until the last one; raises what the work raised.

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
            if item is END:
                return
            if isinstance(item, BaseException):
                raise item
            if isinstance(item, StreamEvent):
                yield (event := item)
                self._wanted.release()
                continue
            stage, ids, regions = cast("tuple[str, list[int], Sequence[Region]]", item)
            event = StreamEvent(stage, self._runs.task.adapter.decode(ids), tuple(regions))
            yield event

    def cancel(self) -> None:
        """Stop at the next token and wait for the thread; no effect on work that has ended."""
        self._cancelled.set()
        self.join()


def answers(runs: RequestRuns, release: Callable[[], None]) -> Iterator[StreamEvent]:
    """The last event of a comparison, with its times as they were answered. release: as in `translate_oom`."""
    result = compare_with_fallback(compare, runs, release)
    yield StreamEvent("done", result.crop.text, result.regions, result)


def measurements(runs: RequestRuns, with_baseline: bool, release: Callable[[], None]) -> Iterator[StreamEvent]:
    """The events of a measurement."""
    for measured in measure_with_fallback(runs, with_baseline, release):
        yield StreamEvent("measure", measured=measured)


def streamed(
    work: Iterator[StreamEvent], runs: RequestRuns, lock: threading.Lock
) -> Generator[StreamEvent, None, None]:
    """Events of `work`, which runs in a StreamThread; closing them ends it."""
    thread = StreamThread(work, runs, lock)
    thread.start()
    try:
        yield from thread.events()
    finally:
        thread.cancel()
