"""Runs what is missing of a sweep and keeps it: the one way in which accuracy is measured."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from tqdm import tqdm

from crop_core.evaluate.datasets.protocol import Example
from crop_core.evaluate.runner import store
from crop_core.evaluate.runner.plan import Trial
from crop_core.evaluate.runner.work import Pool, Record, Skipped, SweepError, Work, WorkerFactory

EVERY_S = 30.0  # seconds between two parts: what a crash of the machine may cost
HOPELESS = 20  # examples skipped, and none answered, after which a sweep gives up


def missing(examples: Sequence[Example], trials: Sequence[Trial], done: set[tuple[str, str]]) -> list[Work]:
    """Every example with those of the trials that it has no record of."""
    works = [(each, tuple(trial for trial in trials if (each.id, trial.name) not in done)) for each in examples]
    return [work for work in works if work[1]]


def sweep(
    setup: WorkerFactory,
    examples: Sequence[Example],
    trials: Sequence[Trial],
    folder: Path,
    pool: Pool,
    session: Mapping[str, Any] | None = None,
) -> list[Skipped]:
    """Records of all examples in all trials, in a folder that `store.claim` has taken; those that it has stay.

    session: what is told of this run in the folder, where anything is missing. Returns what was skipped. Whatever ends
    it, Ctrl-C or an error, loses nothing that was answered. SweepError where the first HOPELESS examples are skipped,
    or all.
    """
    works = missing(examples, trials, store.done(folder))
    skipped: list[Skipped] = []
    if works:
        store.begin(folder, session or {})
        skipped = _ask(setup, works, folder, pool)
    store.compact(folder, [each.id for each in examples], [trial.name for trial in trials])
    return skipped


def _ask(setup: WorkerFactory, works: Sequence[Work], folder: Path, pool: Pool) -> list[Skipped]:
    skipped: list[Skipped] = []
    records: list[Record] = []
    answered, written = 0, time.monotonic()
    with closing(pool(setup, works)) as outcomes:
        try:
            for outcome in tqdm(outcomes, "questions", len(works), mininterval=5):
                if isinstance(outcome, Skipped):
                    skipped.append(outcome)
                    _check_hope(skipped, answered, len(works))
                else:
                    records += outcome
                    answered += 1
                if time.monotonic() - written >= EVERY_S:
                    store.write_part(folder, records)
                    records, written = [], time.monotonic()
        finally:
            store.write_part(folder, records)
    return skipped


def _check_hope(skipped: Sequence[Skipped], answered: int, works: int) -> None:
    if not answered and len(skipped) >= min(HOPELESS, works):
        reason = skipped[0].reason.rstrip(".")
        raise SweepError(f"None of the first {len(skipped)} questions could be asked; the first: {reason}.")
