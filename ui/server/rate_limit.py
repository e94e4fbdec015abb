"""Rate limit: questions a minute for each login, or for each address where nobody logs in."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable

from gradio.context import LocalContext

from crop_core.records.request import Engine, EngineRequest, EngineWrapper, R, ResultStream

MINUTE = 60.0  # seconds


class RateError(ValueError):
    """Somebody asked too often; the message is one sentence for that person."""


class RateLimit:
    """Counts what each did within the last minute. Whoever did nothing in it is forgotten.

    most: what one may do in a minute. what: that, in the plural.
    """

    def __init__(
        self, max_per_minute: int, what: str = "questions", clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._most, self._what, self._clock = max_per_minute, what, clock
        self._done: dict[str, deque[float]] = {}
        self._lock = threading.Lock()

    def take(self, who: str) -> None:
        """One more; RateError when that is too many, which then does not count."""
        with self._lock:
            self._check(who)
            self._done.setdefault(who, deque()).append(self._clock())

    def check(self, who: str) -> None:
        """RateError when one more would be too many."""
        with self._lock:
            self._check(who)

    def count(self, who: str) -> None:
        """One more, whatever was done before."""
        with self._lock:
            self._done.setdefault(who, deque(maxlen=self._most)).append(self._clock())

    def _check(self, who: str) -> None:
        now = self._clock()
        for name in [name for name, times in self._done.items() if times[-1] <= now - MINUTE]:
            del self._done[name]
        times = self._done.get(who, deque())
        while times and times[0] <= now - MINUTE:
            times.popleft()
        if len(times) >= self._most:
            wait = max(1, round(times[0] + MINUTE - now))
            raise RateError(f"This server takes {self._most} {self._what} a minute from each; try again in {wait} s.")


class RateLimitedEngine(EngineWrapper):
    """An engine of which every request counts as one question of the visitor who makes it; RateError if too many."""

    def __init__(self, engine: Engine, rate: RateLimit) -> None:
        super().__init__(engine)
        self._rate = rate

    def call(self, request: EngineRequest[R], /) -> R:
        """As the engine's."""
        self._rate.take(visitor())
        return super().call(request)

    def stream(self, request: EngineRequest[R], /) -> ResultStream[R]:
        """As the engine's; counted when it is asked for, not when it is read."""
        self._rate.take(visitor())
        return super().stream(request)


def visitor() -> str:
    """Login of the current request, or else the address that it came from."""
    request = LocalContext.request.get(None)
    if request is None:
        return ""
    return str(request.username or getattr(request.client, "host", ""))
