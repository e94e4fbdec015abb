"""Whether the answer stands in the reply, word by word, after VQA's text rules.

For Visual-CoT (Shao et al., arXiv 2403.16999), whose own score is given by a paid language model and cannot be computed
here. This one is stricter with other words for the same, and does not mind what else a reply says. A fifth of that
benchmark's answers (flickr30k, emotic) are sentences and lists, which a reply hardly ever contains as they are: compare
methods by it, not with published scores.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from crop_core.evaluate.datasets.protocol import Example
from crop_core.evaluate.metrics.figures import accuracy
from crop_core.evaluate.metrics.vqa_text import vqa_normal

if TYPE_CHECKING:
    import pandas as pd


class Contains:
    """1 where one of the answers stands in the reply, else 0."""

    name, label = "contains", "contained answers"

    def score(self, reply: str, example: Example) -> float:
        """1 or 0."""
        return float(any(_stands(vqa_normal(answer), vqa_normal(reply)) for answer in example.answers))

    def summary(self, records: pd.DataFrame) -> Mapping[str, float]:
        """`accuracy`, and that of each kind, in percent."""
        return accuracy(records)


def _stands(answer: str, reply: str) -> bool:
    """Whether the words of the answer stand in the reply, one after the other; nothing stands in nothing alone."""
    return f" {answer} " in f" {reply} " if answer else not reply
