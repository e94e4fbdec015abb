"""Queue status as text: how many requests come first, and how long that may take. Knows nothing of models."""

from __future__ import annotations

from crop_core.records.request import QueueStatus


def queue_message(status: QueueStatus) -> str:
    """One sentence for the person who waits."""
    first = "You are next" if status.ahead == 1 else f"{status.ahead} questions come before yours"
    return f"{first}." if status.seconds is None else f"{first}: about {duration_in_words(status.seconds)}."


class QueueFullError(ValueError):
    """The queue is full; the message is one sentence for the person who made it."""

    def __init__(self, waiting: int, seconds: float | None) -> None:
        who = "1 question already waits" if waiting == 1 else f"{waiting} questions already wait"
        when = "soon" if seconds is None else f"in about {duration_in_words(seconds)}"
        super().__init__(f"{who} for the model, and no more may; please ask again {when}.")


def duration_in_words(seconds: float) -> str:
    """As exact as a guess deserves: 3 seconds, 25 seconds, 4 minutes."""
    if seconds < 90:
        whole = max(1, round(seconds)) if seconds < 10 else 5 * round(seconds / 5)
        return f"{whole} second{'s' * (whole > 1)}"
    return f"{round(seconds / 60)} minutes"
