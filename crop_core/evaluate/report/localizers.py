"""Localizers side by side: where the regions lie that CROP's runs read, and the time that they took."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from crop_core.evaluate.runner.plan import ABLATED, PREDICTED, RANDOM, REFERENCE
from crop_core.localize.calibration import covers, iou
from crop_core.records.localizers import WHOLE
from crop_core.records.region import GRID

if TYPE_CHECKING:
    import pandas as pd

CELLS, NEEDED = ["x0", "y0", "x1", "y1"], ["need_x0", "need_y0", "need_x1", "need_y1"]
ORDER = {PREDICTED: 0, RANDOM: 2, WHOLE: 3, REFERENCE: 4}  # others between


@dataclass(frozen=True)
class LocalizerSummary:
    """Means over the questions. region: as in a `Trial`. iou, coverage: with the needed region, NaN where none is
    known. area: share of the image. localizer_s: median seconds of a region.
    """

    region: str
    iou: float
    coverage: float
    area: float
    localizer_s: float


def localizer_summaries(records: pd.DataFrame) -> tuple[LocalizerSummary, ...]:
    """The localizers that CROP's runs read, the sweep's own first; none where that is the only one."""
    own = records[(records["method"] == ABLATED.method) & ~records["evict"]]
    names = sorted(own["region"].astype(str).unique(), key=lambda name: ORDER.get(name, 1))
    if len(names) < 2:
        return ()
    return tuple(_summary(name, own[own["region"] == name].drop_duplicates("example")) for name in names)


def _summary(name: str, rows: pd.DataFrame) -> LocalizerSummary:
    """rows: one for each example."""
    cells, needed = rows[CELLS].to_numpy(), rows[NEEDED].to_numpy()
    known = (needed >= 0).all(1)
    area = (cells[:, 2:] - cells[:, :2] + 1).prod(1) / GRID**2
    overlap, covered = (each(cells[known], needed[known]) for each in (iou, covers))
    return LocalizerSummary(name, _mean(overlap), _mean(covered), _mean(area), float(rows["localizer_s"].median()))


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else math.nan
