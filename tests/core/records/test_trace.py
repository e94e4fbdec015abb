"""Traces and the other records: derived numbers by hand, valid JSON both ways, arrays that do not fit."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from crop_core.records.base import RecordError
from crop_core.records.cost import Cost
from crop_core.records.region import Region, RegionError
from crop_core.records.results import Answer, Comparison, StreamEvent, TokenProb
from crop_core.records.trace import PADDING, UNPLACED, PruneStep, TokenTrace, TraceError

NAN = float("nan")


def trace(steps=None, **changes):
    """Six tokens in four groups, one dropped before the LLM, one without a place; two cuts in five layers."""
    boxes = np.array([[0, 0, 10, 10], [10, 0, 20, 10], [0, 10, 10, 20], [10, 10, 20, 20], [20, 0, 30, 10], [NAN] * 4])
    steps = (
        [PruneStep(1, [0, 2, 3], [0.4, 0.1, 0.3, 0.2]), PruneStep(3, [2], [0.1, NAN, 0.6, 0.3])]
        if steps is None
        else steps
    )
    values = {
        "image_size": (30, 20),
        "boxes": boxes,
        "visible": (0.0, 0.0, 30.0, 20.0),
        "region": Region(0, 0, 2, 3, 30, 20, "predicted", 0.7),
        "in_region": [True, False, False, False, False, False],
        "group": [0, 1, 1, 2, -1, 3],
        "ring": [0, 1, 1, 1, 3, 3],
        "layers": 5,
        "steps": steps,
    }
    return TokenTrace(**{**values, **changes})


def cost(**changes):
    zeros = dict.fromkeys(Cost.__dataclass_fields__, 0)
    words = {"device": "cpu", "dtype": "float32", "peak_method": "counted", "localizer_peak_method": ""}
    return Cost(**{**zeros, **words, "runs": [], **changes})


def comparison():
    crop = trace()
    tokens = [TokenProb("cat", -0.1, -0.3), TokenProb("</s>", -math.inf, None)]
    return Comparison(
        "what?",
        "crop-tiny",
        "cpu",
        "float32",
        (crop.region,),
        Answer("cat", tokens, cost(), (crop.unpruned(),)),
        Answer("dog", tokens[:1], cost(ttft_s=0.5), (crop,)),
        math.inf,
        "crop",
        "192 tokens",
        ["zebra"],
        ["careful"],
    )


def test_counts_and_deaths_by_hand():
    record = trace()
    assert (record.visual_tokens, record.input_tokens, record.final_tokens) == (6, 4, 1)
    assert record.alive_counts.tolist() == [4, 3, 3, 1, 1]
    assert record.mean_tokens == pytest.approx(12 / 5)
    assert record.died_at.tolist() == [3, 1, 1, 5, 0, 3]


def test_scores_are_those_of_the_group():
    assert np.array_equal(trace().score(0), [0.4, 0.1, 0.1, 0.3, NAN, 0.2], equal_nan=True)
    assert np.array_equal(trace().score(1), [0.1, NAN, NAN, 0.6, NAN, 0.3], equal_nan=True)


def test_the_baseline_keeps_everything():
    baseline = trace().unpruned()
    assert baseline.alive_counts.tolist() == [6] * 5
    assert set(baseline.died_at.tolist()) == {5}
    assert baseline.region == trace().region


def test_a_trace_survives_strict_json():
    record = trace()
    text = json.dumps(record.to_json(), allow_nan=False)
    back = TokenTrace.from_json(json.loads(text))
    assert json.dumps(back.to_json()) == text
    for name in ("boxes", "in_region", "group", "ring", "alive_counts", "died_at"):
        assert np.array_equal(getattr(back, name), getattr(record, name), equal_nan=name == "boxes"), name
    assert np.array_equal(back.score(1), record.score(1), equal_nan=True)
    assert (back.region, back.image_size, back.visible) == (record.region, record.image_size, record.visible)


@pytest.mark.parametrize(
    "changes",
    [
        {"group": [0, 1, 1, 2, -1, 4]},  # nobody in 3
        {"group": [-1] * 6},
        {"group": [0, 1, 1, 2, -2, 3]},
        {"ring": [0, 1]},
        {"in_region": [True]},
        {"boxes": np.zeros((6, 3))},
        {"layers": 3},  # the second cut is behind the last layer
        {"steps": [PruneStep(1, [0], [0.1] * 4), PruneStep(2, [0, 1], [0.1] * 4)]},  # 1 comes back
        {"steps": [PruneStep(2, [0, 1], [0.1] * 4), PruneStep(2, [0], [0.1] * 4)]},
        {"steps": [PruneStep(1, [0, 9], [0.1] * 4)]},
        {"steps": [PruneStep(1, [0], [0.1] * 3)]},
    ],
)
def test_arrays_that_do_not_fit_are_refused(changes):
    with pytest.raises(TraceError):
        trace(**changes)


@pytest.mark.parametrize("values", [(0, [1], [1.0]), (1, [], [1.0]), (1, [1, 0], [1.0]), (1, [1, 1], [1.0])])
def test_impossible_steps_are_refused(values):
    with pytest.raises(TraceError):
        PruneStep(*values)


def test_a_comparison_survives_strict_json_and_has_the_documented_fields():
    record = comparison()
    text = json.dumps(record.to_json(), allow_nan=False)
    data = json.loads(text)
    assert data["image"] == {"width": 30, "height": 20}
    assert data["tokens"] == {"visual": 6, "padding": 0, "after_plc": 4, "mean_per_layer": 2.4, "final": 1}
    assert {"question", "model", "device", "dtype", "region", "baseline", "crop", "trace"} <= set(data)
    assert (data["baseline"]["answer"], data["crop"]["answer"], data["crop"]["cost"]["ttft_s"]) == ("cat", "dog", 0.5)
    back = Comparison.from_json(data)
    assert json.dumps(back.to_json()) == text
    assert back.kl_first == math.inf and not back.same
    assert back.baseline.tokens == record.baseline.tokens
    assert back.baseline.trace.alive_counts.tolist() == [6] * 5
    assert back.crop.cost == record.crop.cost


def test_an_answer_alone_carries_its_trace():
    answer = comparison().crop
    back = Answer.from_json(json.loads(json.dumps(answer.to_json(), allow_nan=False)))
    assert back.text == "dog" and back.trace.died_at.tolist() == answer.trace.died_at.tolist()


def test_answers_are_the_same_by_their_text():
    record = comparison()
    assert replace(record, crop=record.baseline).same


def test_stages_of_a_stream_are_known():
    assert StreamEvent("crop", "ca").text == "ca"
    with pytest.raises(ValueError, match="localize, baseline, crop, compare, measure, done"):
        StreamEvent("thinking")


def test_views_are_kept_and_one_is_taken_for_granted():
    tiled = trace(view=[1, 1, 0, 0, 1, -1])
    assert TokenTrace.from_json(json.loads(json.dumps(tiled.to_json()))).view.tolist() == [1, 1, 0, 0, 1, -1]
    assert tiled.unpruned().view.tolist() == [1, 1, 0, 0, 1, -1]
    older = {name: value for name, value in trace().to_json().items() if name != "view"}
    assert TokenTrace.from_json(older).view.tolist() == trace().view.tolist() == [0] * 6
    with pytest.raises(TraceError, match=r"view \(2,\)"):
        trace(view=[0, 1])


def test_records_are_validated_when_they_are_made_and_hold_plain_numbers():
    assert type(cost(kv_bytes=np.int64(3)).kv_bytes) is int
    with pytest.raises(RecordError, match=r"^ttft_s: Input should be a valid number.*\.$"):
        cost(ttft_s="soon")
    with pytest.raises(RegionError, match=r"^width: "):
        Region(0, 0, 7, 7, None, 10)
    with pytest.raises(TraceError, match=r"^group: Input should be an array of int64"):
        trace(group=["a"] * 6)
    with pytest.raises(RecordError, match="a region and a trace of each run, not 2, 1 and 1"):
        replace(comparison(), regions=(trace().region,) * 2)


def test_regions_of_a_comparison_are_those_of_its_images():
    record = comparison()
    assert record.regions == (record.region,) == replace(record, regions=[record.region]).regions
    data = {**record.to_json(), "others": [trace(region=Region(1, 1, 2, 2, 30, 20)).to_json()]}
    both = Comparison.from_json(data)
    assert [region.grid for region in both.regions] == [(0, 0, 2, 3), (1, 1, 2, 2)]
    assert both.to_json() == {**data, "tokens": both.token_counts} == Comparison.from_json(both.to_json()).to_json()
    for wrong in ({"region": []}, {"region": [data["region"]]}, {"region": None}, {"trace": None}):
        with pytest.raises(RecordError):
            Comparison.from_untrusted_json(json.dumps({**data, **wrong}).encode())


def padded(**changes):
    """A 30x20 image: two tokens on it, one on its edge, two beside it and pooled, one without a place."""
    boxes = [[0, 0, 10, 10], [10, 0, 20, 10], [0, -5, 10, 5], [0, -10, 10, 0], [30, 0, 40, 10], [NAN] * 4]
    values = {"boxes": np.array(boxes), "group": [1, 2, 0, 0, 3, 3], "ring": [0, 1, 2, 2, 2, 2], "steps": []}
    return trace(**{**values, **changes})


def test_padding_is_what_shows_no_pixel_of_the_image():
    record = padded()
    assert record.padding.tolist() == [False, False, False, True, True, False]
    assert record.on_image.tolist() == [True, True, True, False, False, False]
    assert record.padding_tokens == record.unpruned().padding_tokens == 2
    sliver = padded(boxes=np.array([[0, -10, 10, 1e-9], *padded().boxes[1:]]))
    assert sliver.padding[0], "rounding puts nothing on the image"


def test_padding_is_in_no_ring_and_a_group_is_what_its_members_on_the_image_are():
    record = padded()
    assert record.shown_ring.tolist() == [0, 1, 2, PADDING, PADDING, UNPLACED]
    assert record.input_ring.tolist() == [2, 0, 1, PADDING]
    assert record.ring.tolist() == [0, 1, 2, 2, 2, 2], "what the method did stays as it is"
    dropped = padded(group=[0, 1, -1, -1, -1, -1])
    assert dropped.input_ring.tolist() == [0, 1]


def test_padding_is_in_the_json_and_in_that_of_old_files_once_they_are_open():
    data = padded().to_json()
    assert data["padding"] == [False, False, False, True, True, False]
    old = {name: value for name, value in data.items() if name != "padding"}
    assert TokenTrace.from_json(old).to_json() == TokenTrace.from_json({**data, "padding": [True]}).to_json() == data


def changed(**fields):
    return json.dumps({**trace().to_json(), **fields}).encode()


def test_limits_and_strict_kinds_hold_for_untrusted_files_alone():
    assert TokenTrace.from_untrusted_json(changed()).to_json() == trace().to_json()
    assert TokenTrace.from_untrusted_json(changed(view=None)).view.tolist() == [0] * 6
    assert trace(layers=1000).layers == TokenTrace.from_json(trace(layers=1000).to_json()).layers == 1000
    wrong = {
        "layers: The value is 1000, allowed are 1 to 512.": {"layers": 1000},
        "layers: Input should be a valid integer.": {"layers": "5"},
        "ring.2: Input should be a valid integer.": {"ring": [0, 1, "1", 1, 3, 3]},
        "ring: A value is not within 0 to 64.": {"ring": [0, 1, 65, 1, 3, 3]},
        "view: Input should be an array of int64.": {"view": [2**63] * 6},
        "boxes.0.1: Input should be a finite number.": {"boxes": [[0, math.inf, 1, 1]] * 6},
        "group: The length is 20001, allowed are 0 to 20000.": {"group": [0] * 20_001},
        "region.width: The value is 0, allowed are 1 to 100000.": {"region": {**trace().region.to_json(), "width": 0}},
    }  # fmt: skip
    for message, fields in wrong.items():
        with pytest.raises(TraceError) as caught:
            TokenTrace.from_untrusted_json(changed(**fields))
        assert str(caught.value) == message
