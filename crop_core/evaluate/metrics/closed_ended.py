"""Metrics of closed-ended questions: yes/no (POPE, MME) and multiple choice (ScienceQA)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from crop_core.evaluate.datasets.protocol import Example
from crop_core.evaluate.metrics.figures import accuracy, by_kind, percent

if TYPE_CHECKING:
    import pandas as pd

_NO = {"No", "no", "not"}
FIGURES = ("f1", "accuracy", "precision", "recall", "yes ratio")


def says_yes(reply: str) -> bool:
    """Whether a reply is read as yes."""
    return _NO.isdisjoint(reply.strip().split(".")[0].replace(",", "").split(" "))


class YesNo:
    """1 for the right one of yes and no."""

    name, label = "yesno", "yes/no accuracy"

    def score(self, reply: str, example: Example) -> float:
        """1 or 0."""
        return float(says_yes(reply) == (example.answers[0] == "yes"))

    def summary(self, records: pd.DataFrame) -> Mapping[str, float]:
        """`f1`, `accuracy`, `precision`, `recall` and `yes ratio` in percent, each the mean over the kinds (random,
        popular, adversarial), as tables of POPE give it; then F1 and accuracy of each kind.
        """
        kinds = {str(kind): figures(part) for kind, part in records.groupby("kind", observed=True)}
        found = {name: sum(each[name] for each in kinds.values()) / len(kinds) for name in FIGURES}
        found |= {f"{kind} f1": each["f1"] for kind, each in kinds.items() if kind}
        return found | {f"{kind} accuracy": share for kind, share in by_kind(records).items()}


def figures(records: pd.DataFrame) -> dict[str, float]:
    """FIGURES of some records, in percent; "yes" is what is looked for."""
    yes = records["reply"].map(says_yes).astype(bool)
    gold = records["gold"] == "yes"
    hits = float((yes & gold).sum())
    precision, recall = _share(hits, yes.sum()), _share(hits, gold.sum())
    f1 = _share(2 * precision * recall, precision + recall)
    shares = (f1, float((yes == gold).mean()), precision, recall, float(yes.mean()))
    return {name: 100 * share for name, share in zip(FIGURES, shares, strict=True)}


def _share(part: float, whole: float) -> float:
    return float(part / whole) if whole else 0.0


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
