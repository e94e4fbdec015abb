"""What every figure of the report is, in sentences, with the intervals and tests that were used."""

from __future__ import annotations

from crop_core.evaluate.report.ranking import ALPHA
from crop_core.evaluate.report.statistics import BOOTSTRAP, RESAMPLES, WILSON
from crop_core.evaluate.report.summary import Summary
from crop_core.evaluate.report.validate import SLACK


def definitions(summary: Summary) -> list[tuple[str, str]]:
    """Every column's name and what it is."""
    return [
        ("score", f"Mean {summary.metric} of all questions; the seeds of one question are averaged first."),
        ("95 %", _intervals(summary)),
        ("kept", "The score as a share of that with every visual token; its interval draws both together (paired)."),
        ("agrees", "Share of questions with the reply that every visual token gives, right or wrong."),
        ("KL", "Kullback-Leibler divergence of the first token's probabilities from those with every token, nats."),
        ("log-prob. change", "Mean change of the log-probability of the answer that every token gives, nats."),
        (
            "mean tokens",
            "Visual tokens alive, averaged over the decoder layers: what a budget bounds. Every answer was checked to "
            f"take no more than its budget, and at most {SLACK:g} tokens less.",
        ),
        ("final tokens", "Visual tokens alive after the last cut."),
        ("first token ms, total ms", "Medians; the localizer, the image encoder and the scoring are inside."),
        ("KV MB", "Mean size of the KV cache at the end of the answer."),
        ("GFLOP", "Mean work, the localizer's with it."),
        ("differ", _tests(summary)),
    ]


def _intervals(summary: Summary) -> str:
    grouped = f"The questions form {summary.clusters} groups (of one image each), which are right or wrong together."
    ties = grouped if summary.clusters < summary.questions else "The questions are independent of each other."
    used = " and ".join(sorted({run.accuracy.how for run in summary.runs}))
    return (
        f"{ties} Intervals of the scores here: {used}. {WILSON}'s is used where scores are 0 or 1 and questions "
        f"independent, and where all groups agree; otherwise a {BOOTSTRAP} that draws whole groups {RESAMPLES} times."
    )


def _tests(summary: Summary) -> str:
    used = sorted({pair.test for standing in summary.standings for pair in standing.pairs}) or ["paired"]
    return (
        f"Two methods on the same questions by the {' or '.join(used)} test, corrected by Holm over all pairs at a "
        f"budget; they tie when the corrected p is {ALPHA:g} or more. That shows no difference, not that there is none."
    )
