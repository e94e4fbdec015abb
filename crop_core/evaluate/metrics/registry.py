"""Metrics by name. A new metric is one file beside this one and one row here."""

from __future__ import annotations

from crop_core.evaluate.datasets.protocol import DatasetError, Metric
from crop_core.evaluate.metrics.closed_ended import Choice, Mme, YesNo
from crop_core.evaluate.metrics.text_match import Anls, Contains, Exact, Gqa
from crop_core.evaluate.metrics.vqa import TEXTVQA, VQA

_ALL: tuple[Metric, ...] = (Exact(), Contains(), VQA, TEXTVQA, Anls(), YesNo(), Mme(), Choice(), Gqa())
METRICS = {each.name: each for each in _ALL}


def metric(name: str) -> Metric:
    """The metric `name`; DatasetError for another name."""
    if name not in METRICS:
        raise DatasetError(f"The metric {name!r} is not known; choose one of {', '.join(METRICS)}.")
    return METRICS[name]
