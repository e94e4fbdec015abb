"""What a tower looks at: its own attention, in every family whose tokens are patches; the others say why not."""

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


@pytest.mark.parametrize("output", [-1, -2, 1])
@pytest.mark.parametrize("trained", [True, False])
@pytest.mark.parametrize("count", [1, 2])
def test_the_attention_is_the_tower_s_own_in_the_layer_that_the_projector_reads(adapter, count, trained, output):
    config, tower = adapter.model.config, adapter.model.model.vision_tower
    config.vision_feature_layer, config.crop_class_token_trained = output, trained
    inputs = adapter.prepare(IMAGES[:count], "what is left?")
    with adapter.record_tower() as watched:
        features = adapter.encode(inputs)
    towers = adapter.tower_attention(watched, inputs)
    with torch.no_grad():
        out = tower(inputs.vision["pixel_values"], output_attentions=True, output_hidden_states=True)
    read = out.hidden_states[output][:, 1:]
    assert torch.allclose(features.pooler_output[0], adapter.model.model.multi_modal_projector(read).flatten(0, 1))
    attentions = out.attentions[output if output < 0 else output - 1]  # (B, H, 1 + P, 1 + P)
    assert len(towers) == count
    for own, attention in zip(towers, attentions, strict=True):
        paid, received = attention[:, 0, 1:].mean(0), attention[:, 1:, 1:].mean((0, 1))
        assert torch.allclose(own.published, paid, atol=1e-6)
        assert torch.allclose(own.attention, paid if trained else received, atol=1e-6)
        assert own.keys.shape == (len(own.attention), tower.config.hidden_size)
    assert sum(len(own.attention) for own in towers) == len(features.pooler_output[0])
    assert not any(layer.self_attn._forward_pre_hooks for layer in tower.encoder.layers)


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("family", ["llava_next", "llava_onevision", "paligemma"])
def test_views_without_a_kept_class_token_have_one_attention_a_token(family, count, tmp_path):
    """Tokens carry the attention of the patches that their features come from: the features' own packing shows it."""
    build(family, tmp_path)
    adapter = load(tmp_path, attn="eager")
    inputs = adapter.prepare(IMAGES[:count], "what is left?")
    with adapter.record_tower() as watched:
        features = adapter.encode(inputs).pooler_output[0]
    towers, read = adapter.tower_attention(watched, inputs), watched.read()
    assert [len(own.attention) for own in towers] == [adapter.layout(each.size, count).count for each in IMAGES[:count]]
    assert sum(len(own.attention) for own in towers) == len(features)
    own = torch.cat([each.attention for each in towers])
    patches = own > 0
    assert torch.equal(patches, torch.cat([each.keys for each in towers]).any(1)), "newlines have neither"
    rows = adapter.model.model.vision_tower
    assert read.attention.shape[1] == (rows.config.image_size // rows.config.patch_size) ** 2
    first = read.attention.shape[1]
    assert torch.equal(own[:first], read.attention[0]), "the overview comes first, or is all"
    assert torch.allclose(read.attention.sum(1), torch.ones(len(read.attention)), atol=1e-5) or family == "llava_next"


@pytest.mark.parametrize("name", sorted(set(FAMILIES) - {"llava", "llava_next", "llava_onevision", "paligemma"}))
def test_families_that_merge_patches_say_so(name, tmp_path):
    build(name, tmp_path)
    with pytest.raises(ModelError, match="merges several patches into each visual token"):
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
