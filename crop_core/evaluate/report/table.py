"""Tables: texts in rows, which become Markdown here and HTML in `html.py`."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from crop_core.evaluate.report.labels import budget_label, method_label, run_label
from crop_core.evaluate.report.localizers import LocalizerSummary
from crop_core.evaluate.report.ranking import Pair
from crop_core.evaluate.report.statistics import Estimate
from crop_core.evaluate.report.summary import RunSummary, Summary
from crop_core.evaluate.runner.plan import ABLATED, PREDICTED, RANDOM, REFERENCE, Trial
from crop_core.records.localizers import WHOLE
from crop_core.records.methods import as_published


def markdown(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A Markdown table with aligned columns."""
    lines = [list(head), *(list(row) for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    texts = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |" for line in lines
    ]
    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    return "\n".join([texts[0], rule, *texts[1:]])


COLUMNS = (
    "run", "seeds", "score", "95 %", "kept", "95 %", "agrees", "KL mean", "KL median", "log-prob. change",
    "mean tokens", "final tokens", "first token ms", "total ms", "KV MB", "GFLOP",
)  # fmt: skip
UNNAMED = "no kind"  # label of the kind "" in tables


@dataclass(frozen=True)
class Table:
    """head and rows of equally many texts."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def markdown(self) -> str:
        """Markdown for a terminal or a README, with vertical bars escaped."""
        return markdown(map(_cell, self.head), (map(_cell, row) for row in self.rows))


def methods_table(summary: Summary) -> Table:
    """Score of every method at every budget with its 95 % interval; * for those first or tied for first. Then its
    scores as published, where that is another setting, and its visual tokens after the last cut, budget by budget.
    """
    tied = {(standing.budget, name) for standing in summary.standings for name in standing.tied}
    rows = []
    for method in summary.methods:
        runs, paper = _at_budgets(summary, method), as_published(method)
        published = _at_budgets(summary, paper) if paper != method else []
        stars = ["*" if (budget, method) in tied else "" for budget in summary.budgets]
        marked = (_score(run, star) for run, star in zip(runs, stars, strict=True))
        papers = _in_one(f"{100 * run.accuracy.value:.1f}" if run else "" for run in published)
        left = _in_one(f"{run.final_tokens:.0f}" if run else "" for run in runs)
        rows.append((method_label(method), *marked, papers, left))
    references = [
        (run_label(run.run), *[_score(run)] * len(summary.budgets), "", "")
        for run in (summary.full, summary.blind)
        if run
    ]
    budgets = map(budget_label, summary.budgets)
    return Table(("method", *budgets, "as published, %", "tokens after the last cut"), (*references, *rows))


def _at_budgets(summary: Summary, method: str) -> list[RunSummary | None]:
    return [summary.of(Trial(method, budget)) for budget in summary.budgets]


def _in_one(cells: Iterable[str]) -> str:
    """The cells of all budgets as one; "" if all are empty."""
    texts = list(cells)
    return " / ".join(texts) if any(texts) else ""


def full_table(summary: Summary) -> Table:
    """Every run with all of its figures; those of the metric last."""
    official = tuple(summary.full.official)
    return Table((*COLUMNS, *official), tuple((*_figures(run), *_official(run, official)) for run in summary.runs))


REGIONS = {RANDOM: "random region of the first one's size", WHOLE: "whole image", REFERENCE: "reference region"}


def localizers_table(summary: Summary, first: str = "") -> Table:
    """The baseline, then every localizer that CROP was run with. first: name of the sweep's own localizer.

    kept: share of the baseline's replies, to the letter. The costs are those of an answer at the smallest budget, the
    localizer's included.
    """
    budgets, full = summary.budgets, summary.full
    per_budget = [f"{what} {budget_label(budget)}" for what in ("kept", "score") for budget in budgets]
    head = ("localizer", "mean IoU", "covers all", "mean area", *per_budget, "region ms", "first token ms", "GFLOP")
    shares = ["100.0%"] * len(budgets) + [percent(full.accuracy.value)] * len(budgets)
    rows = [_localizer(summary, each, first) for each in summary.localizers]
    return Table(head, (("Baseline", "", "", "", *shares, "", *_costs(full)), *rows))


def _localizer(summary: Summary, each: LocalizerSummary, first: str) -> tuple[str, ...]:
    title = first if each.region == PREDICTED and first else REGIONS.get(each.region, each.region)
    runs = [summary.of(Trial(ABLATED.method, budget, region=each.region)) for budget in summary.budgets]
    kept = [percent(run.agreement.value) if run else "" for run in runs]
    score = [percent(run.accuracy.value) if run else "" for run in runs]
    overlap = "" if math.isnan(each.iou) else f"{each.iou:.3f}"
    costs = f"{1000 * each.localizer_s:.1f}", *(_costs(runs[-1]) if runs[-1] else ("", ""))
    return title, overlap, percent(each.coverage), percent(each.area), *kept, *score, *costs


def _costs(run: RunSummary) -> tuple[str, str]:
    """Milliseconds to the first token, and GFLOP."""
    return f"{1000 * run.ttft_s:.1f}", "not counted" if math.isnan(run.flops) else f"{run.flops / 1e9:.2f}"


def kinds_table(summary: Summary) -> Table:
    """Score of every run on every kind of question, and of the most frequent answer if known."""
    kinds = tuple(summary.kinds)
    rows = [
        (run_label(run.run), percent(run.accuracy.value), *(percent(run.by_kind[kind].value) for kind in kinds))
        for run in summary.runs
    ]
    if summary.majority:
        rows.append(("most frequent answer", *(percent(summary.majority[kind]) for kind in ("", *kinds))))
    return Table(("run", "all", *kind_names(summary)), tuple(rows))


def pairs_table(summary: Summary) -> Table:
    """Every pair of methods at every budget: difference in points with its interval, p, and p corrected by Holm."""
    rows = [(budget_label(standing.budget), *_pair(pair)) for standing in summary.standings for pair in standing.pairs]
    return Table(("budget", "first", "second", "points", "95 %", "p", "corrected", "differ"), tuple(rows))


def rivals_table(summary: Summary) -> Table:
    """Kinds on which another method is above CROP, at every budget; corrected over all methods and kinds."""
    rows = [
        (budget_label(budget), pair.kind or UNNAMED, *_pair(pair))
        for budget, pairs in summary.rivals.items()
        for pair in pairs
    ]
    return Table(("budget", "kind", "first", "second", "points", "95 %", "p", "corrected", "differ"), tuple(rows))


def kind_names(summary: Summary) -> tuple[str, ...]:
    """Kinds of question, each with its number of questions."""
    return tuple(f"{kind or UNNAMED} ({count})" for kind, count in summary.kinds.items())


def percent(value: float) -> str:
    """A share 0..1 in percent; "" for NaN."""
    return "" if math.isnan(value) else f"{value:.1%}"


def interval(estimate: Estimate) -> str:
    """The interval's two ends; "" for NaN."""
    return "" if math.isnan(estimate.low) else f"{estimate.low:.1%} to {estimate.high:.1%}"


def p_value(value: float) -> str:
    """Three decimals, or "<0.001"."""
    return "<0.001" if value < 0.0005 else f"{value:.3f}"


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())


def _score(run: RunSummary | None, star: str = "") -> str:
    if run is None:
        return ""
    return f"{percent(run.accuracy.value)}{star} ({run.accuracy.low:.0%} to {run.accuracy.high:.0%})"


def _figures(run: RunSummary) -> tuple[str, ...]:
    first, flops = _costs(run)
    return (
        run_label(run.run),
        str(run.seeds),
        percent(run.accuracy.value),
        interval(run.accuracy),
        percent(run.kept.value),
        interval(run.kept),
        percent(run.agreement.value),
        f"{run.kl_first_mean:.3g}",
        f"{run.kl_first_median:.2g}",
        f"{run.logprob_change:+.3f}",
        f"{run.mean_tokens:.1f}",
        f"{run.final_tokens:.1f}",
        first,
        f"{1000 * run.total_s:.1f}",
        f"{run.kv_bytes / 1e6:.2f}",
        flops,
    )


def _official(run: RunSummary, names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(f"{run.official[name]:.4g}" if name in run.official else "" for name in names)


def _pair(pair: Pair) -> tuple[str, ...]:
    ends = "" if math.isnan(pair.low) else f"{100 * pair.low:+.1f} to {100 * pair.high:+.1f}"
    names = method_label(pair.first), method_label(pair.second)
    return (
        *names,
        f"{100 * pair.difference:+.1f}",
        ends,
        p_value(pair.p),
        p_value(pair.corrected),
        "yes" if pair.differs else "no",
    )
