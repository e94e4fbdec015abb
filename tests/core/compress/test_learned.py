"""The learned PLC: its cross-attention by hand and by loops, what it starts as, and what a run leaves behind."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from crop_core.compress.learned import LearnedCompressor
from crop_core.compress.plc_checkpoint import PlcWeights, load_plc
from crop_core.compress.pooling import PoolingCompressor
from crop_core.compress.protocol import CompressionInput
from crop_core.compress.query_resampler import QueryWindows, RegionResampler
from crop_core.engine.engine import CropEngine
from crop_core.engine.run import Task
from crop_core.models import ModelError, load
from crop_core.records.compression_plan import CompressionError, CompressionPlan
from crop_core.records.config import Budget, CropConfig, PlcConfig
from crop_core.records.region import Region
from tests.support import checkpoints
from tests.support.exactness import EXACT, compressed
from tests.support.layouts import grid
from tests.support.learned import add_plc, random_changes, random_queries
from tests.support.oracle import run
from tests.support.tiny_models import tiny_inputs, tiny_llava

IMAGE = Image.effect_noise((200, 120), 90).convert("RGB")
OTHER = Image.effect_noise((90, 160), 90).convert("RGB")
QUESTION = "what is left of the dog?"
REGION, REGION480 = Region(2, 2, 4, 4, 200, 120), Region(2, 3, 4, 4, 480, 480)
WIDTH = 12


def sample_image(layout, region, queries, seed=0):
    torch.manual_seed(seed)
    tokens = torch.randn(len(layout.row), WIDTH)
    return CompressionInput(layout, region, lambda: tokens, queries=lambda: queries)


def test_the_attention_by_hand():
    """Three tokens in a row of a 3 x 1 grid, the first one the region; one query for it, one for the others together.

    Key: the unit token's first number; query: 2 for the side outside, whatever the home says. Unit tokens are sqrt(2)
    times the directions (1, 0), (0, 1), (0.6, 0.8). The outside query scores them 0 and 2 * 0.6 * sqrt(2) = 1.697, so
    its home's shares are 1 : e^1.697 = 0.1549 : 0.8451. Its middle lies 4/3 cells from both, so that the far head
    reads the same shares, of the unit token's second number: sqrt(2) * (0.1549 + 0.8451 * 0.8) = 1.1752, which is
    added to the first number.
    """
    tokens = torch.tensor([[3.0, 0.0], [0.0, 2.0], [0.6, 0.8]])
    layout = SimpleNamespace(
        image_size=(60, 60), boxes=np.array([[0.0, 0, 20, 20], [20, 0, 40, 20], [40, 0, 60, 20]]), row=np.zeros(3)
    )
    plan = CompressionPlan(np.array([0, 1, 1]), np.array([0, 1, 1]))
    homes = QueryWindows.of(plan, layout, anchors=True)
    assert homes.far[1].tolist() == [torch.inf, pytest.approx(4 / 3), pytest.approx(4 / 3)]
    assert (homes.region.tolist(), homes.anchor.tolist()) == ([1, 0], [True, False])
    queries = RegionResampler(2, heads=1, size=1).requires_grad_(False)
    queries.side[0] = 2.0
    queries.key.weight.copy_(torch.tensor([[1.0, 0.0], [1.0, 0.0]]))
    queries.value.weight.copy_(torch.tensor([[0.0, 1.0]]))
    queries.out.weight.copy_(torch.tensor([[1.0], [0.0]]))
    result = queries(tokens, homes)
    own = [0.8451 * 0.6, 0.1549 * 2 + 0.8451 * 0.8]
    assert result[0].tolist() == [3, 0], "the anchor stays as it is"
    assert result[1].tolist() == pytest.approx([own[0] + 1.1752, own[1]], abs=2e-4)


def by_loops(queries, tokens, plan, layout, anchors):
    """One query, one head and one token after the other, in float64 numpy."""
    weight = {name: each.double().numpy() for name, each in queries.named_parameters()}
    tokens, size, heads = tokens.double().numpy(), queries.size, len(weight["steepness"])
    unit = tokens / np.sqrt((tokens**2).mean(1, keepdims=True) + np.finfo("f").eps)
    cell = np.array(layout.image_size) / 8
    centre = (layout.boxes[:, :2] + layout.boxes[:, 2:]) / 2 / cell
    result = []
    for number in range(plan.count):
        home = np.flatnonzero(plan.group == number)
        of_region = np.mean(plan.ring[home] == 0) > 0.5
        if anchors and len(home) == 1 and of_region:
            result.append(tokens[home[0]])
            continue
        query = weight["side"][int(of_region)] + weight["ask.weight"] @ unit[home].mean(0)
        read = []
        for head in range(1 + heads):
            rows = slice(head * size, (head + 1) * size)
            among = home if head == 0 else np.flatnonzero((plan.ring == 0) == of_region)
            score = unit[among] @ weight["key.weight"][rows].T @ query[rows] / np.sqrt(size)
            if head > 0:
                away = np.abs(centre[home].mean(0) - centre[among]).max(1)
                score -= np.exp(weight["steepness"][head - 1]) * np.where(np.isnan(away), 0, away)
            share = np.exp(score - score.max())
            share /= share.sum()
            if head == 0:
                own = share @ tokens[among]
            else:
                values = weight["value.weight"][(head - 1) * size : head * size]
                read.append(share @ unit[among] @ values.T)
        result.append(own + weight["out.weight"] @ np.concatenate(read))
    return np.stack(result)


@pytest.mark.parametrize("anchors", [True, False])
@pytest.mark.parametrize(("layout", "count"), [(grid(6), 20), (grid(6, leading=1), 9), (grid(8, pad=0.25), 40)])
def test_it_is_what_loops_compute(layout, count, anchors):
    queries = random_queries(WIDTH)
    seen = sample_image(layout, REGION480, queries)
    plan = LearnedCompressor(anchors=anchors).plan(seen, count)
    expected = by_loops(queries, seen.features(), plan, layout, anchors)
    assert plan.count == count == len(plan.features[0])
    assert np.abs(plan.features[0].numpy() - expected).max() < 1e-4


def test_a_batch_is_each_image_alone():
    queries, layout = random_queries(WIDTH), grid(6)
    regions = (REGION480, Region(0, 0, 7, 7, 480, 480), Region(5, 5, 5, 5, 480, 480))
    seen = [sample_image(layout, region, queries, seed) for seed, region in enumerate(regions)]
    homes = [LearnedCompressor().homes(each, 10)[1] for each in seen]
    together = queries(torch.stack([each.features() for each in seen]), QueryWindows.stack(homes))
    for one, each, home in zip(together, seen, homes, strict=True):
        assert torch.allclose(one, queries(each.features(), home), atol=1e-5)


@pytest.mark.parametrize("count", [1, 3, 20, 100])
def test_before_training_it_is_pooling(count):
    seen = sample_image(grid(12, leading=1), REGION480, RegionResampler(WIDTH))
    plan, pooled = LearnedCompressor().plan(seen, count), PoolingCompressor().plan(seen, count)
    assert np.array_equal(plan.group, pooled.group) and np.array_equal(plan.ring, pooled.ring)
    means = torch.from_numpy(pooled.weights).float() @ seen.features()
    assert torch.allclose(plan.features[0], means, atol=1e-6)


def test_each_side_reads_its_own_tokens():
    queries, layout = random_queries(WIDTH), grid(6)
    seen = sample_image(layout, REGION480, queries)
    compressor = LearnedCompressor(anchors=False)
    plan = compressor.plan(seen, 15)
    region = np.array([plan.ring[plan.group == number][0] == 0 for number in range(15)])
    tokens = seen.features().clone()
    tokens[torch.from_numpy(plan.ring == 0)] += 1.0
    moved = (
        compressor.plan(CompressionInput(layout, REGION480, lambda: tokens, queries=lambda: queries), 15)
    ).features[0]
    same = (moved == plan.features[0]).all(1).numpy()
    assert 0 < region.sum() < 15 and np.array_equal(same, ~region)


def test_anchors_stay_and_without_them_the_region_has_its_ratio():
    queries, layout = random_queries(WIDTH), grid(12)
    region = Region(2, 2, 5, 5, 480, 480)  # 36 tokens
    seen = sample_image(layout, region, queries)
    inside = np.flatnonzero(region.mask(layout.boxes))
    plan = LearnedCompressor().plan(seen, 50)
    assert torch.equal(plan.features[0][plan.group[inside]], seen.features()[inside])
    bare = LearnedCompressor(PlcConfig(region_ratio=4), anchors=False).plan(seen)
    sizes = np.bincount(bare.group[inside])
    assert sorted(sizes[sizes > 0]) == [2] * 4 + [3] * 4 + [4] * 4, "each quarter of 3 x 3 is halved until it fits"
    full = LearnedCompressor(anchors=False).plan(seen, 144)
    assert full.count == 144
    assert not (full.features[0][full.group[inside]] == seen.features()[inside]).all(1).any(), "no anchor"


@pytest.mark.parametrize("anchors", [True, False])
def test_every_count_is_met_and_others_are_refused(anchors):
    seen = sample_image(grid(6, leading=1), REGION480, random_queries(WIDTH))
    for count in (*range(1, 9), 20, 36, 37):
        plan = LearnedCompressor(anchors=anchors).plan(seen, count)
        assert plan.count == count == len(plan.features[0])
        assert plan.features[0].isfinite().all()
    with pytest.raises(CompressionError, match="give 1 to 37"):
        LearnedCompressor().plan(seen, 38)


def test_half_precision_in_half_precision_out():
    queries, layout = random_queries(WIDTH), grid(6)
    tokens = torch.randn(36, WIDTH).bfloat16()
    plan = LearnedCompressor().plan(CompressionInput(layout, REGION480, lambda: tokens, queries=lambda: queries), 12)
    assert plan.features[0].dtype == torch.bfloat16
    wide = LearnedCompressor().plan(CompressionInput(layout, REGION480, tokens.float, queries=lambda: queries), 12)
    assert torch.equal(plan.features[0], wide.features[0].bfloat16())


def test_what_a_plan_says_enters_the_model_at_the_places_of_the_means():
    model = tiny_llava("sdpa")
    inputs = tiny_inputs(model)
    width = model.config.text_config.hidden_size
    replacement = torch.randn(5, width)
    plain = CompressionPlan.of(np.arange(16) // 4 + (np.arange(16) > 14), np.zeros(16, dtype=np.int64))
    plan = CompressionPlan(plain.group, plain.ring, (replacement[:2], replacement[2:]))
    packed, pooled = (compressed(model, inputs, [each]) for each in (plan, plain))
    assert torch.equal(packed.position_ids, pooled.position_ids)
    words = model.get_input_embeddings()(packed.input_ids)
    embeds = words.detach().masked_scatter(packed.visual[..., None], replacement)
    with torch.no_grad():
        wanted = model.model.language_model(inputs_embeds=embeds, position_ids=packed.position_ids.float())
        wanted = model.lm_head(wanted.last_hidden_state[:, -1])
    assert float((run(model, packed.kwargs).logits[0] - wanted).abs().max()) <= EXACT


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A tiny random model with a random learned PLC."""
    folder = tmp_path_factory.mktemp("trained")
    checkpoints.save(folder)
    add_plc(folder)
    return folder


def weights(adapter):
    return dict(adapter.model.named_parameters())


def task(adapter, method="learned", image=IMAGE, **changes):
    config = CropConfig(method=method, budget=Budget(share=0.3), max_new_tokens=3, **changes)
    return Task(adapter, image, QUESTION, config)


def test_a_run_puts_the_very_same_weights_back(folder, monkeypatch):
    adapter = load(folder)
    before, values = weights(adapter), {name: each.clone() for name, each in weights(adapter).items()}
    own_task = task(adapter)
    baseline = own_task.baseline(REGION).generated
    learned = own_task.crop(REGION).generated
    with pytest.raises(ZeroDivisionError):
        own_task.crop(REGION, on_token=lambda ids: 1 / 0)
    with monkeypatch.context() as patch:
        patch.setattr(own_task, "_generate", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            own_task.crop(REGION)
    after = weights(adapter)
    assert all(after[name] is each for name, each in before.items())
    assert all(torch.equal(after[name], each) for name, each in values.items())
    again = own_task.baseline(REGION).generated
    assert torch.equal(again.logits, baseline.logits)
    assert torch.equal(own_task.crop(REGION).generated.logits, learned.logits)
    assert not torch.allclose(learned.logits[0], task(adapter, "plc").crop(REGION).generated.logits[0], atol=1e-2)


def test_a_run_is_one_of_the_model_with_its_weights_changed(folder):
    """The product is added by hand, in another copy of the model, and what the queries say is handed over by hand."""
    adapter, changed = load(folder), load(folder)
    changes = load_plc(adapter)
    by_name = {linear: name for name, linear in adapter.model.named_modules()}
    for linear, weight in changes.changed:
        changed.model.get_submodule(by_name[linear]).weight.data.copy_(weight)
    own_task = task(adapter)
    ours = own_task.crop(REGION).generated
    plain = task(changed, "plc")
    plans = own_task._plans(
        own_task.config.parts.compressor, own_task._images(own_task.layouts, [REGION], own_task.encode())
    )
    plain._plans = lambda *_: plans
    theirs = plain.crop(REGION).generated
    assert torch.equal(ours.logits, theirs.logits)


def test_training_computes_with_what_is_merged(folder):
    adapter = load(folder)
    layers, changes = adapter.stack.layers, random_changes(adapter.stack.layers, seed=3)
    language, embeds = adapter.language_model, torch.randn(1, 7, adapter.model.config.text_config.hidden_size)
    with torch.no_grad():
        alone = language(inputs_embeds=embeds).last_hidden_state
        with changes.training_on(layers):
            hooked = language(inputs_embeds=embeds).last_hidden_state
        with PlcWeights.of(adapter, random_queries(WIDTH), changes).applied():
            merged = language(inputs_embeds=embeds).last_hidden_state
        assert torch.equal(language(inputs_embeds=embeds).last_hidden_state, alone)
    assert torch.allclose(hooked, merged, atol=1e-4) and not torch.allclose(hooked, alone, atol=1e-2)


def test_joined_with_a_pruner_and_over_several_images(folder):
    engine = CropEngine(load(folder), warm_up=False)
    for method, entering in (("learned", 38), ("queries", 38), ("learned+ilp", 64)):
        config = CropConfig(method=method, budget=Budget(mean_tokens=38), max_new_tokens=2, repeats=1)
        result = engine.compare([IMAGE, OTHER], QUESTION, config, [REGION, Region.whole(*OTHER.size)], memory=False)
        assert result.crop.total("input_tokens") >= entering
        assert 36 <= result.crop.total("mean_tokens") <= 38


def test_what_it_weighs_is_in_its_own_cost_alone(folder):
    engine = CropEngine(load(folder), warm_up=False)
    config = CropConfig(method="learned", budget=Budget(share=0.3), max_new_tokens=2, repeats=1)
    result = engine.compare(IMAGE, QUESTION, config, REGION, memory=False)
    width, heads, size, layers = 32, 2, 3, 4
    queries = 2 * (1 + heads) * size + heads + width * size * (2 * (1 + heads) + 2 * heads)
    projections = layers * (2 * width * width + 2 * width * width // 2)  # two heads of keys for four of queries
    assert result.crop.cost.weights_bytes - result.baseline.cost.weights_bytes == 4 * (queries + projections)


def test_models_without_one_say_so_before_anything_runs(tmp_path, monkeypatch):
    checkpoints.save(tmp_path)
    engine = CropEngine(load(tmp_path), warm_up=False)
    monkeypatch.setattr(engine.adapter.model, "forward", lambda *_, **__: pytest.fail("the model ran"))
    for method in ("learned", "queries", "learned+fastv"):
        config = CropConfig(method=method, budget=Budget(share=0.5))
        for ask in (engine.compare, lambda *given: list(engine.stream(*given))):
            with pytest.raises(ModelError, match=r"no learned PLC \(no plc/ in its folder\); choose another method"):
                ask(IMAGE, QUESTION, config, REGION)


@pytest.mark.parametrize("damage", ["cut", "json", "shape", "rank", "missing"])
def test_one_that_is_damaged_is_one_sentence(tmp_path, damage):
    checkpoints.save(tmp_path, layers=2)
    add_plc(tmp_path)
    config, file = tmp_path / "plc" / "config.json", tmp_path / "plc" / "model.safetensors"
    if damage == "cut":
        file.write_bytes(file.read_bytes()[:-7])
    elif damage == "missing":
        file.unlink()
    else:
        text = {"json": "{", "shape": '{"heads": 2, "size": 5, "rank": 2}', "rank": '{"heads": 2, "size": 3}'}
        config.write_text(text[damage])
    with pytest.raises(ModelError, match="is cut off or does not fit the model; download or train it again"):
        task(load(tmp_path))


class Int8(nn.Linear):
    """Stands for a layer of bitsandbytes."""


def test_weights_that_cannot_be_exchanged_are_refused(folder):
    for kind in ("quantized", "away"):
        adapter = load(folder)
        attention = adapter.stack.layers[1].self_attn
        if kind == "quantized":
            attention.k_proj = Int8(32, 16, bias=False)
        else:
            attention.o_proj.weight = nn.Parameter(attention.o_proj.weight.to("meta"))
        with pytest.raises(ModelError, match=r"quantized or kept off its device.*load it whole on one device"):
            task(adapter)
