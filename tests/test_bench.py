"""The benchmark's own arithmetic and its held-out questions."""

import random

import pytest

from crop_core.bench import accuracy, localizer
from crop_core.bench.accuracy import Tally
from crop_core.bench.examples import choose
from crop_core.bench.heldout import held_out, majority_answers
from crop_core.bench.tables import accuracy_table, localizer_table, markdown
from crop_core.config import Budget
from crop_core.region import Region
from crop_core.tiny.feed import TRAINING_SEEDS
from crop_core.tiny.questions import KINDS


def _region(x0, y0, x1, y1, confidence=None):
    return Region(x0, y0, x1, y1, width=80, height=80, source="predicted", confidence=confidence)


def test_held_out_questions_are_balanced_repeatable_and_not_for_training():
    items = held_out(3)
    assert [item.question.kind for item in items].count("count") == 3
    assert len(items) == 3 * len(KINDS)
    assert all(item.seed < TRAINING_SEEDS for item in items)
    assert [item.question for item in held_out(3)] == [item.question for item in items]


def test_the_needed_region_holds_every_needed_box():
    for item in held_out(5):
        left, top, right, bottom = item.region.box
        for box in item.question.reference + item.question.target:
            assert left <= box[0] and top <= box[1] and box[2] <= right and box[3] <= bottom


def test_examples_cover_every_kind_with_a_scene_each():
    items = choose()
    assert len({item.seed for item in items}) == len(items) >= 12
    assert {item.question.kind for item in items} == set(KINDS)
    assert not {item.seed for item in items} & {item.seed for item in held_out(60)}


def test_majority_answers_are_the_best_guess_by_kind():
    answers = majority_answers(200)
    assert answers["exist"] in ("yes", "no")
    assert answers["count"] in "123"


@pytest.mark.parametrize(
    ("a", "b", "iou", "covers"),
    [
        (_region(0, 0, 3, 3), _region(0, 0, 3, 3), 1.0, True),
        (_region(0, 0, 3, 3), _region(2, 2, 5, 5), 4 / 28, False),
        (_region(0, 0, 7, 7), _region(2, 2, 3, 3), 4 / 64, True),
        (_region(0, 0, 1, 1), _region(5, 5, 6, 6), 0.0, False),
    ],
)
def test_iou_and_coverage(a, b, iou, covers):
    assert localizer.iou(a, b) == pytest.approx(iou)
    assert localizer.covers(a, b) is covers


def test_a_random_region_has_the_same_size_and_stays_inside():
    region = _region(2, 3, 6, 4)
    places = {accuracy.elsewhere(region, random.Random(seed)).grid for seed in range(60)}
    assert len(places) > 5
    assert {(x1 - x0, y1 - y0) for x0, y0, x1, y1 in places} == {(4, 1)}


def test_runs_are_every_method_at_every_budget():
    table = accuracy.runs(["ilp", "plc"], [192, 64])
    assert list(table) == ["all tokens", "ilp 192", "ilp 64", "plc 192", "plc 64"]
    assert table["all tokens"] is None
    assert table["plc 64"].budget == Budget(mean_tokens=64)


def test_tables_show_what_was_counted():
    tallies = {"all tokens": Tally(), "ilp 64": Tally()}
    for kind in KINDS:
        tallies["all tokens"].add(kind, True, 576)
        tallies["ilp 64"].add(kind, kind != "count", 64)
    text = accuracy_table(tallies)
    assert "| all tokens | 576 " in text
    assert "83.3%" in text
    assert markdown(["a", "bb"], [["1", "2"]]).splitlines()[-1] == "| 1 | 2  |"
    found = [localizer.Overlap("count", 0.5, True, 0.9), localizer.Overlap("exist", 1.0, False, 0.7)]
    assert "| overall   | 0.75 " in localizer_table(localizer.summary(found))
