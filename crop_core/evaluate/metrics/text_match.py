"""Metrics that compare texts: exact answers, contained answers, GQA's accuracy, and ANLS."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from crop_core.evaluate.datasets.protocol import Example
from crop_core.evaluate.metrics import accuracy, by_kind, percent
from crop_core.evaluate.metrics.vqa import vqa_normal

if TYPE_CHECKING:
    import pandas as pd

OPEN = "query"  # the one structural type of GQA whose answers are open
THRESHOLD = 0.5  # of ANLS


def normal(answer: str) -> str:
    """Lower case, one space between words."""
    return " ".join(answer.lower().split())


class Exact:
    """1 for one of the answers word by word, case and the width of spaces aside, else 0."""

    name, label = "exact", "exact answers"

    def score(self, reply: str, example: Example) -> float:
        """1 or 0."""
        return float(normal(reply) in map(normal, example.answers))

    def summary(self, records: pd.DataFrame) -> Mapping[str, float]:
        """`accuracy`, and that of each kind, in percent."""
        return accuracy(records)


class Contains:
    """1 where the reply contains one of the answers, word by word after VQA's text rules, else 0.

    For Visual-CoT (Shao et al., arXiv 2403.16999), whose own score is given by a paid language model and cannot be
    computed here. This one is stricter with other words for the same, and ignores what else a reply says. A fifth of
    that benchmark's answers (flickr30k, emotic) are sentences and lists, which a reply hardly ever contains verbatim:
    compare methods by it, not with published scores.
    """

    name, label = "contains", "contained answers"

    def score(self, reply: str, example: Example) -> float:
        """1 or 0."""
        return float(any(contains(reply, answer) for answer in example.answers))

    def summary(self, records: pd.DataFrame) -> Mapping[str, float]:
        """`accuracy`, and that of each kind, in percent."""
        return accuracy(records)


def contains(reply: str, answer: str) -> bool:
    """Whether the reply contains the answer's words in sequence, both after VQA's text rules; an empty answer is in an
    empty reply alone.
    """
    reply, answer = vqa_normal(reply), vqa_normal(answer)
    return f" {answer} " in f" {reply} " if answer else not reply


class Gqa:
    """1 for the answer of GQA (Hudson and Manning, arXiv 1902.09506) word by word, else 0.

    GQA's eval.py compares texts as they are; before, as LLaVA's convert_gqa_for_eval.py does, a reply loses its last
    period and its capitals. Validity, plausibility, consistency and distribution need more files than are read here.
    """

    name, label = "gqa", "GQA accuracy"

    def score(self, reply: str, example: Example) -> float:
        """1 or 0."""
        return float(reply.strip().rstrip(".").lower() == example.answers[0])

    def summary(self, records: pd.DataFrame) -> Mapping[str, float]:
        """`accuracy`, of `binary` and of `open` questions, and of each kind (structural type), in percent."""
        is_open = records["kind"] == OPEN
        parts = {"binary": records[~is_open], "open": records[is_open]}
        figures = {name: percent(part) for name, part in parts.items() if len(part)}
        return {"accuracy": percent(records), **figures, **by_kind(records)}


class Anls:
    """ANLS, average normalized Levenshtein similarity (Biten et al., arXiv 1905.13648; DocVQA, arXiv 2007.00398).

    1 - edit distance / length of the longer text, against the nearest of the answers; below 0.5 it is 0. As DocVQA's
    own script, and unlike the paper's formula, exactly 0.5 counts. Case and the width of spaces are ignored; the script
    ignores the width in the distance alone, and takes the length from the text as it came.
    """

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
    """Levenshtein distance: the fewest letters to insert, delete or replace that turn a into b."""
    row = list(range(len(b) + 1))  # from the letters of a so far to each prefix of b
    for i, letter in enumerate(a, 1):
        above, row = row, [i]
        for j, other in enumerate(b, 1):
            row.append(min(above[j] + 1, row[-1] + 1, above[j - 1] + (letter != other)))
    return row[-1]
