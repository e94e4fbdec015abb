"""Records as arrays, a row per question and a column per run. Knows nothing of statistics.

A run is a trial whatever its seed: seeds of one question are not independent, so that their mean counts, once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from crop_core.evaluate.runner.trial import ALL, BLIND, Trial
from crop_core.records.config import Budget
from crop_core.records.methods import METHODS

if TYPE_CHECKING:
    import pandas as pd

IDENTITY = ["method", "budget", "region", "evict", "blind"]  # of a run: the fields of a Trial but its seed
TEXTS = ("example", "group", "kind", "dataset", "method", "budget", "region")
AVERAGED = (
    "score", "same", "kl_first", "logprob", "visual_tokens", "mean_tokens", "final_tokens", "kv_bytes", "ttft_s",
    "total_s", "flops",
)  # fmt: skip


class RecordsError(ValueError):
    """Records that no figure should be made of; the message is one sentence."""


@dataclass(frozen=True)
class Scores:
    """E questions in R runs. runs: with seed 0, all tokens first. seeds: how many each run has.

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
        """Columns of the runs that compete, by budget, large budgets first."""
        found: dict[str, list[int]] = {}
        for column, run in enumerate(self.runs):
            if competes(run):
                found.setdefault(run.budget, []).append(column)
        return {budget: found[budget] for budget in sorted(found, key=lambda text: -self._tokens(text))}

    def _tokens(self, budget: str) -> float:
        return tokens_of(budget, float(np.median(self.columns["visual_tokens"])))


def competes(run: Trial) -> bool:
    """Whether it is compared with others at its budget: the region is found as a user's is, and nothing is evicted."""
    return bool(run.budget) and run.region == "found" and not run.evict


def tokens_of(budget: str, visual: float) -> float:
    """Mean tokens that a budget, as `Budget.parse` reads it, asks for of so many visual tokens."""
    parsed = Budget.parse(budget)
    return visual * parsed.share if parsed.share is not None else parsed.mean_tokens or 0.0


def scores(records: pd.DataFrame) -> Scores:
    """Records that passed `checks.check` as arrays, the same whatever the order of their rows."""
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
    """All tokens, blind, then the methods as METHODS lists them, plain runs before variants, large budgets first."""
    names = ["none", *METHODS]

    def place(run: Trial) -> tuple[bool, bool, int, str, bool, bool, str, float]:
        at = names.index(run.method) if run.method in names else len(names)
        variant = run.region != "found", run.evict, run.region
        size = -tokens_of(run.budget, 576) if run.budget else 0.0  # only the order counts
        return run != ALL, run != BLIND, at, run.method, *variant, size

    return tuple(sorted(runs, key=place))
