"""How often somebody may ask: a number a minute for each login, or address where nobody logs in."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

from gradio.context import LocalContext

MINUTE = 60.0  # seconds


class RateError(ValueError):
    """Somebody asked too often; the message is one sentence for that person."""


class Rate:
    """Counts what each did within the last minute. Whoever did nothing in it is forgotten.

    most: what one may do in a minute. what: that, in the plural.
    """

    def __init__(self, most: int, what: str = "questions", clock: Callable[[], float] = time.monotonic) -> None:
        self._most, self._what, self._clock = most, what, clock
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


class Rationed:
    """The engine's entries, each of which counts as one question of the visitor whose request is being answered."""

    def __init__(self, engine: Any, rate: Rate) -> None:
        self._engine, self._rate = engine, rate

    @property
    def keeps_history(self) -> bool:
        """As the engine's."""
        return bool(self._engine.keeps_history)

    def answer(self, *request: Any) -> Any:
        """As the engine's."""
        return self._asked().answer(*request)

    def compare(self, *request: Any) -> Any:
        """As the engine's."""
        return self._asked().compare(*request)

    def localize(self, *request: Any) -> Any:
        """As the engine's."""
        return self._asked().localize(*request)

    def stream(self, *request: Any) -> Iterator[Any]:
        """As the engine's."""
        events: Iterator[Any] = self._asked().stream(*request)
        return events

    def ask_many(self, *request: Any) -> Iterator[Any]:
        """As the engine's."""
        results: Iterator[Any] = self._asked().ask_many(*request)
        return results

    def _asked(self) -> Any:
        self._rate.take(visitor())
        return self._engine


def visitor() -> str:
    """Login of the request that is being answered, or else the address that it came from."""
    request = LocalContext.request.get(None)
    if request is None:
        return ""
    return str(request.username or getattr(request.client, "host", ""))
