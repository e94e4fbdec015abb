"""Pruning inside the LLM equals the masking oracle, restores everything it touches, and refuses what it cannot do
exactly.
"""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from transformers import DynamicCache, MistralConfig

from crop_core.models.decoder import DecoderStack
from crop_core.prune import Decision, LayerPruning, PruneContext, PruneError, VisualTokens
from crop_core.prune.fastv import FastvPruner
from crop_core.prune.ilp import IlpPruner, best
from crop_core.records.config import ConfigError
from crop_core.records.methods import METHODS, load_class
from tests.support.exactness import (
    BATCHES,
    EXACT,
    NoWaiting,
    RandomPruner,
    assert_equals_oracle,
    hidden_by,
    ilp,
    prepared,
    stack_of,
    visual_of,
)
from tests.support.oracle import Masked, difference, run
from tests.support.tiny_models import VOCABULARY, tiny_config, tiny_inputs, tiny_llava


@pytest.fixture(scope="module", params=["sdpa", "eager"])
def model(request):
    return tiny_llava(request.param)


@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("cuts", [((1, 9), (3, 2)), ((2, 1),), ((1, 15), (2, 8), (3, 7))])
def test_ilp_equals_masking_at_prefill_and_every_decode_step(model, batch, cuts):
    inputs, visual = prepared(model, batch)
    pruned, pruning = assert_equals_oracle(model, inputs, visual, ilp(visual, cuts))
    assert [(step.layer, len(step.kept)) for step in pruning.steps[-1]] == list(cuts)
    lengths = [layer.keys.shape[2] for layer in pruned.past_key_values.layers]
    assert len(set(lengths)) == 1 + len(cuts), "the cache of pruned layers is shorter"
    assert pruning.scoring_s > 0


@pytest.mark.parametrize("counts", [{1: (12, 5), 3: (4, 5)}, {1: (3, 16)}, {2: (16, 1), 3: (2, 1)}])
def test_ragged_counts_equal_masking(model, counts):
    inputs, visual = prepared(model, "padded")
    assert_equals_oracle(model, inputs, visual, RandomPruner(counts))


def test_ragged_counts_without_padding_equal_masking(model):
    inputs = tiny_inputs(model, before=(3, 3), after=(5, 5))
    assert_equals_oracle(model, inputs, inputs.pop("visual"), RandomPruner({1: (12, 5), 2: (1, 4)}))


@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("cuts", [((1, 9), (3, 2)), ((2, 1),), ((1, 15), (2, 8), (3, 7))])
def test_evicting_equals_masking_in_all_layers_once_the_prompt_is_read(model, batch, cuts):
    inputs, visual = prepared(model, batch)
    pruned, _ = assert_equals_oracle(model, inputs, visual, ilp(visual, cuts), evict=True)
    lengths = {layer.keys.shape[2] for layer in pruned.past_key_values.layers}
    assert lengths == {visual.shape[1] - 16 + cuts[-1][1] + 3}, "every layer holds what the last one does, and 3 steps"
    with LayerPruning(stack_of(model), ilp(visual, cuts), visual):
        kept = run(model, inputs)
    assert difference(kept, pruned) > 1e-3, "the tokens that were left in the early layers matter"
    assert float((kept.logits[0] - pruned.logits[0]).abs().max()) == 0, "but not to the first token"


@pytest.mark.parametrize("counts", [{1: (12, 5), 3: (4, 5)}, {1: (3, 16)}, {2: (16, 1), 3: (2, 1)}])
def test_evicting_ragged_counts_equals_masking(model, counts):
    inputs, visual = prepared(model, "padded")
    assert_equals_oracle(model, inputs, visual, RandomPruner(counts), evict=True)


@pytest.mark.parametrize("evict", [False, True])
@pytest.mark.parametrize("batch", BATCHES)
def test_several_tokens_in_one_decode_step_equal_masking(model, batch, evict):
    inputs, visual = prepared(model, batch)
    new = torch.randint(5, VOCABULARY, (len(visual), 3), generator=torch.Generator().manual_seed(3))
    more = {"input_ids": new, "attention_mask": torch.cat([inputs["attention_mask"], torch.ones_like(new)], 1)}
    more["position_ids"] = (more["attention_mask"].cumsum(1) - 1)[:, -3:]

    @torch.no_grad()
    def logits():
        place = (inputs["attention_mask"].cumsum(1) - 1).clamp(min=0)
        cache = model(**inputs, position_ids=place).past_key_values
        return model(**more, past_key_values=cache).logits

    with LayerPruning(stack_of(model), RandomPruner({1: (6, 3)[: len(visual)]}), visual, evict) as pruning:
        pruned = logits()
    with Masked(model, hidden_by(pruning, visual), hidden_by(pruning, visual)[1] if evict else None):
        masked = logits()
    assert float((pruned - masked).abs().max()) <= EXACT
    assert float((pruned - logits()).abs().max()) > 0.1


@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("cut", [(2, 5), (1, 9), (3, 1)])
def test_fastv_equals_masking_at_prefill_and_every_decode_step(model, batch, cut):
    inputs, visual = prepared(model, batch)
    no_region = [visual_of([False] * 16)] * len(visual)
    _, pruning = assert_equals_oracle(model, inputs, visual, FastvPruner((cut,), no_region))
    assert [[(step.layer, len(step.kept)) for step in steps] for steps in pruning.steps] == [[cut]] * len(visual)


def test_fastv_keeps_what_the_last_text_token_looks_at_in_the_layer_before():
    model = tiny_llava("eager")
    inputs, visual = prepared(model, "padded")
    with torch.no_grad():
        place = (inputs["attention_mask"].cumsum(1) - 1).clamp(min=0)
        attention = model(**inputs, position_ids=place, output_attentions=True).attentions[1]  # layer 1: (B, H, P, P)
    with LayerPruning(stack_of(model), FastvPruner(((2, 5),), [visual_of([False] * 16)] * 2), visual) as pruning:
        run(model, inputs, steps=1)
    for sample, (step,) in enumerate(pruning.steps):
        looked_at = attention[sample, :, -1].mean(0)[visual[sample]]
        assert step.kept.tolist() == sorted(looked_at.topk(5).indices.tolist())


def test_fastv_by_hand():
    """Six tokens of which token 1 is gone: 4 is looked at most, 0 and 5 alike, and the first of the two stays."""
    scored_rows = []

    def attention(rows):
        scored_rows.append(rows)
        return [torch.tensor([0.2, torch.nan, 0.1, 0.15, 0.3, 0.2])]

    pruner = FastvPruner(((2, 2),), [visual_of([False, False, True, False, False, False])])
    (decision,) = pruner.decide(PruneContext(2, [torch.tensor([0, 2, 3, 4, 5])], [6], attention))
    assert (decision.kept.tolist(), scored_rows) == ([0, 4], [1])


def test_nothing_to_prune_is_plain_generate(model):
    inputs, visual = prepared(model, "padded")
    plain = run(model, inputs)
    for pruner in (IlpPruner((), [visual_of([True] * 16)] * 2), ilp(visual, ((1, 16), (2, 99)))):
        with LayerPruning(stack_of(model), pruner, visual):
            assert difference(plain, run(model, inputs)) == 0


def test_one_object_serves_several_requests_and_two_runs_agree(model):
    inputs, visual = prepared(model, "one")
    with LayerPruning(stack_of(model), ilp(visual), visual) as pruning:
        first, kept = run(model, inputs), [step.kept.tolist() for step in pruning.steps[0]]
        second = run(model, inputs)
    assert difference(first, second) == 0
    assert kept == [step.kept.tolist() for step in pruning.steps[0]]


def test_scores_are_the_rows_of_eager_attention():
    model = tiny_llava("eager")
    inputs, visual = prepared(model, "padded")
    with torch.no_grad():
        place = (inputs["attention_mask"].cumsum(1) - 1).clamp(min=0)
        attention = model(**inputs, position_ids=place, output_attentions=True).attentions[0]  # layer 0: (B, H, P, P)
    with LayerPruning(stack_of(model), ilp(visual, ((1, 9),)), visual) as pruning:
        run(model, inputs, steps=1)
    for sample, (step,) in enumerate(pruning.steps):
        wanted = attention[sample, :, -4:].mean(dim=(0, 1))[visual[sample]].numpy()
        assert np.allclose(step.scores, wanted, atol=1e-6)
        assert np.ptp(wanted) > 1e-3


def test_later_scores_are_missing_for_tokens_that_are_gone(model):
    inputs, visual = prepared(model, "padded")
    with LayerPruning(stack_of(model), ilp(visual), visual) as pruning:
        run(model, inputs, steps=1)
    for first, second in pruning.steps:
        assert np.isfinite(first.scores).all()
        assert np.flatnonzero(np.isfinite(second.scores)).tolist() == first.kept.tolist()


def test_best_takes_the_region_first_then_attention():
    rng = np.random.default_rng(0)
    for _ in range(200):
        total = int(rng.integers(1, 30))
        alive = np.flatnonzero(rng.random(total) < 0.8)
        if not len(alive):
            continue
        region, scores = rng.random(total) < 0.4, rng.integers(0, 5, total).astype(float)
        count = int(rng.integers(0, total + 2))
        kept = best(*map(torch.from_numpy, (alive, scores)), visual_of(region), count).numpy()
        gone = np.setdiff1d(alive, kept)
        assert len(kept) == min(max(1, count), len(alive))
        assert (np.diff(kept) > 0).all() and np.isin(kept, alive).all()
        if region[gone].any():
            assert region[kept].all(), "a region token goes only when no other is left"
        for kind in (True, False):
            staying, going = kept[region[kept] == kind], gone[region[gone] == kind]
            if len(staying) and len(going):
                assert scores[staying].min() >= scores[going].max()


def test_equal_scores_keep_the_first_tokens():
    assert best(torch.arange(6), torch.zeros(6), visual_of([False] * 6), 3).tolist() == [0, 1, 2]


def test_every_image_keeps_a_token_its_best_one():
    """Three images of which the last is looked at least, and whose region lies in the first."""
    image = torch.tensor([0, 0, 1, 1, 1, 2, 2])
    tokens = VisualTokens(torch.tensor([True, True, False, False, False, False, False]), image, 3)
    scores = torch.tensor([0.1, 0.2, 0.5, 0.9, 0.6, 0.02, 0.01])
    assert best(torch.arange(7), scores, tokens, 4).tolist() == [0, 1, 3, 5]
    assert best(torch.arange(7), scores, tokens, 4, by_region=False).tolist() == [1, 3, 4, 5]
    assert best(torch.tensor([0, 2, 4, 6]), scores, tokens, 1).tolist() == [0, 4, 6], "never fewer than images"


@pytest.mark.parametrize("evict", [False, True])
@pytest.mark.parametrize("batch", BATCHES)
def test_nothing_waits_for_the_device_while_the_model_runs(model, batch, evict, monkeypatch):
    inputs, visual = prepared(model, batch)
    images = torch.arange(16) // 8
    tokens = [VisualTokens(torch.arange(16) % 5 == 0, images, 2)] * len(visual)
    pruning = LayerPruning(stack_of(model), IlpPruner(((1, 9), (3, 2)), tokens), visual, evict)
    inside = pruning._at

    def watched(*args):
        with NoWaiting():
            return inside(*args)

    monkeypatch.setattr(pruning, "_at", watched)
    with pruning:
        run(model, inputs, steps=3)
    assert len(pruning.steps[0]) == 2


def hook_counts(model):
    return [len(layer._forward_pre_hooks) for layer in model.model.language_model.layers]


def test_hooks_are_there_inside_and_gone_afterwards(model):
    inputs, visual = prepared(model, "one")
    plain = run(model, inputs)
    before = set(vars(model.model.language_model.layers[0]))
    assert hook_counts(model) == [0] * 4
    with LayerPruning(stack_of(model), ilp(visual, ((2, 5),)), visual):
        assert hook_counts(model) == [1, 1, 1, 1]
        run(model, inputs)
    assert hook_counts(model) == [0] * 4
    assert set(vars(model.model.language_model.layers[0])) == before
    assert difference(plain, run(model, inputs)) == 0


def test_hooks_are_gone_after_an_error_in_the_pruner_and_in_the_body(model):
    inputs, visual = prepared(model, "one")
    plain = run(model, inputs)

    class Broken(RandomPruner):
        def decide(self, context):
            raise RuntimeError("broken pruner")

    with pytest.raises(RuntimeError, match="broken pruner"), LayerPruning(stack_of(model), Broken({1: (3,)}), visual):
        run(model, inputs)
    with pytest.raises(KeyError), LayerPruning(stack_of(model), ilp(visual), visual):
        raise KeyError
    assert hook_counts(model) == [0] * 4
    assert difference(plain, run(model, inputs)) == 0


def test_a_pruner_that_revives_a_token_is_refused(model):
    inputs, visual = prepared(model, "one")

    class Reviving(RandomPruner):
        def decide(self, context):
            return [Decision(torch.tensor([context.layer]))]

    with LayerPruning(stack_of(model), Reviving({1: (1,), 2: (1,)}), visual) as pruning:
        run(model, inputs)
    with pytest.raises(PruneError, match="already gone"):
        pruning.steps  # noqa: B018


def test_region_masks_of_another_length_are_refused(model):
    inputs, visual = prepared(model, "one")
    pruner = IlpPruner(((1, 4),), [visual_of([True] * 15)])
    with LayerPruning(stack_of(model), pruner, visual), pytest.raises(PruneError, match=r"15.*16"):
        run(model, inputs)


@pytest.mark.parametrize("layers", [(0,), (4,), (-1,)])
def test_layers_that_cannot_be_cut_are_refused_with_the_range(model, layers):
    _, visual = prepared(model, "one")
    with pytest.raises(PruneError, match="layers 1 to 3"):
        LayerPruning(stack_of(model), RandomPruner(dict.fromkeys(layers, (3,))), visual)


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"cache_implementation": "static"}, "not StaticCache"),
        ({"use_cache": False}, "not no cache"),
        ({"prefill_chunk_size": 8}, "chunked prefill"),
        ({"num_beams": 2}, "repeated prompts"),
    ],
)
def test_ways_to_generate_that_cannot_be_exact_are_refused(model, how, message):
    inputs, visual = prepared(model, "one")
    with LayerPruning(stack_of(model), ilp(visual), visual), pytest.raises(PruneError, match=message):
        model.generate(**inputs, max_new_tokens=3, do_sample=False, **how)
    assert hook_counts(model) == [0] * 4


def test_a_cache_filled_before_the_hooks_is_refused(model):
    inputs, visual = prepared(model, "one")
    with torch.no_grad():
        cache = model(**inputs).past_key_values
        with LayerPruning(stack_of(model), ilp(visual), visual), pytest.raises(PruneError, match="empty cache"):
            model(input_ids=torch.tensor([[7]]), past_key_values=cache)


def test_an_offloaded_cache_is_refused(model):
    _, visual = prepared(model, "one")
    pruning = LayerPruning(stack_of(model), ilp(visual), visual)
    cache = DynamicCache(config=model.config.text_config)
    cache.offloading = True
    with pytest.raises(PruneError, match="plain DynamicCache"):
        pruning._start(torch.zeros(*visual.shape, 32), cache)


def windowed(window):
    text = MistralConfig(
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=2,
        vocab_size=VOCABULARY,
        sliding_window=window,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=0,
    )
    return tiny_llava(config=tiny_config(text=text))


@pytest.mark.parametrize("evict", [False, True])
def test_a_sequence_that_reaches_the_sliding_window_is_refused_when_it_does(evict):
    model = windowed(28)
    inputs, visual = prepared(model, "one")  # 24 tokens: the fourth decode step reaches 28
    with LayerPruning(stack_of(model), ilp(visual), visual, evict):
        run(model, inputs, steps=3)
        with pytest.raises(PruneError, match="28 tokens reaches the model's sliding window of 28"):
            run(model, inputs, steps=6)


@pytest.mark.parametrize("evict", [False, True])
def test_a_window_that_is_not_reached_changes_nothing(evict):
    model = windowed(64)
    inputs, visual = prepared(model, "padded")
    assert_equals_oracle(model, inputs, visual, ilp(visual), evict)


def test_attention_kinds_that_begin_late_can_be_cut_before_their_first_layer():
    """Exactness is tested on Gemma 3: tests/core/models/test_families.py and test_published_budgets.py."""
    layers = [SimpleNamespace(self_attn=tiny_llava().model.language_model.layers[0].self_attn)] * 12
    config = SimpleNamespace(layer_types=(["sliding_attention"] * 5 + ["full_attention"]) * 2, sliding_window=512)
    stack = DecoderStack.of(SimpleNamespace(config=config, layers=layers))
    assert (stack.first_prunable, stack.window) == (1, 512)


def test_attention_kinds_that_were_not_verified_are_refused(model, monkeypatch):
    _, visual = prepared(model, "one")
    stack = stack_of(model)
    monkeypatch.setattr(stack.config, "_attn_implementation_internal", "flex_attention")
    with (
        pytest.raises(PruneError, match="sdpa, eager, flash_attention_2, not flex_attention"),
        LayerPruning(stack, ilp(visual), visual),
    ):
        pass


def test_a_prompt_without_text_after_the_image_is_refused(model):
    inputs = tiny_inputs(model, before=(3,), after=(0,))
    visual = inputs.pop("visual")
    with LayerPruning(stack_of(model), ilp(visual), visual), pytest.raises(PruneError, match="ends with the image"):
        run(model, inputs)


def test_one_object_cannot_be_entered_twice(model):
    _, visual = prepared(model, "one")
    with LayerPruning(stack_of(model), ilp(visual), visual) as pruning:
        with pytest.raises(PruneError, match="already in use"):
            pruning.__enter__()
        assert hook_counts(model) == [1] * 4


def test_a_batch_with_a_prompt_without_an_image_is_refused(model):
    _, visual = prepared(model, "padded")
    visual[1] = False
    with pytest.raises(PruneError, match="at least one visual token"):
        LayerPruning(stack_of(model), RandomPruner({1: (1, 1)}), visual)


def test_the_table_names_its_pruners():
    assert isinstance(load_class(METHODS["ilp"].pruner)(((1, 3),), [visual_of([True] * 4)], 2), IlpPruner)
    assert isinstance(load_class(METHODS["fastv"].pruner)(((1, 3),), [visual_of([True] * 4)], 2), FastvPruner)
    with pytest.raises(ConfigError, match=r"There is no class 'crop_core.prune.magic:Magic'"):
        load_class("crop_core.prune.magic:Magic")
