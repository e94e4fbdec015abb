"""Region quality of a sweep: IoU with the needed region, coverage, whole-image decisions, and calibration.

Pure arithmetic over records: `rows` are those of one trial, a row per question, whose columns x0..y1 hold the region.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from crop_core.localize.calibration import covers, iou
from crop_core.records.region import GRID, Region, random_region

if TYPE_CHECKING:
    import pandas as pd


BINS = 10


@dataclass(frozen=True)
class Bin:
    """Cases with a confidence from `low` to `high`: their number, mean confidence and share of successes.

    The last two are None for an empty bin.
    """

    low: float
    high: float
    count: int
    confidence: float | None = None
    observed: float | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "from": self.low,
            "to": self.high,
            "count": self.count,
            "confidence": self.confidence,
            "observed": self.observed,
        }


def bins(cases: Sequence[tuple[float, bool]]) -> list[Bin]:
    """(confidence in 0..1, success) in BINS bins of equal width; 1 is in the last."""
    filled: list[list[tuple[float, bool]]] = [[] for _ in range(BINS)]
    for case in cases:
        filled[min(BINS - 1, int(case[0] * BINS))].append(case)
    return [_bin(number, group) for number, group in enumerate(filled)]


def _bin(number: int, group: Sequence[tuple[float, bool]]) -> Bin:
    low, high = number / BINS, (number + 1) / BINS
    if not group:
        return Bin(low, high, 0)
    confidence, observed = (sum(values) / len(group) for values in zip(*group, strict=True))
    return Bin(low, high, len(group), confidence, observed)


def ece(filled: Sequence[Bin]) -> float | None:
    """Expected calibration error: mean distance between confidence and success, weighted by cases; None without any."""
    total = sum(each.count for each in filled)
    gaps = [each.count * abs((each.confidence or 0.0) - (each.observed or 0.0)) for each in filled]
    return sum(gaps) / total if total else None


REGION, NEEDED = ["x0", "y0", "x1", "y1"], ["need_x0", "need_y0", "need_x1", "need_y1"]
WHOLE = (0, 0, GRID - 1, GRID - 1)


def figures(rows: pd.DataFrame) -> dict[str, float | None]:
    """Means over some questions; None where no question applies.

    iou and coverage: of all of them. whole_image: of those that need the whole image, the share for which the region is
    all 64 cells; whole_image_wrongly: the same of those for which fewer cells would do. confidence and ece: the mean
    confidence, and its expected calibration error for coverage; None where the regions have none.
    """
    predicted, needed = rows[REGION].to_numpy(), rows[NEEDED].to_numpy()
    whole, all_needed = (np.all(cells == WHOLE, axis=1) for cells in (predicted, needed))
    everything, has_confidence = rows["everything"].to_numpy(), bool(rows["confidence"].notna().all())
    return {
        "iou": _mean(iou(predicted, needed)),
        "coverage": _mean(covers(predicted, needed)),
        "whole_image": _mean(whole[everything]),
        "whole_image_wrongly": _mean((whole & ~all_needed)[~everything]),
        "confidence": _mean(rows["confidence"].to_numpy(float)) if has_confidence else None,
        "ece": ece(reliability(rows)) if has_confidence else None,
    }


def reliability(rows: pd.DataFrame) -> list[Bin]:
    """Coverage by confidence."""
    covered = covers(rows[REGION].to_numpy(), rows[NEEDED].to_numpy())
    return bins(list(zip(rows["confidence"].tolist(), covered.tolist(), strict=True)))


def summary(rows: pd.DataFrame) -> dict[str, Any]:
    """`figures` of all questions, the same by kind, and the bins behind the calibration error."""
    return {
        **figures(rows),
        "by_kind": {str(kind): figures(group) for kind, group in rows.groupby("kind", sort=False)},
        "reliability": [each.to_json() for each in reliability(rows)],
    }


def beside(rows: pd.DataFrame, plain: Mapping[str, Sequence[int]]) -> dict[str, dict[str, float | None]]:
    """Reference regions: those of the plain rule (by example), the whole image, and regions of the same sizes at random
    positions.
    """
    rng = random.Random(0)
    cells: dict[str, Sequence[Sequence[int]]] = {
        "self, plain rule": [plain[example] for example in rows["example"]],
        "whole image": [WHOLE] * len(rows),
        "random region": [
            random_region(Region(x0, y0, x1, y1, width=1, height=1), rng).grid
            for x0, y0, x1, y1 in rows[REGION].to_numpy().tolist()
        ],
    }
    return {name: figures(_with(rows, regions)) for name, regions in cells.items()}


def first_of_each_kind(records: pd.DataFrame, per_kind: int) -> pd.DataFrame:
    """The records of the first questions of each kind, in their order."""
    questions = records.drop_duplicates("example")
    first = questions.groupby("kind", sort=False).head(per_kind)["example"]
    return records[records["example"].isin(first)]


def _with(rows: pd.DataFrame, regions: Sequence[Sequence[int]]) -> pd.DataFrame:
    """The same questions with other regions, without a confidence."""
    columns = dict(zip(REGION, np.array(regions).T, strict=True))
    return rows.assign(**columns, confidence=float("nan"))


def _mean(values: np.ndarray) -> float | None:
    return float(values.mean()) if len(values) else None
