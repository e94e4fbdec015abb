"""Whatever a localizer writes is a valid box or none, and what people accept as a box is one."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crop_core.localize.decoding.answer_formats import BOXES, BRACKETS
from crop_core.localize.text_vlm import ParsedBox, parse_boxes, snapped
from crop_core.records.region import Region

QUICK = settings(derandomize=True, deadline=None, max_examples=300, database=None)
BOX = (10, 20, 30, 40)

SAID = {
    '```json\n[\n\t{"bbox_2d": [10, 20, 30, 40], "label": "a dog"}\n]\n```': BOX,
    '```json\n[\n\t{"bbox_2d": [10, 20, 30, 40], "label": "a d': BOX,
    "{'bbox_2d': [10, 20, 30, 40]}": BOX,
    '{"bbox_2d": [10, 20, 30, 40': BOX,
    "The answer is [10, 20, 30, 40], since 1, 2, 3, 4 and 5 are others.": BOX,
    '[{"bbox_2d": [10, 20, 15, 40]}, {"bbox_2d": [12, 25, 30, 30]}]': BOX,
    "[[10, 20, 30, 40]]": BOX,
    "[[10, 20], [30, 40]]": BOX,
    "(10,20),(30,40)": BOX,
    "10, 20, 30, 40": BOX,
    "10 20 30 40.": BOX,
    "x from 10; 20; 30; 40": BOX,
    "[10.0,20.,3e1,+40]": BOX,
    "[30, 40, 10, 20]": BOX,
    "[10, 40, 30, 20]": BOX,
    "[-5, .5, 30, 9e3]": (-5, 0.5, 30, 9000),
    "［１０，２０，３０，４０］": BOX,
    "[١٠, ٢٠, ٣٠, ٤٠]": BOX,
    "[1e999, 20, 30, 40] or [10, 20, 30, 40]": BOX,
    "label 7, [10, 20, 30, 40] at 1, 2, 3, 4": BOX,
}
SILENT = [
    "", "no", "bbox_2d", "[10, 20, 30]", "[10, 20, 30, 40, 50]", "10, 20, 30, 40, 50", "[nan, 20, 30, 40]",
    "[10, inf, 30, 40]", "[1e999, 20, 30, 40]", "a1, 20, 30, 40", "10, 20, 30, 40px", '{"point_2d": [10, 20]}',
]  # fmt: skip


@pytest.mark.parametrize(("text", "numbers"), SAID.items())
def test_what_is_a_box(text, numbers):
    assert parse_boxes(text) == ParsedBox(numbers, marked=False)


@pytest.mark.parametrize("text", SILENT)
def test_what_is_none(text):
    assert parse_boxes(text) is None


def test_qwen2_vls_own_marks():
    text = "<|object_ref_start|>the dog<|object_ref_end|><|box_start|>(10,20),(30,40)<|box_end|>"
    assert parse_boxes(text) == ParsedBox(BOX, marked=True)


def valid(text):
    """The box of a text is sorted and finite, and its region, which refuses what is not one, is on the grid."""
    box = parse_boxes(text)
    if box is None:
        return None
    left, top, right, bottom = box.numbers
    assert all(map(math.isfinite, box.numbers)) and left <= right and top <= bottom
    for form in (BRACKETS, *BOXES.values()):
        region = snapped(form.fractions(box.numbers, (644, 476)), 640, 480)
        assert Region.from_json(region.to_json()) == region
    return box


@QUICK
@given(st.text() | st.text("0123456789.,;+-eE[](){}\"' \n\t"))
def test_any_text_is_a_valid_box_or_none(text):
    valid(text)


@QUICK
@given(st.sampled_from([*SAID, *SILENT]), st.data())
def test_a_mangled_answer_is_a_valid_box_or_none(text, data):
    """Pieces cut out, put in and repeated."""
    for _ in range(data.draw(st.integers(1, 4))):
        start, end = sorted(data.draw(st.tuples(*[st.integers(0, len(text))] * 2)))
        text = text[:start] + data.draw(st.sampled_from(["", "9", "-", ".", ",", "[", "]", "٣", text])) + text[end:]
        text = text[:400]
    valid(text)


@QUICK
@given(st.tuples(*[st.floats(-2e3, 2e3)] * 4), st.sampled_from(["[{}, {}, {}, {}]", "({},{}),({},{})", "{} {} {} {}"]))
def test_a_box_is_read_as_it_was_written(numbers, words):
    box = valid(words.format(*numbers))
    assert box is not None
    x, y = sorted(numbers[::2]), sorted(numbers[1::2])
    assert box.numbers == (x[0], y[0], x[1], y[1])


def test_a_long_answer_is_read_in_no_time():
    """Patterns that back-track would need hours."""
    for text in ("1 " * 9_999, "1" * 99_999, "[" * 99_999, "1,2,3" + " " * 99_999, "(" + "1," * 33_333, "1e" * 33_333):
        valid(text)
