"""Metrics by name. A new metric is one file beside this one and one row here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from crop_core.evaluate.datasets.protocol import DatasetError, Example, Metric
from crop_core.evaluate.metrics.closed_ended import Choice, Mme, YesNo, lenient_letter, yes_or_no
from crop_core.evaluate.metrics.text_match import Anls, Contains, Exact, Gqa
from crop_core.evaluate.metrics.vqa import TEXTVQA, VQA
from crop_core.records.formatting import truncated_repr

_ALL: tuple[Metric, ...] = (Exact(), Contains(), VQA, TEXTVQA, Anls(), YesNo(), Mme(), Choice(), Gqa())
METRICS = {each.name: each for each in _ALL}
_READ: dict[str, Callable[[str], str]] = {  # an answer as the metric compares it, "" for one that it cannot
    "yesno": yes_or_no,
    "mme": yes_or_no,
    "choice": lenient_letter,
    "gqa": lambda answer: answer.strip().lower(),
}
_NEEDS = {"yesno": "yes or no", "mme": "yes or no", "choice": "the letter of an option"}
_PEOPLE = {"vqa": 2, "textvqa": 2}  # answers without which every score is 0


def metric(name: str) -> Metric:
    """The metric `name`; DatasetError for another name."""
    if name not in METRICS:
        raise DatasetError(f"The metric {name!r} is not known; choose one of {', '.join(METRICS)}.")
    return METRICS[name]


def scorable(example: Example, name: str) -> Example:
    """The example with its answers as the metric `name` compares them, such as "yes" for "Yes" and "B" for "(b)".

    Raises DatasetError for answers of which it would make 0 whatever the reply.
    """
    if len(example.answers) < _PEOPLE.get(name, 1):
        raise DatasetError(
            f"The metric {name!r} compares the answers of several people, and '{example.id}' has "
            f"{len(example.answers)}; choose another metric, such as exact."
        )
    answers = tuple(map(_READ.get(name, str), example.answers))
    if not all(answers):
        unread = truncated_repr(example.answers[answers.index("")])
        raise DatasetError(
            f"The metric {name!r} needs {_NEEDS.get(name, 'a text')} as answer, not {unread} of '{example.id}'; choose "
            "another metric, or write it so."
        )
    return replace(example, answers=answers)
