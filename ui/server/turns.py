"""The line before the model: who came first is first, only so many may wait, and each knows about how long.

How long a kind of request takes is learned from those that were answered. Knows nothing of engines.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

from ui.waiting import FullError, Waiting

LOOK_EVERY = 1.0  # seconds between two signs of life to who waits
NEWEST = 0.3  # weight of the newest time in the mean of its kind


class Turns:
    """waiting: how many may wait. width: how many may work at once. Safe to use from any thread."""

    def __init__(self, waiting: int, width: int = 1, clock: Callable[[], float] = time.monotonic) -> None:
        self.width, self.clock = width, clock
        self._waiting = waiting
        self._line: list[Turn] = []  # those at work come first
        self._means: dict[str, float] = {}  # seconds of one unit of work, by kind
        self._moved = threading.Condition()

    @property
    def taken(self) -> int:
        """How many stand in it, those at work among them."""
        return len(self._line)

    def join(self, kind: str, size: int = 1) -> Turn:
        """A place at the end; FullError where there is none. size: units of work, in which times are counted."""
        with self._moved:
            if len(self._line) >= self.width + self._waiting:
                raise FullError(self._waiting, self._before(self.width))
            self._line.append(Turn(self, kind, size))
            return self._line[-1]

    def wait(self, turn: Turn, seconds: float) -> bool:
        """Whether its turn has come, after so long at most."""
        with self._moved:
            come = self._moved.wait_for(lambda: self._line.index(turn) < self.width, seconds)
            if come and turn.began is None:
                turn.began = self.clock()
            return come

    def look(self, turn: Turn) -> Waiting:
        """How things stand for one that waits."""
        with self._moved:
            place = self._line.index(turn)
            return Waiting(max(1, place - self.width + 1), self._before(place))

    def leave(self, turn: Turn, answered: bool) -> None:
        """Frees its place; twice does nothing."""
        with self._moved:
            if turn not in self._line:
                return
            self._line.remove(turn)
            if answered and turn.began is not None:
                took = (self.clock() - turn.began) / turn.size
                known = self._means.get(turn.kind, took)
                self._means[turn.kind] = known + NEWEST * (took - known)
            self._moved.notify_all()

    def _before(self, place: int) -> float | None:
        """Seconds until who stands at a place may begin; None before a request of each kind was answered."""
        earlier = self._line[:place]
        if any(turn.kind not in self._means for turn in earlier):
            return None
        return sum(map(self._left, earlier)) / self.width

    def _left(self, turn: Turn) -> float:
        gone = 0.0 if turn.began is None else self.clock() - turn.began
        return max(0.0, self._means[turn.kind] * turn.size - gone)


class Turn:
    """A place in the line, until `leave`. began: reading of the clock when its turn came."""

    def __init__(self, turns: Turns, kind: str, size: int) -> None:
        self.kind, self.size = kind, size
        self.began: float | None = None
        self._turns = turns

    def waits(self, every: float = LOOK_EVERY) -> Iterator[Waiting]:
        """A sign of life at once and every so many seconds, until the turn has come; none where it has already."""
        come = self._turns.wait(self, 0)
        while not come:
            yield self._turns.look(self)
            come = self._turns.wait(self, every)

    def leave(self, answered: bool = False) -> None:
        """The next one's turn comes. answered: whether its time tells how long others will take."""
        self._turns.leave(self, answered)
