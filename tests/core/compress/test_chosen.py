"""Tokens by hand: exactly those, as masking everywhere does; all of them are the baseline."""

from types import SimpleNamespace

import numpy as np
import pytest

from crop_core.compress.chosen import ChosenCompressor
from crop_core.compress.protocol import CompressionInput
from crop_core.engine.session import Session
from crop_core.models import load
from crop_core.records.compression_plan import CompressionError
from crop_core.records.config import Budget, ConfigError, CropConfig
from crop_core.records.region import Region
from tests.support.exactness import EXACT, from_masking
from tests.support.fake_records import sample_image
from tests.support.tiny_models import tiny_llava

TOKENS = 16


def plan(*tokens, count=None):
    return ChosenCompressor(tokens).plan(CompressionInput(SimpleNamespace(row=np.zeros(TOKENS)), None), count)


def test_the_chosen_tokens_stay_in_their_order_and_nothing_is_pooled():
    assert plan(9, 2, 2, 15).group.tolist() == [-1, -1, 0, *[-1] * 6, 1, *[-1] * 5, 2]
    assert plan(3, 4, count=2).count == 2
    assert ChosenCompressor.from_config(CropConfig("chosen", None, tokens=(3, 1))) == ChosenCompressor((3, 1))


@pytest.mark.parametrize(
    ("tokens", "count", "sentence"),
    [
        ((), None, "No visual token is chosen"),
        ((3, 16), None, "no visual token 16; choose from 0 to 15"),
        ((3, 10**30), None, "no visual token 1000.*0; choose from 0 to 15"),
        ((-1, 3), None, "no visual token -1; choose from 0 to 15"),
        ((1, 2), 3, "2 visual tokens are chosen, not 3"),
    ],
)
def test_what_cannot_be_chosen_is_one_sentence(tokens, count, sentence):
    with pytest.raises(CompressionError, match=sentence):
        plan(*tokens, count=count)


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        ({"method": "chosen", "budget": None}, "No visual token is chosen"),
        ({"method": "chosen", "budget": Budget(64), "tokens": (1,)}, "take no budget"),
        ({"method": "plc", "tokens": (1,)}, "'plc' takes no tokens; only 'chosen' does"),
    ],
)
def test_a_config_with_tokens_is_that_of_the_method_alone(config, sentence):
    with pytest.raises(ConfigError, match=sentence):
        CropConfig(**config)


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("tokens", [(0,), (3, 7, 8, 15), tuple(range(1, TOKENS))])
def test_choosing_is_masking_the_others_everywhere(attention, tokens):
    assert from_masking(tiny_llava(attention), plan(*tokens)) <= EXACT


def test_all_tokens_are_the_baseline_and_few_are_not():
    session = Session(load("crop-tiny", "cpu"), sample_image(), "what is left of the dog?", max_new_tokens=2)
    region = Region.whole(*sample_image().size)
    runs = [session.run(session.task(CropConfig("chosen", None, tokens=tuple(range(n)))), region) for n in (576, 100)]
    assert runs[0].generated.ids == session.baseline.generated.ids
    assert abs(session.kl_first(runs[0])) < 1e-5 < 1e-3 < abs(session.kl_first(runs[1]))
    assert runs[0].flops == session.baseline.flops > runs[1].flops
    assert [each.traces[0].input_tokens for each in runs] == [576, 100]
