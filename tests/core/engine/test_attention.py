"""Where the model looked, against transformers' own attention of every family, as a baseline and pruned."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from crop_core.engine.engine import CropEngine
from crop_core.records.attention import MAX_STEPS, Attention, AttentionError
from crop_core.records.config import Budget, CropConfig, IlpConfig
from crop_core.records.region import Region
from crop_core.records.request import EngineRequest
from tests.support.families import FAMILIES, VARIANTS, build, sample_image

QUESTION = "what is left of the dog?"
SIZE = (200, 120)
REGION = Region(1, 1, 5, 5, *SIZE, "drawn")
CLOSE = 1.5e-3  # of the largest attention of a row: half a level, and rounding


@pytest.fixture(params=[*FAMILIES, *VARIANTS])
def engine(request, tmp_path):
    build(request.param, tmp_path)
    return CropEngine.from_pretrained(tmp_path, localizer=None, attn="eager", warm_up=False)


def theirs(engine, monkeypatch, ask):
    """What transformers returns by output_attentions, and what `ask` does: per answer token and layer (H, K)."""
    model, seen = engine.adapter.model, []
    generate = model.generate

    def with_attentions(**arguments):
        out = generate(**arguments, output_attentions=True)
        seen.append([[layer[0, :, -1] for layer in step] for step in out.attentions])
        return out

    monkeypatch.setattr(model, "generate", with_attentions)
    result = ask()
    return seen[-1], result


def assert_same(found: Attention, steps, columns):
    """columns: per layer, and for the prefill or a later step, the keys (K,) of the visual tokens that are alive there,
    and their numbers.
    """
    assert len(found.words) == min(len(steps), MAX_STEPS)
    for step, layers in enumerate(steps[:MAX_STEPS]):
        for number, weights in enumerate(layers):
            keys, tokens = columns(number, step)
            expected = np.zeros(found.layers[number].levels.shape[1])
            expected[tokens] = weights.float().mean(0)[keys].numpy()
            shares = found.layers[number].shares(step)
            assert np.abs(shares - expected).max() <= CLOSE * expected.max(), (step, number)
            assert found.layers[number].on_image[step] == pytest.approx(expected.sum(), abs=1e-5)


def test_the_baselines_attention_is_that_of_transformers(engine, monkeypatch):
    image = sample_image(SIZE)
    ask = lambda: engine.attention(image, QUESTION, method="none", budget=None, max_new_tokens=3)  # noqa: E731
    steps, (found,) = theirs(engine, monkeypatch, ask)
    visual = engine.adapter.prepare(image, QUESTION).visual[0].nonzero()[:, 0]
    assert found.is_baseline and len(found.layers) == engine.adapter.layers
    assert_same(found, steps, lambda number, step: (visual, np.arange(len(visual))))
    assert found.seconds > 0
    rows = np.stack([found.layers[-1].shares(0), found.layers[0].shares(0)])
    assert np.abs(rows[0] - rows[1]).max() > 1e-3, "layers look at different tokens"


@pytest.mark.parametrize("evict", [False, True])
def test_a_pruned_run_has_that_of_the_tokens_it_kept(engine, monkeypatch, evict):
    image, first = sample_image(SIZE), engine.adapter.stack.first_prunable
    cuts = ((first, 0.5), (3, 0.2)) if first < 3 else ((first, 0.3),)
    config = CropConfig("ilp", None, ilp=IlpConfig(cuts, evict=evict), max_new_tokens=3)
    steps, (found,) = theirs(engine, monkeypatch, lambda: engine.attention(image, QUESTION, config, REGION))
    monkeypatch.undo()
    trace = engine.compare(image, QUESTION, config, REGION, memory=False, repeats=1).crop.trace
    found.check_fits(trace)
    assert trace.final_tokens < trace.input_tokens
    prepared = engine.adapter.prepare(image, QUESTION)
    visual = prepared.visual[0].nonzero()[:, 0].numpy()

    def columns(number, step):
        at, alive = (trace.layers - 1 if evict and step else number), np.arange(trace.input_tokens)
        for cut in trace.steps:
            alive = cut.kept if cut.layer <= at else alive
        held = np.sort([*set(range(prepared.visual.shape[1])) - set(visual.tolist()), *visual[alive]])
        assert steps[step][number].shape[-1] == len(held) + step
        return torch.from_numpy(np.searchsorted(held, visual[alive])), alive

    assert_same(found, steps, columns)


def small(tmp_path):
    build("llava", tmp_path)
    return CropEngine.from_pretrained(tmp_path, localizer=None, warm_up=False)


def test_pooled_tokens_share_theirs_and_dropped_ones_have_none(tmp_path):
    engine, image = small(tmp_path), sample_image(SIZE)
    config = CropConfig("crop", Budget(share=0.4), max_new_tokens=2, repeats=1)
    (found,) = engine.attention(image, QUESTION, config, REGION)
    trace = engine.compare(image, QUESTION, config, REGION, memory=False).crop.trace
    spread = found.on_tokens(0, 0, trace)
    assert spread.shape == (trace.visual_tokens,) and trace.input_tokens < trace.visual_tokens
    assert spread.sum() == pytest.approx(found.layers[0].on_image[0], rel=0.02)
    shares = found.layers[0].shares(0)
    for token in range(trace.input_tokens):
        members = np.flatnonzero(trace.group == token)
        assert spread[members] == pytest.approx(np.full(len(members), shares[token] / len(members)))
    assert not found.layers[-1].levels[0][~np.isin(np.arange(trace.input_tokens), trace.steps[-1].kept)].any()


def test_it_leaves_no_hook_and_changes_no_answer(tmp_path):
    engine, image = small(tmp_path), sample_image(SIZE)
    before = engine.answer(image, QUESTION, memory=False)
    engine.attention(image, QUESTION, method="none", budget=None)
    assert engine.answer(image, QUESTION, memory=False).text == before.text
    assert not any(layer._forward_pre_hooks for layer in engine.adapter.stack.layers)


def test_it_comes_as_a_stream_too_and_is_json_and_back(tmp_path):
    engine, image = small(tmp_path), sample_image(SIZE)
    config = CropConfig("none", None, max_new_tokens=12)
    (found,) = engine.stream(EngineRequest("attention", (image,), QUESTION, config))
    assert len(found.words) <= MAX_STEPS
    again = Attention.from_json(found.to_json())
    assert again.words == found.words and (again.layers[1].levels == found.layers[1].levels).all()
    trace = engine.compare(image, QUESTION, region=REGION, memory=False).crop.trace
    with pytest.raises(AttentionError, match="the run 2 layers"):
        again.check_fits(replace(trace, layers=2, steps=[]))
