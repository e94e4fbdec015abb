"""Whether the records may be compared at all: no budget missed, no question missing. Knows nothing of statistics."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from crop_core.evaluate.report.scores import RecordsError, tokens_of
from crop_core.evaluate.runner.trial import ALL

if TYPE_CHECKING:
    import pandas as pd

SLACK = 2.0  # tokens under its mean budget that whole tokens in whole layers may leave
ROUNDING = 1e-3  # tokens: means are recorded in single precision
FINITE = ("score", "kl_first", "logprob", "mean_tokens", "final_tokens", "kv_bytes", "ttft_s", "total_s", "flops")


class MissedBudget(RecordsError):
    """A method that pruned nothing, too little or too much: it would be compared with another budget's accuracy."""


def validate_records(records: pd.DataFrame) -> None:
    """Raises RecordsError for records that cannot be compared, MissedBudget for a trial that kept another number of
    tokens than its budget.
    """
    if records.empty:
        raise RecordsError("There are no records; run the benchmark first.")
    _check_one_dataset(records)
    _check_complete(records)
    _check_values(records)
    _check_budgets(records)


def _check_one_dataset(records: pd.DataFrame) -> None:
    names = sorted({str(name) for name in records["dataset"]})
    if len(names) > 1:
        raise RecordsError(f"The records are of {', '.join(names)}; report one dataset at a time.")


def _check_complete(records: pd.DataFrame) -> None:
    """Every trial has every example once, and all tokens is one of them."""
    twice = records[records.duplicated(["example", "trial"])]
    if len(twice):
        row = twice.iloc[0]
        raise RecordsError(f"The example {row['example']!r} is recorded twice in the trial {row['trial']!r}.")
    examples = set(records["example"])
    for trial, rows in records.groupby("trial", observed=True, sort=False):
        if missing := examples - set(rows["example"]):
            raise RecordsError(
                f"The trial {trial!r} lacks {len(missing)} of {len(examples)} examples, such as {min(missing)!r}; run "
                "the same benchmark again to add what is missing."
            )
    if ALL.name not in set(records["trial"]):
        raise RecordsError(f"The records lack the trial {ALL.name!r}, which every other is compared with.")


def _check_values(records: pd.DataFrame) -> None:
    for name in FINITE:
        bad = ~np.isfinite(records[name].to_numpy(dtype=float))
        if bad.any():
            row = records[bad].iloc[0]
            raise RecordsError(f"{name} is {row[name]} for example {row['example']!r} in the trial {row['trial']!r}.")
    outside = ~records["score"].between(0, 1)
    if outside.any():
        row = records[outside].iloc[0]
        raise RecordsError(
            f"The score of example {row['example']!r} in the trial {row['trial']!r} is {row['score']:g}, outside 0..1."
        )


def _check_budgets(records: pd.DataFrame) -> None:
    """Every answer of a pruned trial took its budget or at most SLACK less."""
    for (trial, budget), rows in records.groupby(["trial", "budget"], observed=True, sort=False):
        if budget:
            _check_budget(
                str(trial), str(budget), rows["visual_tokens"].to_numpy(float), rows["mean_tokens"].to_numpy(float)
            )


def _check_budget(trial: str, budget: str, visual: np.ndarray, mean: np.ndarray) -> None:
    """visual, mean: tokens of every record; a share asks for another number of every image."""
    asked = np.array([tokens_of(budget, count) for count in visual])
    if ((asked < visual - ROUNDING) & (mean >= visual - ROUNDING)).any():
        raise MissedBudget(f"The trial {trial!r} pruned nothing of {visual.max():g} tokens for a budget of {budget}.")
    wrong = (mean > asked + ROUNDING) | (mean < asked - SLACK)
    if wrong.any():
        row = int(np.argmax(wrong))
        raise MissedBudget(
            f"The trial {trial!r} took {mean[row]:g} tokens of {visual[row]:g} for a mean of {asked[row]:g}, in "
            f"{wrong.sum()} of {len(mean)} answers."
        )
