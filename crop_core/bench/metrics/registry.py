"""Metrics by name. A new metric is one file beside this one and one row here."""

from __future__ import annotations

from crop_core.bench.data.protocol import DatasetError, Metric
from crop_core.bench.metrics.anls import Anls
from crop_core.bench.metrics.choice import Choice
from crop_core.bench.metrics.contains import Contains
from crop_core.bench.metrics.exact import Exact
from crop_core.bench.metrics.gqa import Gqa
from crop_core.bench.metrics.mme import Mme
from crop_core.bench.metrics.vqa import TEXTVQA, VQA
from crop_core.bench.metrics.yesno import YesNo

_ALL: tuple[Metric, ...] = (Exact(), Contains(), VQA, TEXTVQA, Anls(), YesNo(), Mme(), Choice(), Gqa())
METRICS = {each.name: each for each in _ALL}


def metric(name: str) -> Metric:
    """The metric `name`; DatasetError for another name."""
    if name not in METRICS:
        raise DatasetError(f"The metric {name!r} is not known; choose one of {', '.join(METRICS)}.")
    return METRICS[name]
