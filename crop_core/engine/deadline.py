"""How long one request may work. It ends between two tokens or two ways; a single forward pass is never cut short."""

from __future__ import annotations

import time
from collections.abc import Callable


class RequestTimeout(ValueError):
    """A request that was ended; the message is one sentence for the person who made it."""


class Deadline:
    """Counts from its first check on, which comes when the model is free. seconds: None for no limit."""

    def __init__(self, seconds: float | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds, self._clock = seconds, clock
        self._end: float | None = None

    def check(self) -> None:
        """Raises TooLong once the time is over."""
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
        """`check`, as a Measurement's progress."""
        self.check()
