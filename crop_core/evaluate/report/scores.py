"""Records of a sweep: validated (no budget missed, no question missing), then as arrays of questions x runs.

A run is a trial whatever its seed: seeds of one question are not independent, so their mean counts, once. Knows nothing
of statistics.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from crop_core.evaluate.runner.plan import ALL, BLIND, Trial
from crop_core.records.config import Budget
from crop_core.records.methods import METHODS, PAPER

if TYPE_CHECKING:
    import pandas as pd

IDENTITY = ["method", "budget", "region", "evict", "blind"]  # of a run: the fields of a Trial but its seed
TEXTS = ("example", "group", "kind", "dataset", "method", "budget", "region")
AVERAGED = (
    "score", "same", "kl_first", "logprob", "visual_tokens", "mean_tokens", "final_tokens", "kv_bytes", "ttft_s",
    "total_s", "flops",
)  # fmt: skip


class RecordsError(ValueError):
    """Records that cannot be reported; the message is one sentence."""


@dataclass(frozen=True)
class Scores:
    """E questions in R runs. runs: with seed 0, baseline first. seeds: the number of each run.

    examples, kinds: (E,) texts, sorted by example. clusters: (E,) whole numbers from 0, equal for questions that are
    not independent. columns: (E, R) each, named as in `Record`, the mean over seeds.
    """

    dataset: str
    runs: tuple[Trial, ...]
    seeds: tuple[int, ...]
    examples: np.ndarray
    kinds: np.ndarray
    clusters: np.ndarray
    columns: Mapping[str, np.ndarray]

    @cached_property
    def compared(self) -> dict[str, list[int]]:
        """Columns of the competing runs, by budget, large budgets first."""
        columns: dict[str, list[int]] = {}
        for column, run in enumerate(self.runs):
            if competes(run):
                columns.setdefault(run.budget, []).append(column)
        return {budget: columns[budget] for budget in sorted(columns, key=lambda text: -self._tokens(text))}

    def _tokens(self, budget: str) -> float:
        return tokens_of(budget, float(np.median(self.columns["visual_tokens"])))


def competes(run: Trial) -> bool:
    """Whether a run is compared at its budget: a method in its best setting, with predicted regions, as for users, and
    without eviction.
    """
    return is_plain(run) and PAPER not in run.method


def is_plain(run: Trial) -> bool:
    """Whether it is a method at a budget, with predicted regions and without eviction."""
    return bool(run.budget) and run.region == "predicted" and not run.evict


def tokens_of(budget: str, visual: float) -> float:
    """Tokens of a budget, as `Budget.parse` reads it, for a number of visual tokens."""
    parsed = Budget.parse(budget)
    return visual * parsed.share if parsed.share is not None else parsed.mean_tokens or parsed.left or 0.0


def scores(records: pd.DataFrame) -> Scores:
    """Valid records (`validate_records`) as arrays, independent of the order of their rows."""
    frame = records.astype(dict.fromkeys(TEXTS, str) | dict.fromkeys(AVERAGED, float))
    frame["cluster"] = np.where(frame["group"] != "", "group " + frame["group"], "example " + frame["example"])
    cells = frame.groupby(["example", *IDENTITY])[list(AVERAGED)].mean().unstack(IDENTITY).sort_index()
    questions = frame.drop_duplicates("example").set_index("example").loc[cells.index]
    trials = frame.drop_duplicates([*IDENTITY, "seed"])
    runs = _ordered([_run(row) for row in trials[IDENTITY].drop_duplicates().itertuples(index=False)])
    seeds = trials.groupby(IDENTITY).size()
    return Scores(
        dataset=str(frame["dataset"].iloc[0]),
        runs=runs,
        seeds=tuple(int(seeds[_key(run)]) for run in runs),
        examples=cells.index.to_numpy(dtype=str),
        kinds=questions["kind"].to_numpy(dtype=str),
        clusters=np.unique(questions["cluster"].to_numpy(dtype=str), return_inverse=True)[1],
        columns={name: cells[name][[_key(run) for run in runs]].to_numpy(dtype=float) for name in AVERAGED},
    )


def _run(row: tuple[str, str, str, bool, bool]) -> Trial:
    method, budget, region, evict, blind = row
    return Trial(method, budget, 0, region, bool(evict), bool(blind))


def _key(run: Trial) -> tuple[str, str, str, bool, bool]:
    return run.method, run.budget, run.region, run.evict, run.blind


def _ordered(runs: list[Trial]) -> tuple[Trial, ...]:
    """Sort: baseline, blind, then methods in the order of METHODS, plain runs before variants, large budgets first."""
    names = ["none", *METHODS]

    def place(run: Trial) -> tuple[bool, bool, int, str, bool, bool, str, float]:
        at = names.index(run.method) if run.method in names else len(names)
        variant = run.region != "predicted", run.evict, run.region
        size = -tokens_of(run.budget, 576) if run.budget else 0.0  # only the order counts
        return run != ALL, run != BLIND, at, run.method, *variant, size

    return tuple(sorted(runs, key=place))


SLACK = 2.0  # tokens below a mean budget that rounding to whole tokens and layers may leave
ROUNDING = 1e-3  # tokens: means are recorded in single precision
FINITE = ("score", "kl_first", "logprob", "mean_tokens", "final_tokens", "kv_bytes", "ttft_s", "total_s", "flops")


class MissedBudget(RecordsError):
    """A method that pruned nothing, too little or too much, so that its accuracy belongs to another budget."""


def validate_records(records: pd.DataFrame, scored: bool = True) -> None:
    """Raises RecordsError for records that cannot be compared, MissedBudget for a trial that kept another number of
    tokens than its budget. scored: whether they have scores.
    """
    if records.empty:
        raise RecordsError("There are no records; run the benchmark first.")
    _check_one_dataset(records)
    _check_complete(records)
    _check_values(records if scored else records.assign(score=0.0))
    _check_budgets(records)


def _check_one_dataset(records: pd.DataFrame) -> None:
    names = sorted({str(name) for name in records["dataset"]})
    if len(names) > 1:
        raise RecordsError(f"The records are of {', '.join(names)}; report one dataset at a time.")


def _check_complete(records: pd.DataFrame) -> None:
    """Every trial, with the baseline among them, has every example once."""
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
    """Every answer of a pruned trial used its budget or at most SLACK less."""
    for (trial, budget), rows in records.groupby(["trial", "budget"], observed=True, sort=False):
        if budget:
            used = "mean_tokens" if Budget.parse(str(budget)).left is None else "final_tokens"
            _check_budget(str(trial), str(budget), rows["visual_tokens"].to_numpy(float), rows[used].to_numpy(float))


def _check_budget(trial: str, budget: str, visual: np.ndarray, mean: np.ndarray) -> None:
    """visual, mean: tokens of every record, the latter as the budget counts them; the budget of a share differs by
    image, and none is above its tokens.
    """
    budgeted = np.array([min(tokens_of(budget, count), count) for count in visual])
    if ((budgeted < visual - ROUNDING) & (mean >= visual - ROUNDING)).any():
        raise MissedBudget(f"The trial {trial!r} pruned nothing of {visual.max():g} tokens for a budget of {budget}.")
    wrong = (mean > budgeted + ROUNDING) | (mean < budgeted - SLACK)
    if wrong.any():
        row = int(np.argmax(wrong))
        raise MissedBudget(
            f"The trial {trial!r} took {mean[row]:g} tokens of {visual[row]:g} for a mean of {budgeted[row]:g}, in "
            f"{wrong.sum()} of {len(mean)} answers."
        )
