"""What a pool of workers is given and what it gives back. Knows nothing of models, processes and files."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Protocol

from crop_core.evaluate.datasets.protocol import Example
from crop_core.evaluate.runner.record import Record
from crop_core.evaluate.runner.trial import Trial

TRIES = 2  # workers that may die over one example


class SweepError(ValueError):
    """A sweep that cannot be run or read; the message is one sentence with what is wrong and what to do."""


@dataclass(frozen=True)
class Skipped:
    """An example that could not be asked in its trials, and why, in one sentence."""

    example: str
    reason: str

    @classmethod
    def deadly(cls, example: Example) -> Skipped:
        """What a pool says of an example over which TRIES workers died."""
        return cls(example.id, f"{TRIES} workers were killed while they answered it")


Work = tuple[Example, tuple[Trial, ...]]
Outcome = list[Record] | Skipped
Examine = Callable[[Example, tuple[Trial, ...]], Outcome]


class WorkerFactory(Protocol):
    """What a worker makes its examiner of: frozen, and small enough to be pickled.
    `crop_core.evaluate.runner.worker_config.WorkerConfig`
    is one.
    """

    def examiner(self) -> Examine:
        """Models loaded; ValueError with one sentence when that is not possible."""


Pool = Callable[[WorkerFactory, Sequence[Work]], Generator[Outcome, None, None]]
"""Asks all of it, in any order: an outcome for every work, whoever dies meanwhile. What an examiner raises ends it."""
