"""Progress of many runs: a bar, how many are done, the time left; the same wherever there is one.

Screen readers are told at every quarter, not at every run.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from ui.views.rendering import render
from ui.views.texts import duration_in_words

QUARTERS = 4  # of all runs; how often screen readers are told


def status_line(text: str, *further: str) -> str:
    """A status without a bar, told to screen readers; further: lines below it."""
    return render("progress", text, None, text, further)


class ProgressBar:
    """Bar over `total` runs; the time left is that of the runs done so far, from the first call of `at` on.

    unit: what is counted, in the plural. clock: seconds.
    """

    def __init__(self, total: int, unit: str = "runs", clock: Callable[[], float] = time.monotonic) -> None:
        self._total, self._unit, self._clock = total, unit, clock
        self._start: float | None = None

    def at(self, done: int, text: str = "", further: tuple[str, ...] = ()) -> str:
        """HTML of the bar with `done` of all. text: in the place of the count. further: lines below it."""
        text, told = text or f"{done} of {self._total} {self._unit}", QUARTERS * done // self._total
        told_text = f"{told * 100 // QUARTERS} % done"
        return render("progress", f"{text}{self._left(done)}", (done, self._total), told_text, further)

    def _left(self, done: int) -> str:
        """The time left in words; empty as long as nothing is known of it."""
        now = self._clock()
        self._start = now if self._start is None else self._start
        if not 0 < done < self._total or now == self._start:
            return ""
        return f", about {duration_in_words((now - self._start) * (self._total - done) / done)} left"
