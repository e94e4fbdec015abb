"""The measurements as Markdown tables, for the terminal and the texts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from crop_core.evaluate.report.labels import budget_label, method_label
from crop_core.evaluate.report.summary import Summary
from crop_core.evaluate.report.table import markdown
from crop_core.evaluate.runner.plan import Trial
from crop_core.train.world.questions import KINDS

if TYPE_CHECKING:
    import pandas as pd

EVICTING = ", evicting"
LOCALIZER = {
    "iou": "mean IoU",
    "coverage": "covers all",
    "whole_image": "whole image found",
    "whole_image_wrongly": "whole image wrongly",
    "confidence": "confidence",
    "ece": "ECE",
}
STAGES = ("ttft_s", "total_s", "localizer_s", "encode_s", "compression_s", "scoring_s")


def accuracy_table(summary: Summary, trials: Iterable[Trial], majority: bool = True) -> str:
    """Exact-match accuracy of these runs, overall and by kind, and its share of the baseline's. majority: whether to
    add the most frequent answers as the second row.
    """
    rows = [_accuracy(summary, trial) for trial in trials]
    if majority:
        shares = [summary.majority[kind] for kind in ("", *KINDS)]
        rows.insert(1, ["majority", "", *_shares(summary, shares)])
    return markdown(["run", "mean tokens", "exact", "kept", *KINDS], rows)


def _accuracy(summary: Summary, trial: Trial) -> list[str]:
    run = summary.of(trial)
    if run is None:
        raise ValueError(f"The records lack the trial {trial.name!r}.")
    values = [run.accuracy.value, *(run.by_kind[kind].value for kind in KINDS)]
    return [run.name, f"{run.mean_tokens:.0f}", *_shares(summary, values)]


def _shares(summary: Summary, values: list[float]) -> list[str]:
    overall, *kinds = values
    full = summary.full.accuracy.value
    return [f"{overall:.1%}", f"{overall / full:.1%}" if full else "", *(f"{kind:.0%}" for kind in kinds)]


def kinds_table(summary: Summary, columns: Mapping[str, Trial]) -> str:
    """Exact-match accuracy by kind, one column per run: the short table of the model card."""
    runs = [summary.of(trial) for trial in columns.values()]
    rows = [[kind, *(f"{run.by_kind[kind].value:.0%}" if run else "" for run in runs)] for kind in KINDS]
    rows.append(["all", *(f"{run.accuracy.value:.1%}" if run else "" for run in runs)])
    return markdown(["kind", *columns], rows)


def left_table(summary: Summary) -> str:
    """Exact-match accuracy of methods with equally many tokens left at the end, and their mean tokens per layer."""
    rows = []
    for method in summary.methods:
        runs = [summary.of(Trial(method, budget)) for budget in summary.budgets]
        cells = [f"{run.accuracy.value:.1%} ({run.mean_tokens:.0f} mean)" if run else "" for run in runs]
        rows.append([method_label(method), *cells])
    return markdown(["method", *map(budget_label, summary.budgets)], rows)


def eviction_table(records: pd.DataFrame, trials: Iterable[Trial]) -> str:
    """Exact-match accuracy, KV cache, and the share of answers that are the same with and without eviction."""
    by_trial = {str(name): rows.set_index("example") for name, rows in records.groupby("trial", sort=False)}
    lines = []
    for name in (trial.name for trial in trials):
        rows, plain = by_trial[name], by_trial[name.removesuffix(EVICTING)]
        same = f"{(rows['reply'] == plain['reply'].reindex(rows.index)).mean():.1%}" if name.endswith(EVICTING) else ""
        lines.append([name, f"{rows['score'].mean():.1%}", f"{rows['kv_bytes'].mean() / 1e6:.2f}", same])
    return markdown(["run", "exact", "KV MB", "answers as without eviction"], lines)


def localizer_table(summary: Mapping[str, Any]) -> str:
    """The localizer's figures, overall and by kind."""
    return regions_table({"overall": summary, **summary["by_kind"]})


def regions_table(rows: Mapping[str, Mapping[str, Any]]) -> str:
    """`region_quality.figures` by name."""
    return markdown(
        ["localizer", *LOCALIZER.values()],
        [[name, *(_share(figures[key]) for key in LOCALIZER)] for name, figures in rows.items()],
    )


def reliability_table(summary: Mapping[str, Any]) -> str:
    """Coverage in each bin of confidence."""
    rows = [
        [
            f"{each['from']:.1f} to {each['to']:.1f}",
            str(each["count"]),
            _share(each["confidence"]),
            _share(each["observed"]),
        ]
        for each in summary["reliability"]
    ]
    return markdown(["confidence", "questions", "mean confidence", "covers all"], rows)


def cost_table(costs: Mapping[str, Mapping[str, float]]) -> str:
    """Medians: times in ms, memory in MB, GFLOP."""
    rows = [
        [
            name,
            *(f"{1000 * figures[key]:.0f}" for key in STAGES),
            *(f"{figures[key] / 1e6:.1f}" for key in ("kv_bytes", "peak_bytes")),
            f"{figures['flops'] / 1e9:.2f}",
        ]
        for name, figures in costs.items()
    ]
    stages = ["localizer ms", "encode ms", "compress ms", "score ms"]
    return markdown(["cost", "first token ms", "total ms", *stages, "KV MB", "peak MB", "GFLOP"], rows)


def finding_table(costs: Mapping[str, Mapping[str, float]]) -> str:
    """Median cost of a region, by localizer."""
    rows = [[name, f"{1000 * cost['seconds']:.1f}", f"{cost['flops'] / 1e9:.2f}"] for name, cost in costs.items()]
    return markdown(["localizer", "ms", "GFLOP"], rows)


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"
