"""MME: two questions an image, one to be answered yes and one no (Fu et al., arXiv 2306.13394).

As its eval_tool/calculation.py: "yes" within the first four letters of a reply means yes, else "no" there means no, and
anything else is wrong. A subtask gives 100 points for accuracy and 100 for accuracy+, the share of images with every
question right; perception is the sum of ten subtasks (2000), cognition that of four (800). Of an image whose other
question was not asked, the one that was decides.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from crop_core.evaluate.datasets.protocol import Example
from crop_core.evaluate.metrics.figures import percent

if TYPE_CHECKING:
    import pandas as pd

PERCEPTION = (
    "existence", "count", "position", "color", "posters", "celebrity", "scene", "landmark", "artwork", "OCR",
)  # fmt: skip
COGNITION = ("commonsense_reasoning", "numerical_calculation", "text_translation", "code_reasoning")
_READ = 4  # letters of a reply


def said(reply: str) -> str:
    """yes, no, or other."""
    start = reply.strip().lower()[:_READ]
    return "yes" if "yes" in start else "no" if "no" in start else "other"


class Mme:
    """1 for the right one of yes and no."""

    name, label = "mme", "MME accuracy"

    def score(self, reply: str, example: Example) -> float:
        """1 or 0."""
        return float(said(reply) == example.answers[0])

    def summary(self, records: pd.DataFrame) -> Mapping[str, float]:
        """Points: `total`, `perception` and `cognition` of the subtasks that were asked, then each of these; last the
        `accuracy` of all questions, in percent.
        """
        asked = [kind for kind in (*PERCEPTION, *COGNITION) if (records["kind"] == kind).any()]
        points = {kind: _points(records[records["kind"] == kind]) for kind in asked}
        perception = sum(points.get(kind, 0.0) for kind in PERCEPTION)
        cognition = sum(points.get(kind, 0.0) for kind in COGNITION)
        totals = {"total": perception + cognition, "perception": perception, "cognition": cognition}
        return totals | points | {"accuracy": percent(records)}


def _points(records: pd.DataFrame) -> float:
    """0 to 200 of one subtask."""
    images = records.groupby(["group", "seed"], observed=True)["score"].min()
    return percent(records) + 100 * float(images.mean())
