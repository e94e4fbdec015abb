"""Sentences of the report: the headline (first place, ties, kinds on which another method wins) and the glossary."""

from __future__ import annotations

from collections.abc import Sequence

from crop_core.evaluate.report.labels import budget_label, method_label
from crop_core.evaluate.report.ranking import ALPHA, BudgetRanking, Pair
from crop_core.evaluate.report.scores import SLACK
from crop_core.evaluate.report.statistics import BOOTSTRAP, RESAMPLES, WILSON
from crop_core.evaluate.report.summary import OURS, Summary
from crop_core.evaluate.report.table import UNNAMED, interval, p_value, percent
from crop_core.evaluate.runner.plan import Trial

LOCALIZERS = [
    (
        "mean IoU, covers all",
        "Of a localizer's region with the needed one, in grid cells; share of regions that hold all.",
    ),
    (
        "kept 64 tokens, score 64 tokens",
        "Share of the baseline's replies, to the letter, and score, of CROP by a localizer.",
    ),
    (
        "region ms",
        "Median time of the region alone; first token ms and GFLOP are of the answer at the smallest budget.",
    ),
]


def headline(summary: Summary) -> list[str]:
    """The result in sentences: baseline, every budget, the kinds on which another method is better, and hints."""
    full, blind = summary.full, summary.blind
    first = f"Baseline {percent(full.accuracy.value)} ({interval(full.accuracy)})"
    if blind and summary.contribution:
        first += f", with a grey image {percent(blind.accuracy.value)} (image-contribution index {index(summary)})"
    sentences = [f"{first}; {summary.dataset}, {_questions(summary)}."]
    sentences += [_first(summary, standing) for standing in summary.standings]
    return [*sentences, *(_rivals(budget, pairs) for budget, pairs in summary.rivals.items()), *summary.hints]


def index(summary: Summary) -> str:
    """The image-contribution index with its interval; "" without blind records."""
    found = summary.contribution
    return ", ".join(filter(None, (percent(found.value), interval(found)))) if found else ""


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
    """Kinds on which other methods score above OURS: significantly, or at all."""
    at, ours = f"By kind, at {budget_label(budget)}", method_label(OURS)
    significant = [
        f"{method_label(pair.first)} on {pair.kind or UNNAMED} (p {p_value(pair.corrected)})"
        for pair in pairs
        if pair.differs
    ]
    kinds = sorted(
        {pair.kind or UNNAMED for pair in pairs if not pair.differs}
        - {pair.kind or UNNAMED for pair in pairs if pair.differs}
    )
    if significant:
        return f"{at}, {_listed(significant)} beat {ours}."
    if kinds:
        return f"{at}, no method beats {ours} beyond chance; some score higher on {_listed(kinds)}."
    return f"{at}, no method scores higher than {ours}."


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def definitions(summary: Summary) -> list[tuple[str, str]]:
    """Name and definition of every column."""
    return [
        ("score", f"Mean {summary.metric} of all questions; the seeds of one question are averaged first."),
        ("95 %", _intervals(summary)),
        (
            "image-contribution index",
            "Share of questions that the baseline answers right with the image and wrong with a grey one; of scores "
            "between 0 and 1, what is lost without the image. The others do not show what pruning loses.",
        ),
        ("kept", "The score as a share of the baseline's; its interval resamples both together (paired)."),
        ("agrees", "Share of questions with the baseline's reply, right or wrong."),
        ("KL", "Kullback-Leibler divergence of the first token's probabilities from the baseline's, nats."),
        ("log-prob. change", "Mean change of the log-probability of the baseline's answer, nats."),
        (
            "mean tokens",
            "Visual tokens alive, averaged over the decoder layers, which a budget limits. Every answer was checked "
            f"to use no more than its budget, and at most {SLACK:g} tokens less.",
        ),
        ("final tokens", "Visual tokens alive after the last cut."),
        ("first token ms, total ms", "Medians, including the localizer, the image encoder and the scoring."),
        ("KV MB", "Mean size of the KV cache at the end of the answer."),
        ("GFLOP", "Mean FLOPs, including the localizer's; not counted for one outside PyTorch."),
        ("differ", _tests(summary)),
        *(LOCALIZERS if summary.localizers else []),
    ]


def _intervals(summary: Summary) -> str:
    grouped = f"The questions form {summary.clusters} groups (of one image each), which are right or wrong together."
    ties = grouped if summary.clusters < summary.questions else "The questions are independent of each other."
    used = " and ".join(sorted({run.accuracy.how for run in summary.runs}))
    return (
        f"{ties} Intervals of the scores here: {used}. {WILSON}'s is used where scores are 0 or 1 and "
        f"questions independent, and where all groups agree; otherwise a {BOOTSTRAP} that resamples whole groups "
        f"{RESAMPLES} times."
    )


def _tests(summary: Summary) -> str:
    used = sorted({pair.test for standing in summary.standings for pair in standing.pairs}) or ["paired"]
    return (
        f"Two methods on the same questions by the {' or '.join(used)} test, corrected by Holm over all pairs at a "
        f"budget; they tie when the corrected p is {ALPHA:g} or more. That shows no difference, not that there is none."
    )
