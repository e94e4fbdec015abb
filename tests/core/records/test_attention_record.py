"""The record of where the model looked, and its place in a comparison."""

import json
from dataclasses import replace

import numpy as np
import pytest

from crop_core.records.attention import LEVELS, AttentionError, LayerAttention
from crop_core.records.base import RecordError
from crop_core.records.results import Comparison
from tests.support.fake_records import attention, comparison


def test_shares_come_back_to_half_a_level():
    shares = np.random.default_rng(3).dirichlet(np.ones(40), 2) * 0.5
    layer = LayerAttention.of(shares)
    assert layer.levels.max(axis=1).tolist() == [LEVELS, LEVELS]
    for step in range(2):
        assert np.abs(layer.shares(step) - shares[step]).max() <= 0.501 * shares[step].max() / LEVELS
    assert layer.on_image == pytest.approx([0.5, 0.5])


def test_nothing_on_the_image_is_nothing():
    layer = LayerAttention.of(np.zeros((1, 3)))
    assert layer.shares(0).tolist() == [0, 0, 0] and layer.on_image == [0]


def test_a_comparison_keeps_one_of_each_run_in_its_file():
    run = comparison()
    looked = run.looked([attention(run.trace)]).looked([attention(run.trace, baseline=False)])
    newer = replace(attention(run.trace), seconds=7.0)
    again = Comparison.from_untrusted_json(json.dumps(looked.looked([newer]).to_json()).encode())
    assert [(each.is_baseline, each.seconds) for each in again.attention] == [(True, 7.0), (False, 0.125)]
    assert again.attention_to(0, baseline=True).layers[3].shares(0)[3] == pytest.approx(0.25)
    assert again.attention_to(1, baseline=True) is None
    old = run.to_json()
    del old["attention"]
    assert Comparison.from_json(old).attention == [], "a file of an earlier version"


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data.update(image=1),
        lambda data: data.update(method="crop"),
        lambda data: data["layers"].pop(),
        lambda data: data["words"].pop(),
        lambda data: data["layers"][0]["levels"].pop(),
        lambda data: data["layers"][0]["levels"][0].append(0),
        lambda data: data["layers"][0]["levels"][0].__setitem__(0, LEVELS + 1),
        lambda data: data["layers"][0].update(largest=[2.0, 0.1]),
        lambda data: data["layers"][0].update(levels=[]),
        lambda data: data.update(seconds=-1),
    ],
)
def test_attention_that_does_not_fit_is_one_sentence(change):
    run = comparison()
    data = run.looked([attention(run.trace)]).to_json()
    change(data["attention"][0])
    with pytest.raises(RecordError) as error:
        Comparison.from_untrusted_json(json.dumps(data).encode())
    assert str(error.value).endswith(".") and "\n" not in str(error.value)


def test_a_pooled_token_shares_with_its_members():
    trace = comparison().trace
    looked = attention(trace, baseline=False)
    spread = looked.on_tokens(2, 0, trace)
    members = np.flatnonzero(trace.group == 2)
    assert spread[members] == pytest.approx(np.full(len(members), 0.25 / len(members)), abs=2e-4)
    assert attention(trace).on_tokens(2, 0, trace)[2] == pytest.approx(0.25)
    with pytest.raises(AttentionError, match="layers"):
        replace(looked, layers=looked.layers[:-1]).check_fits(trace)
