"""Engine that runs equal requests of the page once: who asks meanwhile reads along, who asks later gets what was kept.

Thirty students who press the same example cost one run. What is kept has the date of its run, by which the page says
so; a request that is `fresh` is run in any case, and so is every `call`, which programs send. A visitor who asks the
same about the very same image as another one, to the pixel, can tell that somebody has.
"""

from __future__ import annotations

import pickle
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Generic, cast

from crop_core.io.digest import SecretDigest
from crop_core.records.request import Engine, EngineRequest, EngineWrapper, QueueStatus, R, ResultStream
from crop_core.records.results import RunError, StreamEvent

KEPT = ("stream", "measure", "run_many", "attention")  # kinds of requests


class KeepingEngine(EngineWrapper):
    """Engine whose streams are shared and kept. limit: bytes of all that is kept; the longest unread goes first."""

    def __init__(self, engine: Engine, limit: int) -> None:
        super().__init__(engine)
        self._limit = limit
        self._key = SecretDigest()
        self._kept: OrderedDict[bytes, bytes] = OrderedDict()
        self._running: dict[bytes, SharedStream[Any]] = {}
        self._lock = threading.Lock()

    def stream(self, request: EngineRequest[R], /) -> ResultStream[R]:
        """As the engine's; of an equal request that is running every result so far and to come, of an earlier one what
        is left to show.
        """
        if request.fresh or request.kind not in KEPT or not self._limit:
            return super().stream(request)
        parts = request.config, request.regions, request.memory, request.with_baseline, request.history, request.specs
        key = self._key(request.images, request.kind, request.question, *parts)
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return (each for each in cast(list[R], pickle.loads(self._kept[key])))
            running = self._running.get(key)
            reader = running.join() if running else None
            if reader is None:
                source: ResultStream[Any] = super().stream(cast(EngineRequest[Any], request))
                running = SharedStream(source, partial(self._ended, key, request))
                self._running[key] = running
                reader = running.join()
            return cast(ResultStream[R], reader)

    def _ended(self, key: bytes, request: EngineRequest[Any], stream: SharedStream[Any], whole: bool) -> None:
        """Keep what a stream has given, where it was read to its end."""
        results = shown(request, stream.results) if whole else []
        entry = pickle.dumps(results)
        with self._lock:
            if self._running.get(key) is stream:
                del self._running[key]
            if results and len(entry) <= self._limit:
                self._kept[key] = entry
                while sum(map(len, self._kept.values())) > self._limit:
                    self._kept.popitem(last=False)


def shown(request: EngineRequest[Any], results: Sequence[Any]) -> list[Any]:
    """What is left to show of a request that was run: each of many results, else the last event; nothing of what failed
    or was broken off.
    """
    if request.kind in ("run_many", "attention"):
        return [] if any(isinstance(each, RunError) for each in results) else list(results)
    last = results[-1] if results else None
    if not isinstance(last, StreamEvent):
        return []
    if request.kind == "stream":
        return [last] if last.comparison else []
    return [last] if last.measured and (last.measured.peaks or not request.memory) else []


class SharedStream(Generic[R]):
    """A stream that several readers read along: whoever needs the next result first gets it from the source.

    The source is closed when its last reader has left. ended: called then, or at the end, with this stream and whether
    the source gave all of its results. Thread-safe.
    """

    def __init__(self, source: ResultStream[R], ended: Callable[[SharedStream[R], bool], None]) -> None:
        self._source, self._notify_ended = source, ended
        self._items: list[R | QueueStatus] = []
        self._error: BaseException | None = None
        self._readers = 0
        self._getting = self._over = False
        self._moved = threading.Condition()

    @property
    def results(self) -> list[R]:
        """Its results so far."""
        return [each for each in self._items if not isinstance(each, QueueStatus)]

    def join(self) -> ResultStream[R] | None:
        """All results from the first on, and the newest queue status; None where the stream has failed or was left."""
        with self._moved:
            if self._over:
                return None
            self._readers += 1
        return self._read()

    def _read(self) -> ResultStream[R]:
        try:
            at = 0
            while self._has(at):
                item, at = self._items[at], at + 1
                if not isinstance(item, QueueStatus) or at == len(self._items):
                    yield item
            if self._error is not None:
                raise self._error
        finally:
            self._leave()

    def _has(self, at: int) -> bool:
        """Whether there is such an item, once it is there or there is no more."""
        with self._moved:
            self._moved.wait_for(lambda: at < len(self._items) or self._over or not self._getting)
            if at < len(self._items) or self._over:
                return at < len(self._items)
            self._getting = True
        error: BaseException | None = None
        try:
            item = [next(self._source)]
        except StopIteration:
            item = []
        except BaseException as raised:  # of any kind: it is raised in every reader
            item, error = [], raised
        with self._moved:
            self._items += item
            self._error, self._over, self._getting = error, not item, False
            self._moved.notify_all()
        if not item:
            self._notify_ended(self, error is None)
        return bool(item)

    def _leave(self) -> None:
        with self._moved:
            self._readers -= 1
            if self._readers or self._over:
                return
            self._over = True
        self._notify_ended(self, False)
        self._source.close()
