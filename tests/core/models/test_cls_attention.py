"""What a tower with a class token looks at: its own attention, by hand; other families say that they have none."""

import pytest
import torch
from PIL import Image

from crop_core.compress.protocol import CompressionInput
from crop_core.engine.run import Task
from crop_core.models import ModelError, load
from crop_core.records.compression_plan import CompressionError
from crop_core.records.config import Budget, CropConfig
from crop_core.records.region import Region
from tests.support.families import FAMILIES, build

IMAGES = [Image.effect_noise(size, 90).convert("RGB") for size in ((200, 120), (90, 160))]


@pytest.fixture(scope="module")
def adapter(tmp_path_factory):
    build("llava", folder := tmp_path_factory.mktemp("llava"))
    return load(folder, attn="eager")


@pytest.mark.parametrize("count", [1, 2])
def test_the_class_token_s_attention_is_the_tower_s_own(adapter, count):
    inputs = adapter.prepare(IMAGES[:count], "what is left?")
    with adapter.record_tower() as watched:
        features = adapter.encode(inputs)
    towers = adapter.tower_attention(watched, inputs)
    tower = adapter.model.model.vision_tower
    with torch.no_grad():
        attentions = tower(inputs.vision["pixel_values"], output_attentions=True).attentions[-2]  # (B, H, 1 + P, 1 + P)
    assert len(towers) == count
    for own, attention in zip(towers, attentions, strict=True):
        assert torch.allclose(own.attention, attention[:, 0, 1:].mean(0), atol=1e-6)
        assert own.keys.shape == (len(own.attention), tower.config.hidden_size)
    assert sum(len(own.attention) for own in towers) == len(features.pooler_output[0])
    assert not tower.encoder.layers[-2].self_attn._forward_pre_hooks


@pytest.mark.parametrize("name", sorted(set(FAMILIES) - {"llava", "smolvlm", "idefics3"}))
def test_families_without_a_class_token_say_so(name, tmp_path):
    build(name, tmp_path)
    with pytest.raises(ModelError, match="no class token"):
        load(tmp_path).record_tower()


def test_a_question_s_own_tokens_are_embedded_without_special_ones(adapter):
    table = adapter.model.get_input_embeddings().weight
    ids = adapter.tokenizer.encode("what is left ?", add_special_tokens=False)
    assert torch.equal(adapter.embed_question("what is</s> left<image>?"), table[ids])


def test_an_image_of_places_alone_has_nothing_else():
    with pytest.raises(CompressionError, match="run it through the engine"):
        CompressionInput(None, None).features()


def test_a_baseline_keeps_nothing_of_the_tower(adapter, monkeypatch):
    """Its time and memory are those of a model without the method beside it."""
    config = CropConfig("visionzip", Budget(mean_tokens=8), max_new_tokens=1)
    task, watched = Task(adapter, IMAGES[0], "what is left?", config), []
    record = adapter.record_tower
    monkeypatch.setattr(adapter, "record_tower", lambda: watched.append(1) or record())
    task.baseline(Region.whole(*IMAGES[0].size))
    assert not watched
    task.crop(Region.whole(*IMAGES[0].size))
    assert len(watched) == 1
