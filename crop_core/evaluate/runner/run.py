"""Run a sweep: what its records lack is run and recorded. All accuracy is measured here."""

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

EVERY_S = 30.0  # seconds between two parts: the most that a crash can lose
MAX_SKIPPED = 20  # examples, without any answered, after which a sweep fails


def missing(examples: Sequence[Example], trials: Sequence[Trial], done: set[tuple[str, str]]) -> list[Work]:
    """Every example with the trials that it has no record of."""
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
    """Record all examples in all trials, in a folder that `store.claim` has prepared; existing records stay.

    session: facts of this run for sweep.json, written where anything is missing. Returns the skipped examples. Ctrl-C
    or an error loses no answer. SweepError where the first MAX_SKIPPED examples are skipped, or all.
    """
    works = missing(examples, trials, store.done(folder))
    skipped: list[Skipped] = []
    if works:
        store.begin(folder, session or {})
        skipped = _run_works(setup, works, folder, pool)
    store.compact(folder, [each.id for each in examples], [trial.name for trial in trials])
    return skipped


def _run_works(setup: WorkerFactory, works: Sequence[Work], folder: Path, pool: Pool) -> list[Skipped]:
    skipped: list[Skipped] = []
    records: list[Record] = []
    answered, written = 0, time.monotonic()
    with closing(pool(setup, works)) as outcomes:
        try:
            for outcome in tqdm(outcomes, "questions", len(works), mininterval=5):
                if isinstance(outcome, Skipped):
                    skipped.append(outcome)
                    _check_skipped(skipped, answered, len(works))
                else:
                    records += outcome
                    answered += 1
                if time.monotonic() - written >= EVERY_S:
                    store.write_part(folder, records)
                    records, written = [], time.monotonic()
        finally:
            store.write_part(folder, records)
    return skipped


def _check_skipped(skipped: Sequence[Skipped], answered: int, works: int) -> None:
    if not answered and len(skipped) >= min(MAX_SKIPPED, works):
        reason = skipped[0].reason.rstrip(".")
        raise SweepError(f"None of the first {len(skipped)} questions could be asked; the first: {reason}.")
