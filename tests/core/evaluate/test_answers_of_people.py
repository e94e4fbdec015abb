"""Right answers as people write them, and replies of models that reason or quote."""

from pathlib import Path

import pytest

from crop_core.evaluate.datasets.protocol import DatasetError, Example
from crop_core.evaluate.metrics.closed_ended import lenient_letter
from crop_core.evaluate.metrics.registry import metric, scorable


@pytest.mark.parametrize(
    ("name", "answer", "reply"),
    [("yesno", "Yes", "Yes"), ("yesno", "TRUE", "yes"), ("mme", "No.", "No"), ("gqa", "Red ", "red.")]
    + [("choice", answer, "B") for answer in ("b", "(B)", "B. blue")],
)
def test_answers_as_people_write_them_are_right(name, answer, reply):
    example = scorable(Example("1", "?", (answer,), Path("a.png")), name)
    assert metric(name).score(reply, example) == 1


@pytest.mark.parametrize(
    ("name", "answer", "said"),
    [
        ("yesno", "red", "needs yes or no as answer, not 'red' of 'row 3'"),
        ("mme", "maybe", "needs yes or no"),
        ("choice", "blue", "needs the letter of an option as answer, not 'blue'"),
        ("vqa", "red", "the answers of several people, and 'row 3' has 1"),
        ("textvqa", "red", "choose another metric"),
    ],
)
def test_answers_of_which_a_metric_makes_nothing_are_refused(name, answer, said):
    with pytest.raises(DatasetError, match=said):
        scorable(Example("row 3", "?", (answer,), Path("a.png")), name)


@pytest.mark.parametrize(
    ("reply", "letter"),
    [("\\boxed{B}", "B"), ("$\\boxed{\\text{(b)}}$", "B"), ("'B'", "B"), ("B/C", ""), ("I'm not sure", "")],
)
def test_the_lenient_letter_of_a_model_that_reasons_or_quotes(reply, letter):
    assert lenient_letter(reply) == letter
