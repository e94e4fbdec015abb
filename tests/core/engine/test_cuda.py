"""What only a GPU can show: pruning equals the oracle there too, nothing waits, and memory that runs out for real.

Skipped where torch has no CUDA device.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from PIL import Image

from benchmarks.full_size.models import QUESTION, build, sample_image
from crop_core.engine.engine import CropEngine
from crop_core.engine.out_of_memory import HALVED, OutOfMemory
from crop_core.measure.memory import free_memory
from crop_core.prune import LayerPruning, VisualTokens
from crop_core.prune.ilp import IlpPruner
from crop_core.records.config import Budget, CropConfig
from crop_core.records.region import Region
from crop_core.records.results import Comparison
from tests.support import ROOT
from tests.support.exactness import BATCHES, assert_equals_oracle, stack_of
from tests.support.oracle import run
from tests.support.tiny_models import tiny_inputs, tiny_llava

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU with CUDA")
GPU = torch.device("cuda")
CUTS = ((1, 9), (3, 2))
EXAMPLES = ROOT / "assets" / "examples"


def prepared(model: Any, batch: str) -> tuple[dict[str, Any], torch.Tensor, list[VisualTokens]]:
    """Inputs in float64, which tokens are visual, and a region, all on the GPU."""
    inputs = {name: each.to(GPU) for name, each in tiny_inputs(model, **BATCHES[batch]).items()}
    inputs["pixel_values"] = inputs["pixel_values"].double()
    visual = inputs.pop("visual")
    return inputs, visual, [VisualTokens.of_one_image(torch.arange(16, device=GPU) % 5 == 0)] * len(visual)


@pytest.mark.parametrize("evict", [False, True])
@pytest.mark.parametrize(("attn", "batch"), [("sdpa", "one"), ("sdpa", "padded"), ("eager", "one")])
def test_pruning_equals_the_oracle_on_a_gpu(attn: str, batch: str, evict: bool) -> None:
    model = tiny_llava(attn).double().to(GPU)
    inputs, visual, tokens = prepared(model, batch)
    assert_equals_oracle(model, inputs, visual, IlpPruner(CUTS, tokens), evict)


@pytest.mark.parametrize("evict", [False, True])
@pytest.mark.parametrize("batch", BATCHES)
def test_no_cut_waits_for_the_gpu(batch: str, evict: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny_llava().double().to(GPU)
    inputs, visual, tokens = prepared(model, batch)
    pruning = LayerPruning(stack_of(model), IlpPruner(CUTS, tokens), visual, evict)
    inside = pruning._at

    def watched(*args: Any) -> Any:
        torch.cuda.set_sync_debug_mode("error")
        try:
            return inside(*args)
        finally:
            torch.cuda.set_sync_debug_mode("default")

    monkeypatch.setattr(pruning, "_at", watched)
    with pruning:
        run(model, inputs, steps=3)
    assert len(pruning.steps[0]) == 2


@pytest.fixture(scope="module")
def bundled() -> CropEngine:
    return CropEngine.from_pretrained(device="cuda")


def test_the_bundled_models_answer_as_on_a_cpu(bundled: CropEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)  # shortened products in the patches' convolution
    here, exact = (CropEngine.from_pretrained(device=each, dtype="float32", warm_up=False) for each in ("cpu", "cuda"))
    rows = json.loads((EXAMPLES / "examples.json").read_text())[:12]
    for row in rows:
        image, config = Image.open(EXAMPLES / row["image"]).convert("RGB"), CropConfig(budget=Budget(64))
        usual, there, expected = (each.compare(image, row["question"], config) for each in (bundled, exact, here))
        for result in (usual, there):
            assert (result.baseline.text, result.crop.text) == (expected.baseline.text, expected.crop.text)
            assert result.region.grid == expected.region.grid
        for one, other in zip(there.crop.tokens, expected.crop.tokens, strict=True):
            assert one.logprob == pytest.approx(other.logprob, abs=5e-3)


def test_costs_on_a_gpu_are_its_allocators(bundled: CropEngine) -> None:
    image = Image.open(EXAMPLES / "01.jpg").convert("RGB")
    result = bundled.compare(image, "which color is the car?", CropConfig(budget=Budget(64)))
    for cost in (result.baseline.cost, result.crop.cost):
        assert cost.device.startswith("cuda") and cost.peak_method.startswith("torch.cuda.max_memory_allocated")
        assert 0 < cost.kv_bytes < cost.peak_bytes < torch.cuda.max_memory_allocated()
    assert result.crop.cost.kv_bytes < result.baseline.cost.kv_bytes


@contextmanager
def at_most(bytes_: int) -> Iterator[None]:
    """The process may take so much of the GPU, however much that has."""
    free_memory()
    torch.cuda.set_per_process_memory_fraction(bytes_ / torch.cuda.get_device_properties(GPU).total_memory)
    try:
        yield
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)


def compared(engine: CropEngine, image: Image.Image) -> Comparison:
    config = CropConfig("crop", Budget(160), max_new_tokens=4)
    return engine.compare(image, QUESTION, config, Region(2, 2, 5, 5, *image.size))


@pytest.fixture
def full_size(request: pytest.FixtureRequest) -> Iterator[tuple[CropEngine, Image.Image]]:
    adapter = build(request.param, GPU, torch.bfloat16)
    yield CropEngine(adapter, warm_up=False), sample_image(request.param)
    del adapter
    free_memory()


@pytest.mark.parametrize("full_size", ["llava-next-7b"], indirect=True)
def test_where_memory_lasts_for_crop_alone_crop_answers(full_size: tuple[CropEngine, Image.Image]) -> None:
    engine, image = full_size
    plenty = compared(engine, image)
    free_memory()
    baseline, crop = plenty.baseline.cost.peak_bytes, plenty.crop.cost.peak_bytes
    for room, message in (
        ((baseline + crop) // 2, "to answer with every"),
        (crop // 4, "for this question, even with"),
    ):
        limit = at_most(torch.cuda.memory_reserved() + room)
        with limit, pytest.raises(OutOfMemory, match=f"^The device has too little memory {message} "):
            compared(engine, image)
        free_memory()
    again = compared(engine, image)
    assert again.crop.text == plenty.crop.text and not any("memory" in notice for notice in again.notices)


@pytest.mark.parametrize("full_size", ["qwen2.5-vl-7b"], indirect=True)
def test_where_memory_lasts_for_half_the_image_that_is_read(full_size: tuple[CropEngine, Image.Image]) -> None:
    engine, image = full_size
    half = compared(engine, image.resize([side // 2 for side in image.size])).baseline.cost.peak_bytes
    whole = compared(engine, image).crop.cost.peak_bytes
    assert 1.5 * half < whole, "nothing lies between them"
    free_memory()
    with at_most(torch.cuda.memory_reserved() + int((half * whole) ** 0.5)):
        result = compared(engine, image)
    assert result.notices[0] == HALVED.format(what="the image", they="it was")
    assert result.crop.trace.image_size == image.size
    assert not any("memory" in notice for notice in compared(engine, image).notices)
