"""Queue before the model: first come, first served, with a limit on how many wait and an estimate of how long.

The time of a kind of request is learned from those that were answered. Knows nothing of engines.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator

from crop_core.records.request import QueueStatus
from ui.views.texts import duration_in_words

STATUS_EVERY = 1.0  # seconds between two statuses of one wait
NEWEST = 0.3  # weight of the newest time in the mean of its kind


class QueueFullError(ValueError):
    """The queue is full; the message is one sentence for the person who made it."""

    def __init__(self, waiting: int, seconds: float | None) -> None:
        who = "1 question already waits" if waiting == 1 else f"{waiting} questions already wait"
        when = "soon" if seconds is None else f"in about {duration_in_words(seconds)}"
        super().__init__(f"{who} for the model, and no more may; please ask again {when}.")


class RequestQueue:
    """waiting: how many may wait. width: how many may run at once. Safe to use from any thread."""

    def __init__(self, waiting: int, width: int = 1, clock: Callable[[], float] = time.monotonic) -> None:
        self.width, self.clock = width, clock
        self._waiting = waiting
        self._tickets: list[Ticket] = []  # those that run come first
        self._means: dict[str, float] = {}  # seconds of one unit of work, by kind
        self._moved = threading.Condition()

    @property
    def taken(self) -> int:
        """How many requests are in it, running ones included."""
        return len(self._tickets)

    def join(self, kind: str, size: int = 1) -> Ticket:
        """A place at the end; FullError if there is none. size: units of work, in which times are counted."""
        with self._moved:
            if len(self._tickets) >= self.width + self._waiting:
                raise QueueFullError(self._waiting, self._before(self.width))
            self._tickets.append(Ticket(self, kind, size))
            return self._tickets[-1]

    def wait(self, ticket: Ticket, seconds: float) -> bool:
        """Whether it may run, after waiting at most so many seconds for that."""
        with self._moved:
            ready = self._moved.wait_for(lambda: self._tickets.index(ticket) < self.width, seconds)
            if ready and ticket.began is None:
                ticket.began = self.clock()
            return ready

    def status(self, ticket: Ticket) -> QueueStatus:
        """Of one that waits."""
        with self._moved:
            place = self._tickets.index(ticket)
            return QueueStatus(max(1, place - self.width + 1), self._before(place))

    def leave(self, ticket: Ticket, answered: bool) -> None:
        """Free its place; twice does nothing."""
        with self._moved:
            if ticket not in self._tickets:
                return
            self._tickets.remove(ticket)
            if answered and ticket.began is not None:
                took = (self.clock() - ticket.began) / ticket.size
                known = self._means.get(ticket.kind, took)
                self._means[ticket.kind] = known + NEWEST * (took - known)
            self._moved.notify_all()

    def _before(self, place: int) -> float | None:
        """Seconds until the request at a place may run; None before a request of each kind was answered."""
        earlier = self._tickets[:place]
        if any(ticket.kind not in self._means for ticket in earlier):
            return None
        return sum(map(self._left, earlier)) / self.width

    def _left(self, ticket: Ticket) -> float:
        gone = 0.0 if ticket.began is None else self.clock() - ticket.began
        return max(0.0, self._means[ticket.kind] * ticket.size - gone)


class Ticket:
    """A place in the queue, until `leave`. began: reading of the clock when it could run."""

    def __init__(self, queue: RequestQueue, kind: str, size: int) -> None:
        self.kind, self.size = kind, size
        self.began: float | None = None
        self._queue = queue

    def waits(self, every: float = STATUS_EVERY) -> Generator[QueueStatus, None, None]:
        """A status at once and every so many seconds, until it may run; none if it already may."""
        ready = self._queue.wait(self, 0)
        while not ready:
            yield self._queue.status(self)
            ready = self._queue.wait(self, every)

    def leave(self, answered: bool = False) -> None:
        """Let the next one run. answered: whether its time says how long others will take."""
        self._queue.leave(self, answered)
