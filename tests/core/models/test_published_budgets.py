"""What the real depths of published checkpoints can reach, and Gemma 3 at its real depth and sliding window."""

import json

import pytest
import torch

from crop_core.engine.engine import CropEngine
from crop_core.engine.run import Task
from crop_core.prune import PruneError
from crop_core.prune.schedule import BudgetError, plan_token_budget
from crop_core.prune.sparsevlm import SparseVlmPruner
from crop_core.records.config import PRESETS, CropConfig
from crop_core.records.methods import METHODS, pruning_methods
from crop_core.records.region import Region
from tests.support.families import EXACT, hidden_by, plain, sample_image
from tests.support.oracle import Masked, run
from tests.support.published import CHECKPOINTS, Sizes, build

GEMMA, QUESTION = "gemma-3-4b-it", "What is it?"
INSIDE = [name for name, row in METHODS.items() if row.pruner and not row.compressor]
FIRST = {"qwen3_vl": 3}  # decoder layers that cannot be cut: those of DeepStack


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("name", CHECKPOINTS)
def test_every_preset_is_in_reach_of_every_method_at_the_real_depth(name, preset):
    checkpoint = CHECKPOINTS[name]
    layers, first = checkpoint.config.text_config.num_hidden_layers, FIRST.get(checkpoint.model_type, 1)
    for method in pruning_methods():
        config = CropConfig(method=method, budget=PRESETS[preset])
        assert plan_token_budget(config, [300], layers, first).mean == pytest.approx(300 * PRESETS[preset].share)


def test_what_is_out_of_reach_is_one_sentence_before_anything_runs():
    """A small image of Qwen3-VL: three of its 28 layers hold all of 100 tokens."""
    with pytest.raises(BudgetError, match=r"100 tokens before the first cut, at layer 3 of 28, the least is 11\.6"):
        plan_token_budget(CropConfig(method="fastv", budget=PRESETS["64"]), [100], 28, 3)


@pytest.fixture(scope="module", params=["sdpa", "eager"])
def engine(request, tmp_path_factory):
    """Gemma 3 with all of its decoder layers; eager attention has masks in decode steps too."""
    folder = tmp_path_factory.mktemp("gemma")
    build(GEMMA, folder, Sizes(CHECKPOINTS[GEMMA].config.text_config.num_hidden_layers, 2))
    assert json.loads((folder / "config.json").read_text())["text_config"]["num_hidden_layers"] == 34
    return CropEngine.from_pretrained(folder, "whole", "cpu", attn=request.param, warm_up=False)


@pytest.mark.parametrize("method", INSIDE)
def test_gemma_is_cut_before_its_first_full_attention_and_equals_masking(engine, method, monkeypatch):
    """At 64 of 576 tokens; layers 0 to 4 slide, layer 5 is the first with full attention. Nothing is recycled, which is
    more than masking, and held against it in `test_peers_inside.py`.
    """
    monkeypatch.setattr(SparseVlmPruner, "recycles", False)
    config = CropConfig(method=method, budget=PRESETS["64"], max_new_tokens=4)
    task = Task(engine.adapter, sample_image((400, 300)), QUESTION, config)
    pruned = task.crop(Region(2, 2, 5, 5, 400, 300))
    (trace,) = pruned.traces
    assert trace.mean_tokens <= 256 * PRESETS["64"].share and trace.steps[0].layer < 5
    inputs = task.encode().prepared
    with Masked(engine.adapter.model, hidden_by(trace.steps, inputs.visual)):
        forced = torch.tensor([pruned.generated.ids])
        masked = run(engine.adapter.model, plain(inputs), forced=forced)
    logits = torch.cat(masked.logits)
    assert float((pruned.generated.logits - logits).abs().max()) <= EXACT * float(logits.abs().max())


def test_four_images_reach_the_sliding_window_and_are_refused_before_anything_runs(engine, monkeypatch):
    images, ran, encode = [sample_image((60, 60))] * 4, [], type(engine.adapter).encode
    monkeypatch.setattr(type(engine.adapter), "encode", lambda *given: ran.append(1) or encode(*given))
    for method in INSIDE:
        with pytest.raises(PruneError, match=r"sliding window of 1024.*fewer images"):
            engine.compare(images, QUESTION, CropConfig(method=method, budget=PRESETS["192"]), memory=False)
    assert not ran
    assert engine.answer(images[:3], QUESTION, CropConfig(method="ilp", max_new_tokens=2), memory=False).tokens and ran
