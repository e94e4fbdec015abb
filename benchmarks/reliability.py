"""Does a confidence of 80 % come true in 80 of 100 cases? Reliability bins and the expected calibration error.

Source: Guo et al., On Calibration of Modern Neural Networks, ICML 2017, arXiv 1706.04599, with ten bins of equal width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

BINS = 10


@dataclass(frozen=True)
class Bin:
    """Cases with a confidence from `low` to `high`: how many, their mean confidence and the share that came true.

    The last two are None for a bin without cases.
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
    """(confidence in 0..1, did it come true) in BINS bins of equal width; 1 is in the last."""
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


def ece(found: Sequence[Bin]) -> float | None:
    """Mean distance between confidence and what came true, bins weighted by their cases; None without any."""
    total = sum(each.count for each in found)
    gaps = [each.count * abs((each.confidence or 0.0) - (each.observed or 0.0)) for each in found]
    return sum(gaps) / total if total else None
