"""The questions that tell methods apart: some are right and others wrong at the same budget."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from crop_core.evaluate.runner.trial import ALL, Trial
from crop_core.records.methods import METHODS

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
    right first. Replies with every token are shown, but do not count.
    """
    rows = records[(records["budget"] == budget) & (records["region"] == "found") & ~records["evict"]]
    rows = rows.astype({"example": str, "method": str}).sort_values("seed").drop_duplicates(["example", "method"])
    cells = rows.pivot(index="example", columns="method", values=["score", "reply"])
    score = cells["score"].astype(float)
    unlike = score[score.min(axis=1) < score.max(axis=1)].mean(axis=1).sort_values(ascending=False, kind="stable").index
    base = records[records["trial"] == ALL.name].astype({"example": str}).set_index("example").loc[unlike]
    found = {ALL: (base["reply"], base["score"])}
    for method in sorted(score.columns, key=_place):
        found[Trial(method, budget)] = cells["reply"][method].loc[unlike], score[method].loc[unlike]
    columns = [list(zip(map(str, replies), map(float, scores), strict=True)) for replies, scores in found.values()]
    facts = zip(unlike, base["kind"], base["gold"], zip(*columns, strict=True), strict=True)
    return [
        Difference(each, str(kind), str(gold), dict(zip(found, row, strict=True))) for each, kind, gold, row in facts
    ]


def _place(method: str) -> tuple[int, str]:
    """As METHODS lists them, then by name."""
    names = list(METHODS)
    return (names.index(method) if method in METHODS else len(names)), method
