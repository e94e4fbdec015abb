"""Metrics that compare texts: exact, contained, GQA's and ANLS."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from crop_core.evaluate.datasets.protocol import Example
from crop_core.evaluate.metrics.figures import accuracy, by_kind, percent
from crop_core.evaluate.metrics.vqa import vqa_normal

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
