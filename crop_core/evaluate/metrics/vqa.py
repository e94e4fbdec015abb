"""VQA's soft accuracy (Antol et al., arXiv 1505.00468, section 4; Goyal et al., arXiv 1612.00837), and TextVQA's.

Made for ten human answers: a reply scores min(1, n / 3) for n people who gave it, averaged over the ten ways to leave
one of them out. One that two gave scores 0.6, three 0.9, four or more 1.

The original normalizes nothing where all ten answers are equal, and what is submitted to it was normalized before, as
LLaVA does. Here reply and answers always are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from crop_core.evaluate.datasets.protocol import Example
from crop_core.evaluate.metrics.figures import accuracy
from crop_core.evaluate.metrics.vqa_text import textvqa_normal, vqa_normal

if TYPE_CHECKING:
    import pandas as pd

_ENOUGH = 3  # people who agree


@dataclass
class SoftAccuracy:
    """Agreement with people. normal: brings answers into the form in which they are compared."""

    name: str
    label: str
    normal: Callable[[str], str]

    def score(self, reply: str, example: Example) -> float:
        """The mean over every answer of min(1, how many of the others are the reply / 3)."""
        said, total = self.normal(reply), len(example.answers)
        same = sum(self.normal(answer) == said for answer in example.answers)
        left_out = same * min(1.0, max(same - 1, 0) / _ENOUGH)
        return (left_out + (total - same) * min(1.0, same / _ENOUGH)) / total

    def summary(self, records: pd.DataFrame) -> Mapping[str, float]:
        """`accuracy`, and that of each kind (VQAv2: of answers that are yes/no, number, other), in percent."""
        return accuracy(records)


VQA = SoftAccuracy("vqa", "VQA accuracy", vqa_normal)
TEXTVQA = SoftAccuracy("textvqa", "TextVQA accuracy", textvqa_normal)
