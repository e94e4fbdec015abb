"""What the figures say, in sentences: who is first, who ties, where another method wins."""

from __future__ import annotations

from collections.abc import Sequence

from crop_core.evaluate.report.labels import budget_label, method_label
from crop_core.evaluate.report.ranking import BudgetRanking, Pair
from crop_core.evaluate.report.summary import OURS, Summary
from crop_core.evaluate.report.table import UNNAMED, interval, p_value, percent
from crop_core.evaluate.runner.trial import Trial


def headline(summary: Summary) -> list[str]:
    """The result, in sentences: all tokens, then every budget, then the kinds on which another method is better."""
    full, blind = summary.full, summary.blind
    first = f"With every visual token {percent(full.accuracy.value)} ({interval(full.accuracy)})"
    if blind:
        first += f", with a grey image instead {percent(blind.accuracy.value)}"
    found = [f"{first}; {summary.dataset}, {_questions(summary)}."]
    found += [_first(summary, standing) for standing in summary.standings]
    return found + [_rivals(budget, pairs) for budget, pairs in summary.rivals.items()]


def _questions(summary: Summary) -> str:
    groups = f", groups: {summary.clusters}" if summary.clusters < summary.questions else ""
    return f"{summary.questions} questions{groups}"


def _first(summary: Summary, standing: BudgetRanking) -> str:
    best = summary.of(Trial(standing.best, standing.budget))
    at = f"At {budget_label(standing.budget)}"
    reached = f" ({percent(best.accuracy.value)})" if best else ""
    if len(standing.tied) == 1:
        return f"{at} {method_label(standing.best)}{reached} is first, ahead of all others."
    others = _listed([method_label(name) for name in standing.tied[1:]])
    return f"{at} {method_label(standing.best)} is highest{reached}, and ties for first with {others}."


def _rivals(budget: str, pairs: Sequence[Pair]) -> str:
    """Where others are above OURS on a kind: beyond chance, and at all."""
    at, ours = f"By kind, at {budget_label(budget)}", method_label(OURS)
    sure = [
        f"{method_label(pair.first)} on {pair.kind or UNNAMED} (p {p_value(pair.corrected)})"
        for pair in pairs
        if pair.differs
    ]
    kinds = sorted(
        {pair.kind or UNNAMED for pair in pairs if not pair.differs}
        - {pair.kind or UNNAMED for pair in pairs if pair.differs}
    )
    if sure:
        return f"{at}, {_listed(sure)} beat {ours}."
    if kinds:
        return f"{at}, no method beats {ours} beyond chance; some score higher on {_listed(kinds)}."
    return f"{at}, no method scores higher than {ours}."


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
