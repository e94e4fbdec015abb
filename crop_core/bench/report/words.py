"""What the figures say, in sentences: who is first, who ties, where another method wins, how to read it all."""

from __future__ import annotations

from collections.abc import Sequence

from crop_core.bench.report.names import budget_name, method_name
from crop_core.bench.report.ranking import Pair, Standing
from crop_core.bench.report.statistics import BOOTSTRAP, RESAMPLES, WILSON
from crop_core.bench.report.summary import OURS, Summary
from crop_core.bench.report.table import interval, p_value, percent
from crop_core.bench.sweep.trial import Trial


def headline(summary: Summary) -> list[str]:
    """The result, in sentences: all tokens, then every budget, then the kinds on which another method is better."""
    full, blind = summary.full, summary.blind
    first = f"With every visual token {percent(full.accuracy.value)} ({interval(full.accuracy)})"
    if blind:
        first += f", with a grey picture instead {percent(blind.accuracy.value)}"
    found = [f"{first}; {summary.dataset}, {_questions(summary)}."]
    found += [_first(summary, standing) for standing in summary.standings]
    return found + [_rivals(budget, pairs) for budget, pairs in summary.rivals.items()]


def how_to_read(summary: Summary) -> list[tuple[str, str]]:
    """Every figure's name and what it is."""
    clustered = summary.clusters < summary.questions
    ties = (
        f"The questions stand in {summary.clusters} groups (those of one picture), which are right or wrong together"
        if clustered
        else "The questions are independent of each other"
    )
    tests = sorted({pair.test for standing in summary.standings for pair in standing.pairs})
    used = sorted({run.accuracy.how for run in summary.runs})
    return [
        ("score", f"The mean of {summary.metric} over all questions, each counted once; seeds of one question are averaged first."),
        (
            "95 %",
            f"{ties}. Intervals here: {' and '.join(used)}. {WILSON}'s is used where scores are 0 or 1 and questions "
            f"independent, or where all agree; otherwise a {BOOTSTRAP} that draws whole groups {RESAMPLES} times.",
        ),
        ("kept", "The score as a share of the score with every visual token; its interval draws both together (paired)."),
        ("agrees", "The share of questions with the same reply as with every visual token, right or wrong."),
        ("KL", "Kullback-Leibler divergence of the first token's probabilities from those with every token, in nats."),
        (
            "log-prob. change",
            "How much less likely (in nats) the answer with every token has become, by its mean log-probability.",
        ),
        (
            "mean tokens",
            "Visual tokens alive, averaged over the decoder layers; this is what budgets bound. Every answer was checked: "
            "none took more than its budget, or over 2 tokens less.",
        ),
        ("final tokens", "Visual tokens alive after the last cut."),
        ("first token ms, total ms", "Medians, with the localizer, the image encoder and the scoring inside."),
        ("KV MB, GFLOP", "Mean size of the KV cache at the end of the answer, and mean work up to the first token, the localizer's with it."),
        (
            "differ",
            f"Pairs on the same questions by the {' or '.join(tests) or 'paired'} test, corrected by Holm over all pairs at a "
            "budget; methods tie when the corrected p is 0.05 or more. A tie is a difference not shown, not equality shown.",
        ),
    ]


def _questions(summary: Summary) -> str:
    groups = f" in {summary.clusters} groups" if summary.clusters < summary.questions else ""
    return f"{summary.questions} questions{groups}"


def _first(summary: Summary, standing: Standing) -> str:
    best = summary.of(Trial(standing.best, standing.budget))
    at = f"At {budget_name(standing.budget)}"
    reached = f" ({percent(best.accuracy.value)})" if best else ""
    if len(standing.tied) == 1:
        return f"{at} {method_name(standing.best)}{reached} is first, ahead of all others."
    others = _listed([method_name(name) for name in standing.tied[1:]])
    return f"{at} {method_name(standing.best)} is highest{reached}, and ties for first with {others}."


def _rivals(budget: str, pairs: Sequence[Pair]) -> str:
    """Where others are above OURS on a kind: beyond chance, and at all."""
    at, ours = f"By kind, at {budget_name(budget)}", method_name(OURS)
    sure = [f"{method_name(pair.first)} on {pair.kind or 'all'} (p {p_value(pair.corrected)})" for pair in pairs if pair.differs]
    kinds = sorted({pair.kind or "all" for pair in pairs if not pair.differs} - {pair.kind for pair in pairs if pair.differs})
    if sure:
        return f"{at}, {_listed(sure)} beat {ours}."
    if kinds:
        return f"{at}, no method beats {ours} beyond chance; some score higher on {_listed(kinds)}."
    return f"{at}, no method scores higher than {ours}."


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
