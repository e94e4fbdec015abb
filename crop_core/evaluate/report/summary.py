"""Summary of a sweep's records, which tables, figures and the page show; also as JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np

from crop_core.evaluate.metrics.text_match import normal
from crop_core.evaluate.report.hints import hints
from crop_core.evaluate.report.localizers import LocalizerSummary, localizer_summaries
from crop_core.evaluate.report.ranking import BudgetRanking, Pair, kind_rivals, rank_budgets
from crop_core.evaluate.report.scores import (
    AVERAGED,
    IDENTITY,
    RecordsError,
    Scores,
    competes,
    is_plain,
    scores,
    validate_records,
)
from crop_core.evaluate.report.statistics import Estimate, kept, means
from crop_core.evaluate.runner.plan import ALL, BLIND, Trial
from crop_core.evaluate.runner.work import NOT_COUNTED
from crop_core.records.methods import PAPER

if TYPE_CHECKING:
    import pandas as pd

    from crop_core.evaluate.datasets.protocol import Metric

OURS = "crop"


@dataclass(frozen=True)
class RunSummary:
    """One run: a trial over all its seeds. accuracy: mean score 0..1. kept: as a share of the baseline's.

    agreement: share of replies equal to the baseline's. kl_first: KL(baseline || run) of the first token in nats, mean
    and median; logprob_change: mean change of the log-probability of the baseline's answer, nats.
    mean_tokens per decoder layer, final_tokens after the last cut, kv_bytes and flops (NaN where a localizer's are not
    counted): means. Times in seconds: medians. by_kind, kept_by_kind: accuracy of each kind of question. official:
    figures of the metric, the main one first.
    """

    name: str
    run: Trial
    seeds: int
    accuracy: Estimate
    kept: Estimate
    agreement: Estimate
    kl_first_mean: float
    kl_first_median: float
    logprob_change: float
    mean_tokens: float
    final_tokens: float
    kv_bytes: float
    flops: float
    ttft_s: float
    total_s: float
    by_kind: Mapping[str, Estimate]
    kept_by_kind: Mapping[str, float]
    official: Mapping[str, float]


@dataclass(frozen=True)
class Summary:
    """A sweep. clusters: number of independent groups of questions. kinds: number of questions of each.

    rivals: by budget, pairs in which another method is above `OURS` on a kind. majority: accuracy of the most frequent
    answer of a kind, overall under "", if known. hints: sentences for the reader. contribution: the image-contribution
    index, the share of questions that the baseline answers right with the image and wrong with a grey one (where scores
    lie between: what is lost without the image, where any is); None without blind records. localizers: of CROP,
    where it ran by several.
    """

    dataset: str
    metric: str
    questions: int
    clusters: int
    kinds: Mapping[str, int]
    runs: tuple[RunSummary, ...]
    standings: tuple[BudgetRanking, ...]
    rivals: Mapping[str, list[Pair]]
    majority: Mapping[str, float]
    hints: tuple[str, ...] = ()
    contribution: Estimate | None = None
    localizers: tuple[LocalizerSummary, ...] = ()

    def of(self, run: Trial) -> RunSummary | None:
        """The summary of a run; None where it is not recorded."""
        return next((each for each in self.runs if each.run == run), None)

    @property
    def full(self) -> RunSummary:
        """The baseline."""
        return self.runs[0]

    @property
    def blind(self) -> RunSummary | None:
        """The run with a grey image."""
        return self.of(BLIND)

    @property
    def budgets(self) -> tuple[str, ...]:
        """Budgets of methods, large ones first."""
        plain = [run for run in self.runs if is_plain(run.run)]
        return tuple(dict.fromkeys(run.run.budget for run in sorted(plain, key=lambda run: -run.mean_tokens)))

    @property
    def methods(self) -> tuple[str, ...]:
        """Methods at a budget; one that ran as published counts under its own name."""
        return tuple(dict.fromkeys(run.run.method.replace(PAPER, "") for run in self.runs if is_plain(run.run)))

    @property
    def competing(self) -> tuple[RunSummary, ...]:
        """Runs of methods at a budget, with predicted regions and without eviction, method by method."""
        return tuple(run for run in self.runs if competes(run.run))

    def to_json(self) -> dict[str, Any]:
        """Plain values; None for NaN and infinities."""
        values: dict[str, Any] = _plain(self)
        return values


def summarise(
    records: pd.DataFrame, metric: Metric | None = None, majority: Mapping[str, str] | None = None
) -> Summary:
    """The summary of records; RecordsError or MissedBudget by `validate_records`.

    metric: for its official figures. majority: the most frequent answer by kind, scored by equality with `gold`, case
    and the width of spaces aside.
    """
    if find_spec("scipy") is None:
        raise RecordsError('Statistics need scipy, which is not installed: run pip install "scipy>=1.13".')
    validate_records(records)
    arrays = scores(records)
    counts = {str(kind): int(count) for kind, count in zip(*np.unique(arrays.kinds, return_counts=True), strict=True)}
    return Summary(
        dataset=arrays.dataset,
        metric=metric.label if metric else "score",
        questions=len(arrays.examples),
        clusters=int(arrays.clusters.max()) + 1,
        kinds=counts,
        runs=_runs(arrays, _official(records, arrays, metric)),
        standings=tuple(rank_budgets(arrays)),
        rivals=kind_rivals(arrays, OURS),
        majority=_majority(records, majority or {}),
        hints=hints(records, metric),
        contribution=_contribution(arrays),
        localizers=localizer_summaries(records),
    )


def _runs(arrays: Scores, official: Mapping[Trial, Mapping[str, float]]) -> tuple[RunSummary, ...]:
    base = arrays.runs.index(ALL)
    columns, clusters = arrays.columns, arrays.clusters
    change = columns["logprob"] - columns["logprob"][:, [base]]
    average = {name: columns[name].mean(axis=0).tolist() for name in AVERAGED}
    median = {name: np.median(columns[name], axis=0).tolist() for name in AVERAGED}
    accuracy, agreement = means(columns["score"], clusters), means(columns["same"], clusters)
    share, by_kind = kept(columns["score"], base, clusters), _by_kind(arrays)
    return tuple(
        RunSummary(
            name=run.name,
            run=run,
            seeds=arrays.seeds[i],
            accuracy=accuracy[i],
            kept=share[i],
            agreement=agreement[i],
            kl_first_mean=average["kl_first"][i],
            kl_first_median=median["kl_first"][i],
            logprob_change=float(change[:, i].mean()),
            **{name: average[name][i] for name in ("mean_tokens", "final_tokens", "kv_bytes")},
            flops=math.nan if (columns["flops"][:, i] == NOT_COUNTED).any() else average["flops"][i],
            **{name: median[name][i] for name in ("ttft_s", "total_s")},
            by_kind={kind: each[i] for kind, each in by_kind.items()},
            kept_by_kind={kind: _share(each[i].value, each[base].value) for kind, each in by_kind.items()},
            official=official[run],
        )
        for i, run in enumerate(arrays.runs)
    )


def _contribution(arrays: Scores) -> Estimate | None:
    """Mean of what each question's score loses without the image."""
    if BLIND not in arrays.runs:
        return None
    full, blind = (arrays.columns["score"][:, arrays.runs.index(run)] for run in (ALL, BLIND))
    return means(np.maximum(full - blind, 0)[:, None], arrays.clusters)[0]


def _by_kind(arrays: Scores) -> dict[str, list[Estimate]]:
    """Accuracy of every run on every kind."""
    result = {}
    for kind in np.unique(arrays.kinds):
        rows = arrays.kinds == kind
        clusters = np.unique(arrays.clusters[rows], return_inverse=True)[1]
        result[str(kind)] = means(arrays.columns["score"][rows], clusters)
    return result


def _share(part: float, whole: float) -> float:
    return part / whole if whole else math.nan


def _official(records: pd.DataFrame, arrays: Scores, metric: Metric | None) -> dict[Trial, dict[str, float]]:
    """The metric's figures of every run, the mean over its seeds."""
    if metric is None:
        return {run: {} for run in arrays.runs}
    by_run: dict[Trial, list[Mapping[str, float]]] = {run: [] for run in arrays.runs}
    for (_, *identity), rows in records.groupby(["seed", *IDENTITY], observed=True):
        method, budget, region, evict, blind = identity
        by_run[Trial(str(method), str(budget), 0, str(region), bool(evict), bool(blind))].append(metric.summary(rows))
    return {
        run: {name: float(np.mean([each[name] for each in figures])) for name in figures[0]}
        for run, figures in by_run.items()
    }


def _majority(records: pd.DataFrame, answers: Mapping[str, str]) -> dict[str, float]:
    """Share of golds that are the most frequent answer of their kind; by kind and, under "", of all."""
    if not answers:
        return {}
    rows = records.drop_duplicates("example")
    hits = [
        normal(answers.get(kind, "")) == normal(gold) for kind, gold in zip(rows["kind"], rows["gold"], strict=True)
    ]
    by_kind = {
        str(kind): float(share)
        for kind, share in rows.assign(hit=hits).groupby("kind", observed=True)["hit"].mean().items()
    }
    return {"": float(np.mean(hits)), **by_kind}


def _plain(value: Any) -> Any:
    """Dataclasses as objects, NaN and infinities as None."""
    if is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
