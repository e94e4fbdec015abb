"""ANLS, average normalized Levenshtein similarity (Biten et al., arXiv 1905.13648; DocVQA, arXiv 2007.00398).

1 - edit distance / length of the longer text, against the nearest of the answers; below 0.5 it is 0. As DocVQA's own
script, and unlike the paper's formula, exactly 0.5 counts. Case and the width of spaces are ignored; the script ignores
the width in the distance alone, and takes the length from the text as it came.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from crop_core.evaluate.datasets.protocol import Example
from crop_core.evaluate.metrics.exact import normal
from crop_core.evaluate.metrics.figures import by_kind, percent

if TYPE_CHECKING:
    import pandas as pd

THRESHOLD = 0.5


class Anls:
    """How near the reply is to one of the answers, letter by letter."""

    name, label = "anls", "ANLS"

    def score(self, reply: str, example: Example) -> float:
        """0, or 0.5 to 1."""
        best = max(similarity(normal(reply), normal(answer)) for answer in example.answers)
        return best if best >= THRESHOLD else 0.0

    def summary(self, records: pd.DataFrame) -> Mapping[str, float]:
        """`anls`, and that of each kind, in percent."""
        return {"anls": percent(records), **by_kind(records)}


def similarity(a: str, b: str) -> float:
    """1 - distance / the longer length; 1 for two empty texts."""
    longer = max(len(a), len(b))
    return 1 - distance(a, b) / longer if longer else 1.0


def distance(a: str, b: str) -> int:
    """Levenshtein's: the fewest letters to insert, delete or replace that make b of a."""
    row = list(range(len(b) + 1))  # from the letters of a so far to each beginning of b
    for i, letter in enumerate(a, 1):
        above, row = row, [i]
        for j, other in enumerate(b, 1):
            row.append(min(above[j] + 1, row[-1] + 1, above[j - 1] + (letter != other)))
    return row[-1]
