"""Request queue before the model, fair to its visitors, with a maximum length and an estimate of the waiting time.

Whoever has asked for less comes first: one visitor's ten requests and another's single one take turns (fair queueing by
start time, with the virtual time of weighted fair queueing: Goyal, Vin and Cheng, SIGCOMM 1996); among equals, who came
first. Measurements come after everything else, and let it go first in their pauses. The time of a kind of request is
estimated from those that were answered. Knows nothing of engines.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Generator

from crop_core.records.request import QueueStatus
from ui.views.texts import duration_in_words

STATUS_EVERY = 1.0  # seconds between two statuses of one wait
LAST = "measure"  # kind of requests that come after all others
NEWEST = 0.3  # weight of the newest time in the running mean of its kind


class QueueFullError(ValueError):
    """The queue is full; the message is one sentence for the visitor."""

    def __init__(self, waiting: int, seconds: float | None) -> None:
        queued = "1 request is" if waiting == 1 else f"{waiting} requests are"
        when = "soon" if seconds is None else f"in about {duration_in_words(seconds)}"
        super().__init__(f"The queue is full ({queued} waiting); please try again {when}.")


class RequestQueue:
    """Fair queue. waiting: maximum that wait. width: maximum that run at once. Thread-safe."""

    def __init__(self, waiting: int, width: int = 1, clock: Callable[[], float] = time.monotonic) -> None:
        self.width, self.clock = width, clock
        self._waiting = waiting
        self._tickets: list[Ticket] = []  # those that run come first
        self._means: dict[str, float] = {}  # seconds of one unit of work, by kind
        self._served = 0.0  # units of work that a visitor has had who is always waiting
        self._asked: dict[str, float] = {}  # due of each visitor's next request, where it is ahead of `_served`
        self._moved = threading.Condition()

    @property
    def taken(self) -> int:
        """Number of requests, running ones included."""
        return len(self._tickets)

    def join(self, kind: str, size: int = 1, visitor: str = "") -> Ticket:
        """Ticket for a visitor's place; QueueFullError if full. size: units of work, the unit of the estimates and of
        what a visitor has asked for.
        """
        with self._moved:
            ticket = Ticket(self, kind, size, visitor, max(self._served, self._asked.get(visitor, 0.0)))
            if sum(each.is_last == ticket.is_last for each in self._tickets) >= self.width + self._waiting:
                raise QueueFullError(self._waiting, self._before(self.width))
            if not ticket.is_last:
                self._asked[visitor] = ticket.due + size
            self._insert(ticket)
            return ticket

    def _insert(self, ticket: Ticket) -> None:
        """Give a ticket its place: before those that wait and are due later, or that are measurements."""
        waiting = range(self.width, len(self._tickets))
        later = [at for at in waiting if self._tickets[at].order > ticket.order]
        self._tickets.insert(min(later, default=len(self._tickets)), ticket)

    def make_way(self, ticket: Ticket) -> bool:
        """Let others go first where a request waits that comes before this kind; whether the ticket waits again."""
        with self._moved:
            if not ticket.is_last or all(each.is_last for each in self._tickets[self.width :]):
                return False
            self._tickets.remove(ticket)
            self._insert(ticket)
            ticket.paused = True
            self._moved.notify_all()
            return True

    def wait(self, ticket: Ticket, seconds: float) -> bool:
        """Wait at most `seconds` until a ticket may run; whether it may."""
        with self._moved:
            ready = self._moved.wait_for(lambda: self._tickets.index(ticket) < self.width, seconds)
            if ready and ticket.began is None:
                ticket.began = self.clock()
                self._serve(ticket.due if not ticket.is_last else 0.0)
            return ready

    def _serve(self, served: float) -> None:
        """Every visitor who waits has had so much; who has not had more is as good as new."""
        self._served = max(self._served, served)
        self._asked = {name: due for name, due in self._asked.items() if due > self._served}

    def status(self, ticket: Ticket) -> QueueStatus:
        """Status of a waiting ticket."""
        with self._moved:
            place = self._tickets.index(ticket)
            return QueueStatus(max(1, place - self.width + 1), self._before(place))

    def leave(self, ticket: Ticket, answered: bool) -> None:
        """Free a ticket's place; a second call does nothing."""
        with self._moved:
            if ticket not in self._tickets:
                return
            if ticket.began is not None and not ticket.is_last:
                visitors = len({each.visitor for each in self._tickets if not each.is_last})
                self._serve(self._served + ticket.size / visitors)
            self._tickets.remove(ticket)
            if answered and ticket.began is not None and not ticket.paused:
                took = (self.clock() - ticket.began) / ticket.size
                mean = self._means.get(ticket.kind, took)
                self._means[ticket.kind] = mean + NEWEST * (took - mean)
            self._moved.notify_all()

    def _before(self, place: int) -> float | None:
        """Seconds until the request at a place may run; None while a kind ahead of it has no estimate."""
        earlier = self._tickets[:place]
        if any(ticket.kind not in self._means for ticket in earlier):
            return None
        return sum(map(self._left, earlier)) / self.width

    def _left(self, ticket: Ticket) -> float:
        elapsed = 0.0 if ticket.began is None else self.clock() - ticket.began
        return max(0.0, self._means[ticket.kind] * ticket.size - elapsed)


class Ticket:
    """Place in the queue, until `leave`. due: units of work that its visitor has asked for before. began: clock time
    when it could run. paused: whether it made way since.
    """

    def __init__(self, queue: RequestQueue, kind: str, size: int, visitor: str, due: float) -> None:
        self.kind, self.size, self.visitor, self.due = kind, size, visitor, due
        self.began: float | None = None
        self.paused = False
        self._queue = queue

    @property
    def is_last(self) -> bool:
        """Whether it comes after all others."""
        return self.kind == LAST

    @property
    def order(self) -> tuple[bool, float]:
        """The smaller it is, the earlier the ticket comes."""
        return self.is_last, 0.0 if self.is_last else self.due

    def make_way(self) -> bool:
        """As `RequestQueue.make_way`."""
        return self._queue.make_way(self)

    def waits(self, every: float = STATUS_EVERY, longest: float = math.inf) -> Generator[QueueStatus, None, bool]:
        """Yield a status at once and every so many seconds until it may run; nothing if it already may. Returns whether
        it may, which it does not after `longest` seconds.
        """
        end = self._queue.clock() + longest
        ready = self._queue.wait(self, 0)
        while not ready and self._queue.clock() < end:
            yield self._queue.status(self)
            ready = self._queue.wait(self, every)
        return ready

    def leave(self, answered: bool = False) -> None:
        """Let the next one run. answered: whether its time counts for the estimates."""
        self._queue.leave(self, answered)
