"""Exact answers: any of those that count as right, case and the width of spaces aside."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from crop_core.evaluate.datasets.protocol import Example
from crop_core.evaluate.metrics.figures import accuracy

if TYPE_CHECKING:
    import pandas as pd


def normal(answer: str) -> str:
    """Lower case, one space between words."""
    return " ".join(answer.lower().split())


class Exact:
    """1 for one of the answers word by word, else 0."""

    name, label = "exact", "exact answers"

    def score(self, reply: str, example: Example) -> float:
        """1 or 0."""
        return float(normal(reply) in map(normal, example.answers))

    def summary(self, records: pd.DataFrame) -> Mapping[str, float]:
        """`accuracy`, and that of each kind, in percent."""
        return accuracy(records)
