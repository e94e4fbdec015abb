"""Waiting for the model, in words: how many come first, and how long that may take. Knows nothing of models."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Waiting:
    """One moment of a wait. ahead: requests that come first. seconds: until its turn, None while nobody can tell."""

    ahead: int
    seconds: float | None = None

    @property
    def sentence(self) -> str:
        """For who waits."""
        first = "You are next" if self.ahead == 1 else f"{self.ahead} questions come before yours"
        return f"{first}." if self.seconds is None else f"{first}: about {duration(self.seconds)}."


class FullError(ValueError):
    """A request that may not even wait; the message is one sentence for the person who made it."""

    def __init__(self, waiting: int, seconds: float | None) -> None:
        who = "1 question already waits" if waiting == 1 else f"{waiting} questions already wait"
        when = "soon" if seconds is None else f"in about {duration(seconds)}"
        super().__init__(f"{who} for the model, and no more may; please ask again {when}.")


def duration(seconds: float) -> str:
    """As exact as a guess deserves: 3 seconds, 25 seconds, 4 minutes."""
    if seconds < 90:
        whole = max(1, round(seconds)) if seconds < 10 else 5 * round(seconds / 5)
        return f"{whole} second{'s' * (whole > 1)}"
    return f"{round(seconds / 60)} minutes"
