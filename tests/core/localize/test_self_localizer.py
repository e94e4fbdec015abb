"""The self-localizer in every family: attention that is the model's own, a run that ends early, honest FLOPs."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from crop_core.engine.engine import CropEngine
from crop_core.localize import SelfLocalizer
from crop_core.localize.calibration import Calibration
from crop_core.localize.self_attention.attention_rule import KEY, AttentionRule, AttentionTerm
from crop_core.localize.self_attention.localizer import early_attention, text_rows
from crop_core.localize.self_attention.pooled_grid import PooledGrid
from crop_core.models import ModelError, load
from crop_core.models.compressed_inputs import compress_inputs
from crop_core.records.config import Budget, CropConfig
from tests.support.families import FAMILIES, VARIANTS, build

EXACT = 1e-5
QUESTION = "what is left of the dog?"
SIZES = [(200, 120), (90, 160)]


@pytest.fixture(scope="module", params=[*FAMILIES, *VARIANTS])
def folder(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    build(request.param, folder)
    return folder


@pytest.fixture(scope="module")
def adapters(folder):
    """With the model's usual attention, and eager."""
    return load(folder), load(folder, attn="eager")


@pytest.fixture(scope="module")
def adapter(adapters):
    return adapters[0]


def sample_image(size=SIZES[0]):
    rng = np.random.default_rng(size[0])
    return Image.fromarray(rng.integers(0, 255, (*size[::-1], 3), dtype=np.uint8))


def glimpsed(adapter, size=SIZES[0]):
    """The inputs of a glimpse, and how many tokens come after the image."""
    prepared = adapter.prepare(sample_image(size), QUESTION)
    plan = PooledGrid.of(adapter.layout(size)).plan
    return compress_inputs(adapter.model, prepared, adapter.encode(prepared), [plan]), text_rows(prepared.visual)


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_attention_is_the_model_s_own(adapters, size):
    """Against the whole model as it answers, with output_attentions under eager."""
    inputs, text = glimpsed(adapters[1], size)
    how = {"max_new_tokens": 1, "do_sample": False, "output_attentions": True, "return_dict_in_generate": True}
    own = adapters[1].model.generate(**inputs.kwargs, **how).attentions[0]
    for adapter in adapters:
        result = early_attention(adapter, inputs, [0, 2], text)
        assert set(result) == {0, 2}
        for layer, weights in result.items():
            rows = own[layer][0, :, -text:][..., inputs.visual[0]]
            assert weights == pytest.approx(rows.numpy(), abs=EXACT)


def test_no_layer_runs_beyond_the_last_that_is_read_and_nothing_stays_on_the_model(adapter):
    (inputs, text), ran = glimpsed(adapter), []
    before = adapter.model(**inputs.kwargs).logits
    handles = [
        layer.register_forward_hook(lambda *_, number=number: ran.append(number))
        for number, layer in enumerate(adapter.stack.layers)
    ]
    early_attention(adapter, inputs, [1, 2], text)
    for handle in handles:
        handle.remove()
    assert ran == [0, 1]
    assert not any(layer._forward_pre_hooks for layer in adapter.stack.layers)
    assert torch.equal(adapter.model(**inputs.kwargs).logits, before)


def test_a_region_with_and_without_what_is_encoded_already(adapters):
    result = []
    for adapter in adapters:
        localizer = SelfLocalizer(adapter, AttentionRule.plain(4, 4))
        prepared = adapter.prepare(sample_image(), QUESTION)
        shared = localizer.localize_from_features(prepared, adapter.encode(prepared), sample_image(), QUESTION)
        finding = localizer.localize(sample_image(), QUESTION)
        assert shared.region == finding.region == localizer.localize_region(sample_image(), QUESTION)
        assert (finding.region.source, finding.region.confidence) == ("predicted", None)
        assert shared.flops == finding.flops - adapter.vision_flops(prepared)
        result.append(shared.region.grid)
    assert result[0] == result[1]
    assert localizer.weights_bytes == 0


@pytest.mark.parametrize("side", [8, 3])
def test_flops_are_what_pytorch_counts(adapter, side):
    rule = replace(
        AttentionRule.plain(4, 4), terms=(AttentionTerm(0, 1, "mean", 1.0), AttentionTerm(2, 3, "last", 1.0)), side=side
    )
    localizer = SelfLocalizer(adapter, rule)
    adapter.vision_flops(adapter.prepare(sample_image(), QUESTION))  # which counts by encoding, the first time
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        finding = localizer.localize(sample_image(), QUESTION)
    assert finding.flops == counter.get_total_flops()


def test_what_cannot_be_read_is_refused(adapter, monkeypatch):
    inputs, text = glimpsed(adapter)
    with pytest.raises(ModelError, match="layers 0 to 3"):
        early_attention(adapter, inputs, [1, 4], text)
    with pytest.raises(ModelError, match="ends with the image"):
        early_attention(adapter, inputs, [1], 0)
    monkeypatch.setattr(adapter.model.config, KEY, {"terms": {"9.0 last": 1.0}}, raising=False)
    with pytest.raises(ModelError, match="layers 0 to 3 of heads 0 to 3"):
        SelfLocalizer(adapter)


def test_the_rule_of_the_checkpoint_decides(adapter, monkeypatch):
    """A cell that costs more than any heat leaves one of them, one that costs nothing all of them."""
    for bias, cells in ((50.0, 1), (-50.0, 64)):
        rule = AttentionRule((AttentionTerm(1, 2, "last", 0.1),), bias, calibration=Calibration(None, 2.0, 0.5))
        monkeypatch.setattr(adapter.model.config, KEY, rule.to_json(), raising=False)
        region = SelfLocalizer(adapter).localize_region(sample_image(), QUESTION)
        x0, y0, x1, y1 = region.grid
        assert (x1 - x0 + 1) * (y1 - y0 + 1) == cells
        assert 0 < region.confidence <= 1


def test_image_and_question_matter(adapter):
    """Otherwise the tests above would pass for a localizer that reads neither."""
    localizer = SelfLocalizer(
        adapter, AttentionRule((AttentionTerm(2, 0, "last", 1.0),), calibration=Calibration(0.2, 1.5, 0.0))
    )
    other = sample_image().transpose(Image.Transpose.ROTATE_180)
    pairs = [(sample_image(), QUESTION), (other, QUESTION), (sample_image(), "where is the red cat?")]
    assert len({localizer.localize_region(*pair).confidence for pair in pairs}) == 3


def test_the_engine_encodes_the_image_once_for_region_and_answer(adapter):
    localizer = SelfLocalizer(adapter, AttentionRule((AttentionTerm(1, 2, "last", 1.0),)))
    engine = CropEngine(adapter, localizer, warm_up=False)
    config = CropConfig(budget=Budget(share=0.75), max_new_tokens=2, repeats=1)
    result = engine.answer(sample_image(), QUESTION, config, memory=False)
    prepared = adapter.prepare(sample_image(), QUESTION)
    assert result.trace.region == localizer.localize_region(sample_image(), QUESTION)
    assert (
        result.cost.localizer_flops
        == localizer.localize_from_features(prepared, adapter.encode(prepared), sample_image(), QUESTION).flops
    )
    assert result.cost.localizer_weights_bytes == 0


def test_a_rule_that_nobody_measured_is_said_to_be_a_guess(adapter):
    (notice,) = SelfLocalizer(adapter).localize(sample_image(), QUESTION).notices
    assert "a guess" in notice and adapter.name in notice
    layers, heads = adapter.layers, adapter.model.config.text_config.num_attention_heads
    assert not SelfLocalizer(adapter, AttentionRule.plain(layers, heads)).localize(sample_image(), QUESTION).notices
