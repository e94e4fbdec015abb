"""Metrics of closed-ended questions: yes/no (POPE, MME) and multiple choice (ScienceQA)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from crop_core.evaluate.datasets.protocol import Example
from crop_core.evaluate.metrics import accuracy, by_kind, percent, share_of

if TYPE_CHECKING:
    import pandas as pd

_NO = {"No", "no", "not"}
_MEANS = {"yes": "yes", "no": "no", "true": "yes", "false": "no"}
POPE_FIGURES = ("f1", "accuracy", "precision", "recall", "yes ratio")
PERCEPTION = (
    "existence", "count", "position", "color", "posters", "celebrity", "scene", "landmark", "artwork", "OCR",
)  # fmt: skip
COGNITION = ("commonsense_reasoning", "numerical_calculation", "text_translation", "code_reasoning")
_MME_LETTERS = 4  # of a reply that are read
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_LETTER = re.compile(r"([A-Z])(?:\.(?:\s.*)?)?", re.DOTALL)
_SENTENCE = re.compile(r"The answer is ([A-Z])\b")
_YES_OR_NO = re.compile(r"\b(yes|no|not)\b", re.IGNORECASE)
_LENIENT = tuple(  # tried in turn; "A tractor" is an article, and "I" a word
    re.compile(rule, re.DOTALL)
    for rule in (
        r"\(([A-Za-z])\)",
        r"\\boxed\{\W*(?:\\text\{\W*)?([A-Za-z])\b",
        r"^\W*([A-Z]|[a-z](?=\s*(?:[).:\]'’]|$)))['’]?\s*(?!\s*[/,&+]\s*[A-HJ-Z]\b)(?:[^\w\s'’].*)?$",
        r"\b(?i:answer|option|choice)\b(?:\s+(?i:is|would be))?[\s:*(\[]*([B-HJ-Z]|[AI](?!\s+[a-z]))\b(?!['’])",
        r"^\W*([B-HJ-Z])\s+(?!or\b|and\b)\w",
    )
)


def says_yes(reply: str) -> bool:
    """Whether POPE's evaluate.py reads a reply as yes, see `YesNo`."""
    return _NO.isdisjoint(reply.strip().split(".")[0].replace(",", "").split(" "))


def yes_or_no(answer: str) -> str:
    """A right answer as "yes" or "no", also for "Yes." and a table's "TRUE"; "" for another one."""
    return _MEANS.get(answer.strip().rstrip(".").lower(), "")


def says_neither(reply: str) -> bool:
    """Whether a reply is empty or has neither yes nor no as a word."""
    return _YES_OR_NO.search(reply) is None


class YesNo:
    """POPE: whether an object is in the image, yes or no (Li et al., arXiv 2305.10355); 1 for the right one.

    Replies are read as by POPE's evaluate.py: of the first sentence, without commas, "No", "no" or "not" as a word of
    its own means no, and everything else yes, "nothing" and an empty reply as well. A model that breaks may gain by it:
    `neither` counts the replies with neither word. Where no reply says yes, precision and F1 are 0; the script stops
    there.
    """

    name, label = "yesno", "yes/no accuracy"

    def score(self, reply: str, example: Example) -> float:
        """1 or 0."""
        return float(says_yes(reply) == (example.answers[0] == "yes"))

    def summary(self, records: pd.DataFrame) -> Mapping[str, float]:
        """`f1`, `accuracy`, `precision`, `recall` and `yes ratio` in percent, each the mean over the kinds (random,
        popular, adversarial), as tables of POPE give it, and `neither`; then F1 and accuracy of each kind.
        """
        kinds = {str(kind): pope_figures(part) for kind, part in records.groupby("kind", observed=True)}
        means = {name: sum(each[name] for each in kinds.values()) / len(kinds) for name in POPE_FIGURES}
        means["neither"] = share_of(records, says_neither)
        means |= {f"{kind} f1": each["f1"] for kind, each in kinds.items() if kind}
        return means | {f"{kind} accuracy": share for kind, share in by_kind(records).items()}


def pope_figures(records: pd.DataFrame) -> dict[str, float]:
    """POPE_FIGURES of records, in percent; "yes" is the positive class."""
    yes = records["reply"].map(says_yes).astype(bool)
    gold = records["gold"] == "yes"
    hits = float((yes & gold).sum())
    precision, recall = _share(hits, yes.sum()), _share(hits, gold.sum())
    f1 = _share(2 * precision * recall, precision + recall)
    shares = (f1, float((yes == gold).mean()), precision, recall, float(yes.mean()))
    return {name: 100 * share for name, share in zip(POPE_FIGURES, shares, strict=True)}


def _share(part: float, whole: float) -> float:
    return float(part / whole) if whole else 0.0


def mme_answer(reply: str) -> str:
    """The answer that MME's script reads in a reply: yes, no, or other."""
    start = reply.strip().lower()[:_MME_LETTERS]
    return "yes" if "yes" in start else "no" if "no" in start else "other"


class Mme:
    """MME: two questions an image, one to be answered yes and one no (Fu et al., arXiv 2306.13394); 1 if right.

    As its eval_tool/calculation.py: "yes" within the first four letters of a reply means yes, else "no" there means no,
    and anything else is wrong. A subtask gives 100 points for accuracy and 100 for accuracy+, the share of images with
    every question right; perception is the sum of ten subtasks (2000), cognition that of four (800). Of an image whose
    other question was not asked, the one that was decides.
    """

    name, label = "mme", "MME accuracy"

    def score(self, reply: str, example: Example) -> float:
        """1 or 0."""
        return float(mme_answer(reply) == example.answers[0])

    def summary(self, records: pd.DataFrame) -> Mapping[str, float]:
        """Points: `total`, `perception` and `cognition` of the recorded subtasks, then each of these; last the
        `accuracy` of all questions and the share that says `neither` yes nor no, in percent.
        """
        subtasks = [kind for kind in (*PERCEPTION, *COGNITION) if (records["kind"] == kind).any()]
        points = {kind: _points(records[records["kind"] == kind]) for kind in subtasks}
        perception = sum(points.get(kind, 0.0) for kind in PERCEPTION)
        cognition = sum(points.get(kind, 0.0) for kind in COGNITION)
        totals = {"total": perception + cognition, "perception": perception, "cognition": cognition}
        neither = share_of(records, lambda reply: mme_answer(reply) == "other")
        return totals | points | {"accuracy": percent(records), "neither": neither}


def _points(records: pd.DataFrame) -> float:
    """0 to 200 of one subtask."""
    images = records.groupby(["group", "seed"], observed=True)["score"].min()
    return percent(records) + 100 * float(images.mean())


def chosen_letter(reply: str) -> str:
    """The letter that a multiple-choice reply names, "" for none."""
    alone = _LETTER.fullmatch(reply.strip())
    if alone:
        return alone[1]
    letters = _SENTENCE.findall(reply)
    return letters[0] if len(letters) == 1 else ""


def lenient_letter(reply: str) -> str:
    """The letter that a chat model's reply names, such as "(B) tractor", "B)", "**Answer:** B" or "b"; "" for none and
    for several.
    """
    if letter := chosen_letter(reply):
        return letter
    plain = reply.strip().replace("*", "")
    found = next(filter(None, ({each.upper() for each in rule.findall(plain)} for rule in _LENIENT)), set())
    return found.pop() if len(found) == 1 else ""


class Choice:
    """Multiple choice (ScienceQA: Lu et al., arXiv 2209.09513): 1 for the letter of the right option.

    A reply is read as by LLaVA's eval_science_qa.py: the letter alone, a letter and ". ", or one "The answer is X";
    other replies are wrong, nothing is guessed. Here "B." counts as well, as in lmms-eval. Replies such as "(B) dog" or
    "Answer: B" name no letter by that rule; `lenient` counts them too, for chat models.
    """

    name, label = "choice", "multiple-choice accuracy"

    def score(self, reply: str, example: Example) -> float:
        """1 or 0."""
        return float(chosen_letter(reply) == example.answers[0])

    def summary(self, records: pd.DataFrame) -> Mapping[str, float]:
        """`accuracy`, that of each kind (ScienceQA: subject), the accuracy of `lenient_letter` (`lenient`), and the
        share of replies that name no letter (`neither`), in percent.
        """
        letters = records["reply"].astype(str).map(lenient_letter)
        lenient = 100 * float((letters == records["gold"].astype(str)).mean())
        return {**accuracy(records), "lenient": lenient, "neither": share_of(records, lambda x: not chosen_letter(x))}
