"""Multiple choice (ScienceQA: Lu et al., arXiv 2209.09513): the letter of an option.

A reply is read as by LLaVA's eval_science_qa.py: the letter alone, a letter and ". ", or one "The answer is X"; nothing
is guessed from other replies, they are wrong. Here "B." counts as well, as in lmms-eval.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from crop_core.evaluate.datasets.protocol import Example
from crop_core.evaluate.metrics.figures import accuracy

if TYPE_CHECKING:
    import pandas as pd

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_LETTER = re.compile(r"([A-Z])(?:\.(?:\s.*)?)?", re.DOTALL)
_SENTENCE = re.compile(r"The answer is ([A-Z])\b")


def letter(reply: str) -> str:
    """The letter that a reply means, "" for none."""
    alone = _LETTER.fullmatch(reply.strip())
    if alone:
        return alone[1]
    found = _SENTENCE.findall(reply)
    return found[0] if len(found) == 1 else ""


class Choice:
    """1 for the letter of the right option."""

    name, label = "choice", "multiple-choice accuracy"

    def score(self, reply: str, example: Example) -> float:
        """1 or 0."""
        return float(letter(reply) == example.answers[0])

    def summary(self, records: pd.DataFrame) -> Mapping[str, float]:
        """`accuracy`, and that of each kind (ScienceQA: subject), in percent."""
        return accuracy(records)
