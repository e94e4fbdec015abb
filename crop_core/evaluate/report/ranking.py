"""Ranking at each budget: first place, ties, and kinds of question on which another method wins. Reads Scores only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from crop_core.evaluate.report.scores import Scores
from crop_core.evaluate.report.significance import holm, tests
from crop_core.evaluate.report.statistics import differences

ALPHA = 0.05


@dataclass(frozen=True)
class Pair:
    """Two methods at one budget. difference: mean score of the first minus the second, with its paired 95 % interval.

    p: by `test`; corrected: by Holm over all pairs of the family. kind: "" for all questions.
    """

    first: str
    second: str
    difference: float
    low: float
    high: float
    p: float
    corrected: float
    test: str
    kind: str = ""

    @property
    def differs(self) -> bool:
        """Whether the difference is significant, at 5 % over the family."""
        return self.corrected < ALPHA


@dataclass(frozen=True)
class BudgetRanking:
    """One budget. best: the method with the highest mean score. tied: it, and all not significantly worse, best first.
    pairs: all of them, corrected as one family, so that choosing the best afterwards adds no error.
    """

    budget: str
    best: str
    tied: tuple[str, ...]
    pairs: tuple[Pair, ...]


def rank_budgets(scores: Scores) -> list[BudgetRanking]:
    """Every budget at which at least two methods compete, large budgets first."""
    return [_rank(scores, budget) for budget, columns in scores.compared.items() if len(columns) > 1]


def kind_rivals(scores: Scores, ours: str) -> dict[str, list[Pair]]:
    """By budget, the kinds of question on which another method has a higher mean score than the method `ours`.

    In each pair the other is first. The family that is corrected is every other method on every kind at that budget.
    Empty without `ours`, and where all questions are of one kind.
    """
    rivals: dict[str, list[Pair]] = {}
    kinds = np.unique(scores.kinds).tolist()
    if len(kinds) < 2:
        return rivals
    for budget, columns in scores.compared.items():
        own = [column for column in columns if scores.runs[column].method == ours]
        others = [(column, own[0]) for column in columns if own and column != own[0]]
        if others:
            family = [pair for kind in kinds for pair in _pairs(scores, others, kind)]
            rivals[budget] = [pair for pair in _corrected(family) if pair.difference > 0]
    return rivals


def _rank(scores: Scores, budget: str) -> BudgetRanking:
    columns = scores.compared[budget]
    pairs = _corrected(_pairs(scores, list(combinations(columns, 2))))
    shares = scores.columns["score"].mean(axis=0)
    order = [scores.runs[column].method for column in sorted(columns, key=lambda column: -shares[column])]
    differ = {frozenset((pair.first, pair.second)) for pair in pairs if pair.differs}
    tied = tuple(name for name in order if frozenset((name, order[0])) not in differ)
    return BudgetRanking(budget, order[0], tied, tuple(pairs))


def _pairs(scores: Scores, columns: Sequence[tuple[int, int]], kind: str | None = None) -> list[Pair]:
    """Pairs of columns over the questions of a kind, or all; not yet corrected."""
    rows = slice(None) if kind is None else scores.kinds == kind
    values, clusters = scores.columns["score"][rows], np.unique(scores.clusters[rows], return_inverse=True)[1]
    ps, test = tests(values, columns, clusters)
    names = [(scores.runs[first].method, scores.runs[second].method) for first, second in columns]
    return [
        Pair(*both, gap.value, gap.low, gap.high, p, p, test, kind or "")
        for both, gap, p in zip(names, differences(values, columns, clusters), ps, strict=True)
    ]


def _corrected(pairs: Sequence[Pair]) -> list[Pair]:
    """Apply Holm's correction to the pairs of one family."""
    ps = holm([pair.p for pair in pairs])
    return [replace(pair, corrected=p) for pair, p in zip(pairs, ps, strict=True)]
