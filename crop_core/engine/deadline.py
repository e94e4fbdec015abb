"""Time limit of one request, checked between two tokens or two runs; a forward pass is never interrupted."""

from __future__ import annotations

import time
from collections.abc import Callable


class RequestTimeout(ValueError):
    """A request that exceeded its time limit; the message is one sentence for its user."""


class Deadline:
    """Deadline that starts at its first check, when the model is free. seconds: None for no limit."""

    def __init__(self, seconds: float | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds, self._clock = seconds, clock
        self._end: float | None = None

    def check(self) -> None:
        """Raise RequestTimeout once the time is over."""
        if self._seconds is None:
            return
        if self._end is None:
            self._end = self._clock() + self._seconds
        elif self._clock() > self._end:
            raise RequestTimeout(
                f"The question took longer than the {self._seconds:g} seconds that one may take here; ask for fewer "
                "things at once, or use a smaller image."
            )

    def progress(self, *_: object) -> None:
        """`check` as the `progress` callback of a Measurement."""
        self.check()
