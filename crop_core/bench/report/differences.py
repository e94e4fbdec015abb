"""The questions that tell methods apart: some are right and others wrong at the same budget."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from crop_core.bench.sweep.trial import ALL, Trial
from crop_core.config import METHODS

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Difference:
    """One question. replies: text and score with every token, then of every method at the budget."""

    example: str
    kind: str
    gold: str
    replies: Mapping[Trial, tuple[str, float]]


def differences(records: pd.DataFrame, budget: str) -> list[Difference]:
    """Questions with unlike scores at a budget, with found regions and the first seed; those that most methods get
    right first. Scores with every token are shown, but do not count.
    """
    first = records["seed"] == records["seed"].groupby([records["method"], records["budget"]], observed=True).transform("min")
    rows = records[(records["budget"] == budget) & (records["region"] == "found") & ~records["evict"] & first]
    spread = rows.groupby("example", observed=True)["score"].agg(["min", "max", "mean"])
    unlike = spread[spread["min"] < spread["max"]].reset_index()
    unlike = unlike.sort_values(["mean", "example"], ascending=[False, True])
    base = records[records["trial"] == ALL.name].set_index("example")
    by_example = dict(tuple(rows.groupby("example", observed=True)))
    return [_difference(base.loc[example], by_example[example]) for example in unlike["example"]]


def _difference(base: pd.Series, rows: pd.DataFrame) -> Difference:
    replies = {ALL: (str(base["reply"]), float(base["score"]))}
    order = {name: place for place, name in enumerate(METHODS)}
    for row in sorted(rows.itertuples(), key=lambda row: (order.get(row.method, len(order)), row.method)):
        replies[Trial(str(row.method), str(row.budget))] = (str(row.reply), float(row.score))
    return Difference(str(base.name), str(base["kind"]), str(base["gold"]), replies)
