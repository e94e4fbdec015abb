"""Every supported family from one list: inputs, places, encoding, and pruning that equals the masking oracle."""

import numpy as np
import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from crop_core.engine.engine import CropEngine
from crop_core.engine.run import Task
from crop_core.localize import WholeImage
from crop_core.models import ModelError, load
from crop_core.models.compressed_inputs import compress_inputs
from crop_core.models.loading import registry
from crop_core.prune import LayerPruning, VisualTokens
from crop_core.prune.ilp import IlpPruner
from crop_core.records.compression_plan import CompressionPlan
from crop_core.records.config import Budget, CropConfig
from crop_core.records.methods import METHODS
from crop_core.records.region import Region
from crop_core.records.results import Comparison
from crop_core.records.trace import TokenTrace
from tests.support.families import FAMILIES, VARIANTS, assert_exact, build, hidden_by, plain, sample_image
from tests.support.learned import add_plc
from tests.support.oracle import Masked, new_tokens, run

SIZES = [(200, 120), (90, 160)]


@pytest.fixture(scope="module", params=[*FAMILIES, *VARIANTS])
def folder(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    build(request.param, folder)
    add_plc(folder)
    return folder


@pytest.fixture(scope="module")
def adapter(folder):
    """With the attention that the model has by itself."""
    return load(folder)


@pytest.fixture(scope="module", params=zip([None, "eager"], SIZES, strict=True), ids=str)
def case(folder, request):
    """Of each kind of attention a prepared question, its encoded image, and what the model says of it unpruned."""
    attn, size = request.param
    adapter = load(folder, attn=attn)
    inputs = adapter.prepare(sample_image(size), "what is left of the dog?")
    return adapter, inputs, adapter.encode(inputs), run(adapter.model, plain(inputs))


def refused(engine, method, ask):
    """Whether the method reads a tower whose patches the family merges, and asking says so."""
    one_each = ("llava", "llava_next", "llava_onevision", "paligemma")
    if engine.adapter.model.config.model_type in one_each or not METHODS[method].reads_tower:
        return False
    with pytest.raises(ModelError, match="merges several patches into each visual token"):
        ask()
    return True


def test_the_list_is_that_of_the_registry():
    assert set(FAMILIES) == set(registry.FAMILIES)


def test_every_visual_token_has_one_place(case):
    adapter, inputs, encoded, _ = case
    layout = adapter.layout(inputs.image_sizes[0])
    assert int(inputs.visual.sum()) == layout.count == len(encoded.pooler_output[0])
    left, top, right, bottom = layout.visible
    assert 0 <= left < right <= inputs.image_sizes[0][0] and 0 <= top < bottom <= inputs.image_sizes[0][1]


def test_a_region_holds_tokens_of_every_view(case):
    adapter, inputs, *_ = case
    layout = adapter.layout(inputs.image_sizes[0])
    inside = Region(2, 2, 5, 5, *inputs.image_sizes[0]).mask(layout.boxes)
    assert set(layout.view[inside].tolist()) == set(layout.view.tolist()) - {-1}


def test_nothing_compressed_is_what_the_model_does_with_pixels(case):
    adapter, inputs, encoded, unpruned = case
    whole = compress_inputs(adapter.model, inputs, encoded, [CompressionPlan.identity(int(inputs.visual.sum()))])
    assert_exact(run(adapter.model, whole.kwargs), unpruned)


def test_dropping_before_the_llm_equals_masking_everywhere(case):
    adapter, inputs, encoded, unpruned = case
    group = np.where(np.arange(int(inputs.visual.sum())) % 3 == 0, -1, 0)
    group[group == 0] = np.arange((group == 0).sum())
    fewer = compress_inputs(adapter.model, inputs, encoded, [CompressionPlan(group, np.zeros_like(group))])
    dropped = run(adapter.model, fewer.kwargs)
    hidden = inputs.visual.clone()
    hidden[0, inputs.visual[0].nonzero()[:, 0][torch.from_numpy(group >= 0)]] = False
    with Masked(adapter.model, {0: hidden}):
        masked = run(adapter.model, plain(inputs), forced=new_tokens(dropped, fewer.kwargs))
    assert_exact(dropped, masked)
    assert float((dropped.logits[0] - unpruned.logits[0]).abs().max()) > 0.1


@pytest.mark.parametrize("evict", [False, True])
def test_pruning_inside_the_llm_equals_masking(case, evict):
    adapter, inputs, _, unpruned = case
    inside = Region(2, 2, 5, 5, *inputs.image_sizes[0]).mask(adapter.layout(inputs.image_sizes[0]).boxes)
    first = adapter.stack.first_prunable
    pruner = IlpPruner(((first, 9), (first + 1, 2)), [VisualTokens.of_one_image(torch.from_numpy(inside))])
    with LayerPruning(adapter.stack, pruner, inputs.visual, evict) as pruning:
        pruned = run(adapter.model, plain(inputs))
    hidden = hidden_by(pruning.steps[0], inputs.visual)
    with Masked(adapter.model, hidden, hidden[first + 1] if evict else None):
        masked = run(adapter.model, plain(inputs), forced=new_tokens(pruned, plain(inputs)))
    assert_exact(pruned, masked)
    assert float((pruned.logits[0] - unpruned.logits[0]).abs().max()) > 0.1


def test_several_images_are_pruned_each_and_equal_masking(adapter):
    """A question about two images of unlike size: one run, exact, and at least one token left of each."""
    images = [sample_image(size) for size in SIZES]
    inputs = adapter.prepare(images, "what is left of the dog?")
    counts = [adapter.layout(size, 2).count for size in SIZES]
    assert int(inputs.visual.sum()) == sum(counts)
    whole = compress_inputs(adapter.model, inputs, adapter.encode(inputs), [CompressionPlan.identity(sum(counts))])
    assert_exact(run(adapter.model, whole.kwargs), run(adapter.model, plain(inputs)))
    inside = torch.zeros(sum(counts), dtype=torch.bool)
    inside[: counts[0]] = True  # of the first image alone, so that only the quota saves the second
    tokens = VisualTokens(inside, torch.arange(2).repeat_interleave(torch.tensor(counts)), 2)
    first = adapter.stack.first_prunable
    with LayerPruning(adapter.stack, IlpPruner(((first, 3),), [tokens]), inputs.visual) as pruning:
        pruned = run(adapter.model, plain(inputs))
    (step,) = pruning.steps[0]
    assert [int((step.kept < counts[0]).sum()), int((step.kept >= counts[0]).sum())] == [2, 1]
    with Masked(adapter.model, hidden_by([step], inputs.visual)):
        masked = run(adapter.model, plain(inputs), forced=new_tokens(pruned, plain(inputs)))
    assert_exact(pruned, masked)


def test_several_images_meet_one_budget_by_every_method(adapter):
    engine = CropEngine(adapter, WholeImage(), warm_up=False)
    images = [sample_image(size) for size in SIZES]
    total = sum(adapter.layout(size, 2).count for size in SIZES)
    for method in METHODS:
        config = CropConfig(method=method, budget=Budget(share=0.75), max_new_tokens=2, repeats=1)
        asked = (images, "what is left?", config, [Region(2, 2, 5, 5, 200, 120), None])
        if refused(engine, method, lambda asked=asked: engine.answer(*asked)):
            continue
        found = engine.answer(*asked, memory=False)
        assert [trace.image_size for trace in found.traces] == SIZES
        assert found.total("visual_tokens") == total
        assert found.total("mean_tokens") <= 0.75 * total or method == "none"
        assert min(trace.final_tokens for trace in found.traces) >= 1


def test_a_follow_up_reads_the_image_again_with_its_own_region(adapter):
    engine = CropEngine(adapter, warm_up=False)
    image, turns = sample_image((200, 120)), [("what is left of the dog?", "the dog")]
    config = CropConfig(budget=Budget(share=0.75), max_new_tokens=2, repeats=1)
    region = Region(0, 0, 3, 3, 200, 120)
    found = engine.compare(image, "what is left?", config, region, memory=False, history=turns)
    assert found.history == turns and found.crop.trace.region == region
    assert found.baseline.trace.visual_tokens == engine.adapter.layout(image.size).count
    (notice,) = [line for line in found.notices if line.startswith("A follow-up")]
    told = engine.adapter.prepare(image, "what is left?", turns).input_ids
    alone = engine.adapter.prepare(image, "what is left?").input_ids
    assert torch.equal(told, alone) == ("reads each question by itself" in notice)
    assert engine.keeps_history == (not torch.equal(told, alone))
    assert int((told == engine.adapter.image_token_id).sum()) == found.baseline.trace.visual_tokens


def test_every_method_runs_and_meets_its_budget(adapter):
    engine = CropEngine(adapter, WholeImage(), warm_up=False)
    region = Region(2, 2, 5, 5, 200, 120)
    total, flops = adapter.layout((200, 120)).count, {}
    for method in METHODS:
        config = CropConfig(method=method, budget=Budget(share=0.75), max_new_tokens=2, repeats=1)
        asked = (sample_image((200, 120)), "what is left of the dog?", config, region)
        if refused(engine, method, lambda asked=asked: engine.answer(*asked)):
            continue
        found = engine.answer(*asked, memory=False)
        trace = TokenTrace.from_json(found.trace.to_json())
        assert trace.visual_tokens == total
        assert trace.mean_tokens <= 0.75 * total or method == "none"
        flops[method] = found.cost.flops
    assert all(each < flops["none"] for method, each in flops.items() if method != "none")


def test_both_answers_about_one_image_and_several(adapter):
    engine = CropEngine(adapter, WholeImage(), warm_up=False)
    config = CropConfig(budget=Budget(share=0.75), max_new_tokens=2, repeats=1)
    for images in ([sample_image(SIZES[0])], [sample_image(size) for size in SIZES]):
        found = engine.compare(images, "what is left?", config, [Region(2, 2, 5, 5, 200, 120), None][: len(images)])
        assert found.crop.cost.flops < found.baseline.cost.flops
        assert found.crop.cost.peak_bytes > found.crop.cost.kv_bytes > 0
        assert Comparison.from_json(found.to_json()).to_json() == found.to_json()


@pytest.mark.parametrize("method", ["none", "ilp", "crop"])
def test_flops_are_what_pytorch_counts(adapter, method):
    config = CropConfig(method=method, budget=Budget(share=0.75), max_new_tokens=1, repeats=1)
    task = Task(adapter, sample_image((200, 120)), "what is left of the dog?", config)
    task.adapter.vision_flops(task.encode().prepared)  # which counts by encoding, the first time
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        run = task.crop(Region(2, 2, 5, 5, 200, 120))
    assert run.flops == counter.get_total_flops()
