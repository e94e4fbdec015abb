"""Explanations: of items, of maps, as JSON, in pixels of another image, and beside traces of earlier versions."""

import json

import numpy as np
import pytest

from crop_core.records.explanation import ExplainedItem, Explanation, ExplanationError, ExplanationMap
from crop_core.records.results import Comparison
from crop_core.records.trace import TokenTrace
from tests.support.fake_records import comparison
from tests.support.fake_records import trace as a_trace

ITEMS = [
    ExplainedItem(((1, 2), (5, 3), (5, 4), (1, 3)), "Total", 0.98, True, "like “total”"),
    ExplainedItem.of_box((0, 0, 4, 2), "12.50", None),
    ExplainedItem.of_box((0, 4, 4, 6), "Thank you", 0.5, chosen=False),
]
EXPLANATION = Explanation("text", "3 lines of text read.", ITEMS, [ExplanationMap("Probability", np.eye(3))])


def test_it_is_the_same_from_json_and_from_an_untrusted_file():
    data = EXPLANATION.to_json()
    assert data["items"][0]["corners"] == [[1, 2], [5, 3], [5, 4], [1, 3]]
    assert data["maps"][0] == {"title": "Probability", "values": [[1, 0, 0], [0, 1, 0], [0, 0, 1]]}
    assert Explanation.from_json(data).to_json() == data
    assert Explanation.from_untrusted_json(json.dumps(data).encode()).to_json() == data


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"items": [ITEMS[0].to_json()] * 2001}, "items: The length is 2001, allowed are 0 to 2000"),
        ({"items": [{**ITEMS[0].to_json(), "score": 1.5}]}, "The value is 1.5, allowed are 0 to 1"),
        ({"items": [{**ITEMS[0].to_json(), "corners": [[0, 0]] * 3}]}, "corners"),
        ({"items": [{**ITEMS[0].to_json(), "corners": [[0, 1e9]] * 4}]}, "corners"),
        ({"maps": [{"title": "m", "values": [[1, 2], [3]]}]}, "values: Input should be an array of float64"),
        ({"maps": [{"title": "m", "values": [[0.0] * 300]}]}, "values"),
        ({"maps": [{"title": "m", "values": []}]}, "needs rows and columns of values from 0 on"),
        ({"maps": [{"title": "m", "values": [[-1]]}]}, "values"),
    ],
)
def test_what_an_untrusted_file_may_not_hold(change, message):
    content = json.dumps({**EXPLANATION.to_json(), **change}).encode()
    with pytest.raises(ExplanationError, match=message):
        Explanation.from_untrusted_json(content)


def test_in_an_image_of_another_size_the_corners_move_and_nothing_else():
    scaled = EXPLANATION.scaled(2, 10)
    assert scaled.items[0].corners == ((2, 20), (10, 30), (10, 40), (2, 30))
    assert [each.label for each in scaled.items] == [each.label for each in ITEMS] and scaled.maps == EXPLANATION.maps


def test_a_terminal_reads_what_was_chosen():
    assert EXPLANATION.describe() == "3 lines of text read. “Total” (98.0 %), like “total”; “12.50”"
    many = Explanation("text", "Read.", [ITEMS[1]] * 5)
    assert many.describe().endswith("“12.50”; “12.50”; “12.50”; 2 more")
    assert Explanation("grid", "A map.").describe() == "A map."


def test_a_trace_carries_it_and_earlier_ones_have_none():
    own = a_trace(comparison().region)
    told = TokenTrace.from_json({**own.to_json(), "explanation": EXPLANATION.to_json()})
    assert told.explanation.to_json() == EXPLANATION.to_json() == told.unpruned().explanation.to_json()
    earlier = {key: value for key, value in own.to_json().items() if key != "explanation"}
    assert TokenTrace.from_json(earlier).explanation is None
    data = comparison(trace=told).to_json()
    read = Comparison.from_untrusted_json(json.dumps(data).encode())
    assert read.trace.explanation.to_json() == EXPLANATION.to_json() and read.to_json() == data
