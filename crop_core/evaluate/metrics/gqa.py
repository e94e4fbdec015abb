"""GQA: the answer word by word (Hudson and Manning, arXiv 1902.09506).

GQA's eval.py compares texts as they are; before, as LLaVA's convert_gqa_for_eval.py does, a reply loses its last period
and its capitals. Validity, plausibility, consistency and distribution need more files than are read here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from crop_core.evaluate.datasets.protocol import Example
from crop_core.evaluate.metrics.figures import by_kind, percent

if TYPE_CHECKING:
    import pandas as pd

OPEN = "query"  # the one structural type whose answers are open


class Gqa:
    """1 for the answer, else 0."""

    name, label = "gqa", "GQA accuracy"

    def score(self, reply: str, example: Example) -> float:
        """1 or 0."""
        return float(reply.strip().rstrip(".").lower() == example.answers[0])

    def summary(self, records: pd.DataFrame) -> Mapping[str, float]:
        """`accuracy`, of `binary` and of `open` questions, and of each kind (structural type), in percent."""
        is_open = records["kind"] == OPEN
        parts = {"binary": records[~is_open], "open": records[is_open]}
        parted = {name: percent(part) for name, part in parts.items() if len(part)}
        return {"accuracy": percent(records), **parted, **by_kind(records)}
