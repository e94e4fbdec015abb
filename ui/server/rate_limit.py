"""Rate limit: requests a minute for each login, or for each address without a login.

A measurement is no request of its own: it follows an answer that counted, and makes way for others.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from ipaddress import IPv6Address, IPv6Network

from gradio.context import LocalContext

from crop_core.records.formatting import counted
from crop_core.records.request import Engine, EngineRequest, EngineWrapper, R, ResultStream

MINUTE = 60.0  # seconds


class RateError(ValueError):
    """Rate limit exceeded; the message is one sentence for the visitor. wait: seconds until the next may come."""

    def __init__(self, message: str, wait: int) -> None:
        super().__init__(message)
        self.wait = wait


class RateLimit:
    """Counts the actions of each visitor within the last minute; others are forgotten.

    max_per_minute: actions of one visitor. what: one of them, in the message.
    """

    def __init__(self, max_per_minute: int, what: str = "request", clock: Callable[[], float] = time.monotonic) -> None:
        self._max, self._what, self._clock = max_per_minute, what, clock
        self._done: dict[str, deque[float]] = {}
        self._lock = threading.Lock()

    def take(self, who: str) -> None:
        """Count an action; RateError, without counting it, if there are too many."""
        with self._lock:
            now = self._clock()
            for name in [name for name, times in self._done.items() if not times or times[-1] <= now - MINUTE]:
                del self._done[name]
            times = self._done.setdefault(who, deque())
            while times and times[0] <= now - MINUTE:
                times.popleft()
            if len(times) >= self._max:
                wait = max(1, round(times[0] + MINUTE - now))
                raise RateError(
                    f"This server allows {counted(self._max, self._what)} a minute for each visitor; try again in "
                    f"{wait} s.",
                    wait,
                )
            times.append(now)

    def give_back(self, who: str) -> None:
        """Count the newest action no longer."""
        with self._lock:
            if times := self._done.get(who):
                times.pop()


class RateLimitedEngine(EngineWrapper):
    """Engine with a rate limit on the requests of each visitor; RateError above it."""

    def __init__(self, engine: Engine, rate: RateLimit) -> None:
        super().__init__(engine)
        self._rate = rate

    def call(self, request: EngineRequest[R], /) -> R:
        """As the engine's."""
        self._rate.take(visitor())
        return super().call(request)

    def stream(self, request: EngineRequest[R], /) -> ResultStream[R]:
        """As the engine's; counted when it is requested, not when it is read."""
        if request.kind != "measure":
            self._rate.take(visitor())
        return super().stream(request)


def visitor() -> str:
    """Login of the current request, or else its network."""
    request = LocalContext.request.get(None)
    if request is None:
        return ""
    return str(request.username or network(getattr(request.client, "host", "")))


def tab_or_visitor() -> str:
    """Login of the current request, or else its tab of the page, or else its network: a class may share one address."""
    request = LocalContext.request.get(None)
    own = request and (request.username or getattr(request, "session_hash", None))
    return str(own) if own else visitor()


def network(address: str) -> str:
    """What of an address stands for one visitor: of IPv6 the /64, which is handed out as one; else all of it."""
    try:
        number = IPv6Address(address)
    except ValueError:
        return address
    return str(number.ipv4_mapped or IPv6Network((int(number) >> 64 << 64, 64)))
