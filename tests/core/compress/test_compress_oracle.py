"""Compression before the LLM: identity is plain generate, dropping is masking everywhere, pooled tokens lie where they
should.
"""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from crop_core.compress.pooling import PoolingCompressor
from crop_core.compress.protocol import CompressionInput
from crop_core.compress.random_subset import RandomCompressor
from crop_core.models.decoder import DecoderStack
from crop_core.prune import LayerPruning, VisualTokens
from crop_core.prune.ilp import IlpPruner
from crop_core.records.compression_plan import CompressionError, CompressionPlan
from crop_core.records.config import ConfigError, CropConfig
from crop_core.records.methods import METHODS, load_class
from tests.support.exactness import BATCHES, EXACT, compressed, from_masking, labelled, plain
from tests.support.oracle import Masked, difference, new_tokens, run
from tests.support.tiny_models import tiny_inputs, tiny_llava

TOKENS = 16


@pytest.fixture(scope="module", params=["sdpa", "eager"])
def model(request):
    return tiny_llava(request.param)


def random_subset(count, seed=0, total=TOKENS):
    """The method "random" on an image of `total` tokens in a row; it reads neither their places nor a region."""
    return RandomCompressor(seed).plan(CompressionInput(SimpleNamespace(row=np.zeros(total)), None), count)


def random_plan(seed, groups, dropped=0):
    """TOKENS tokens in `groups` groups that are scattered over the image, `dropped` of them dropped."""
    rng = np.random.default_rng(seed)
    label = np.concatenate(
        [np.full(dropped, -1), np.arange(groups), rng.integers(0, groups, TOKENS - groups - dropped)]
    )
    return labelled(*rng.permutation(label))


@pytest.mark.parametrize("batch", BATCHES)
def test_the_identity_plan_is_plain_generate_exactly(model, batch):
    inputs = tiny_inputs(model, **BATCHES[batch])
    packed = compressed(model, inputs, [CompressionPlan.identity(TOKENS)] * len(inputs["visual"]))
    baseline = run(model, plain(inputs))
    assert difference(baseline, run(model, packed.kwargs)) == 0
    assert difference(baseline, run(model, packed.kwargs)) == 0, "the arguments can be made again"
    assert (packed.visual == inputs["visual"]).all()


@pytest.mark.parametrize("batch", BATCHES)
def test_dropping_is_masking_everywhere_with_original_positions(model, batch):
    inputs = tiny_inputs(model, **BATCHES[batch])
    plans = [random_plan(sample, 9 - 4 * sample, 7 + 4 * sample) for sample in range(len(inputs["visual"]))]
    packed = compressed(model, inputs, plans)
    ours = run(model, packed.kwargs)
    hidden = inputs["visual"].clone()
    for sample, plan in enumerate(plans):
        assert plan.count == (plan.group >= 0).sum(), "dropped only, nothing pooled"
        hidden[sample, inputs["visual"][sample].nonzero()[:, 0][torch.from_numpy(plan.group >= 0)]] = False
    with Masked(model, {0: hidden}):
        masked = run(model, plain(inputs), forced=new_tokens(ours, packed.kwargs))
    assert difference(ours, masked) <= EXACT
    assert float((run(model, plain(inputs)).logits[0] - ours.logits[0]).abs().max()) > 0.1, "the check has no power"
    assert packed.position_ids.dtype == torch.long


def test_random_keeps_as_many_as_told_the_same_each_time_and_each_token_as_often():
    kept = [np.flatnonzero(random_subset(6, seed).group >= 0) for seed in range(400)]
    assert {len(tokens) for tokens in kept} == {6}
    assert (random_subset(6).group == random_subset(6).group).all()
    often = np.bincount(np.concatenate(kept), minlength=TOKENS)  # 150 times on average, standard deviation 10
    assert (np.abs(often - 150) < 40).all()


def test_random_by_hand():
    """Seed 0 orders five tokens 2, 4, 3, 0, 1: the first three of them stay, in the order of their places."""
    assert np.random.default_rng(0).permutation(5).tolist() == [2, 4, 3, 0, 1]
    plan = random_subset(3, total=5)
    assert plan.group.tolist() == [-1, -1, 0, 1, 2]
    assert plan.ring.tolist() == [0] * 5
    assert random_subset(1, total=5).group.tolist() == [-1, -1, 0, -1, -1]
    assert random_subset(None, total=7).count == 2, "a third without a budget"


@pytest.mark.parametrize("count", [0, TOKENS + 1])
def test_random_refuses_a_count_that_cannot_be(count):
    with pytest.raises(CompressionError, match=f"{count} of 16 visual tokens cannot be kept; give 1 to 16"):
        random_subset(count)


@pytest.mark.parametrize("count", [1, 5, 12])
def test_random_is_masking_everywhere(model, count):
    assert from_masking(model, random_subset(count)) <= EXACT


def by_hand(model, inputs, plans):
    """Embeddings and positions put together without any of the code under test, for batch 1."""
    plan, ids = plans[0], inputs["input_ids"][0]
    with torch.no_grad():
        features = model.model.get_image_features(pixel_values=inputs["pixel_values"], return_dict=True).pooler_output[
            0
        ]
        words = model.get_input_embeddings()(ids)
    columns = inputs["visual"][0].nonzero()[:, 0]
    before, after = int(columns[0]), int(columns[-1]) + 1
    members = [np.flatnonzero(plan.group == number) for number in range(plan.count)]
    pooled = torch.stack([features[group].mean(0) for group in members])
    places = [float(before + group.mean()) for group in members]
    positions = [*range(before), *places, *range(after, len(ids))]
    embeds = torch.cat([words[:before], pooled, words[after:]])[None]
    return embeds, torch.tensor([positions])


def test_pooled_tokens_are_means_at_mean_positions_and_decoding_goes_on_from_the_full_length(model):
    inputs = tiny_inputs(model)
    plans = [random_plan(5, 6, 1)]
    packed = compressed(model, inputs, plans)
    ours = run(model, packed.kwargs)
    embeds, positions = by_hand(model, inputs, plans)
    assert packed.position_ids.tolist() == positions.tolist()
    assert packed.position_ids.dtype == torch.float32
    length, cache = inputs["input_ids"].shape[1], None
    for step, logits in enumerate(ours.logits):
        with torch.no_grad():
            out = model.model.language_model(
                inputs_embeds=embeds, position_ids=positions, past_key_values=cache, use_cache=True
            )
            cache = out.past_key_values
            wanted = model.lm_head(out.last_hidden_state[:, -1])
        assert float((wanted - logits).abs().max()) <= EXACT
        token = ours.sequences[:, packed.input_ids.shape[1] + step]
        embeds, positions = model.get_input_embeddings()(token)[:, None], torch.tensor([[length + step]])


def test_a_padded_batch_of_pooled_prompts_equals_each_alone(model):
    inputs = tiny_inputs(model, **BATCHES["padded"])
    plans = [random_plan(1, 5, 2), random_plan(2, 11)]
    together = run(model, compressed(model, inputs, plans).kwargs)
    for sample, plan in enumerate(plans):
        real = inputs["attention_mask"][sample].bool()
        alone = {name: inputs[name][sample : sample + 1, real] for name in ("input_ids", "attention_mask", "visual")}
        alone["pixel_values"] = inputs["pixel_values"][sample : sample + 1]
        single = run(model, compressed(model, alone, [plan]).kwargs)
        for one, other in zip(single.logits, together.logits, strict=True):
            assert float((one[0] - other[sample]).abs().max()) <= EXACT


@pytest.mark.parametrize("batch", BATCHES)
def test_pooling_and_pruning_together_equal_masking(model, batch):
    inputs = tiny_inputs(model, **BATCHES[batch])
    plans = [random_plan(3 + sample, 10 - 3 * sample) for sample in range(len(inputs["visual"]))]
    packed = compressed(model, inputs, plans)
    tokens = [VisualTokens.of_one_image(torch.arange(plan.count) % 3 == 0) for plan in plans]
    pruner = IlpPruner(((1, 8), (3, 2)), tokens)
    with LayerPruning(DecoderStack.of(model.model.language_model), pruner, packed.visual) as pruning:
        ours = run(model, packed.kwargs)
    hidden = {}
    for number, layer in enumerate((1, 3)):
        hidden[layer] = packed.visual.clone()
        for sample, steps in enumerate(pruning.steps):
            columns = packed.visual[sample].nonzero()[:, 0]
            hidden[layer][sample, columns[torch.from_numpy(steps[number].kept)]] = False
    with Masked(model, hidden):
        masked = run(model, packed.kwargs, forced=new_tokens(ours, packed.kwargs))
    assert difference(ours, masked) <= EXACT
    assert float((run(model, packed.kwargs).logits[0] - ours.logits[0]).abs().max()) > 0.1


def test_a_plan_for_another_image_is_refused(model):
    inputs = tiny_inputs(model)
    with pytest.raises(CompressionError, match=r"15 visual tokens.*16 placeholders"):
        compressed(model, inputs, [CompressionPlan.identity(15)])


def test_the_table_names_its_compressors():
    assert isinstance(load_class(METHODS["plc"].compressor).from_config(CropConfig()), PoolingCompressor)
    assert load_class(METHODS["random"].compressor).from_config(CropConfig(seed=3)) == RandomCompressor(seed=3)
    for path in ("crop_core.compress.pooling:Magic", "crop_core.compress.magic:Magic", "", "magic"):
        with pytest.raises(ConfigError, match=r"There is no class .* name one as module:Class"):
            load_class(path)
