"""What a localizer outside PyTorch costs: never counted as zero work, its memory in the totals, and told when it eats
the saving."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from crop_core.engine.engine import CropEngine
from crop_core.engine.localizer_memory import total_peak
from crop_core.localize import LocalizationResult, not_counted
from crop_core.measure import memory
from crop_core.measure.memory import CUDA_METHOD, RESIDENT_METHOD, ResidentPeak
from crop_core.records.comparison_table import comparison_table
from crop_core.records.config import Budget, CropConfig
from crop_core.records.explanation import ExplainedItem, Explanation
from crop_core.records.region import Region
from crop_core.records.results import Comparison, RunSpec
from crop_core.records.saving import localizer_notices
from crop_core.records.timing import Measured, Peak
from tests.support.fake_records import comparison, run_time

IMAGE, QUESTION = Image.effect_noise((200, 120), 90).convert("RGB"), "what does the sign say?"
CONFIG = CropConfig(budget=Budget(share=0.25), max_new_tokens=2, repeats=1)
REGION = Region(2, 2, 4, 4, 200, 120, "predicted", 0.8)
MIB = 2**20


class Outside:
    """Finds one region, with 64 MiB of memory that PyTorch does not see."""

    weights_bytes = 1234

    def localize_region(self, image, question):
        return self.localize(image, question).region

    def localize(self, image, question):
        np.ones(64 * MIB, np.uint8).sum()
        item = ExplainedItem.of_box((50, 30, 120, 70), "EXIT", 0.9)
        return LocalizationResult(REGION, not_counted, ("Read.",), lambda: Explanation("text", "1 line read.", [item]))


@pytest.fixture(scope="module")
def engine():
    bundled = CropEngine.from_pretrained(localizer=None, warm_up=False)
    return CropEngine(bundled.adapter, Outside(), warm_up=False)


@pytest.fixture(scope="module")
def result(engine):
    return engine.compare(IMAGE, QUESTION, CONFIG)


def test_its_work_is_not_counted_and_not_zero(engine, result):
    cost = result.crop.cost
    assert (cost.localizer_flops, cost.work) == (None, cost.flops)
    assert (result.baseline.cost.localizer_flops, cost.localizer_weights_bytes) == (0, 1234)
    assert "without the localizer's, which is not counted" in comparison_table(result)
    assert Comparison.from_json(result.to_json()).crop.cost == cost
    runs = list(engine.run_many(IMAGE, QUESTION, [RunSpec("crop", CONFIG)]))
    assert [run.localizer_flops for run in runs] == [0, None]


@pytest.mark.skipif(not memory._PROCESS.exists(), reason="needs /proc")
def test_its_memory_is_in_the_total(result):
    cost = result.crop.cost
    assert cost.localizer_peak_method == RESIDENT_METHOD and cost.localizer_peak_bytes > 60 * MIB
    assert cost.peak_bytes >= cost.localizer_peak_bytes and RESIDENT_METHOD in cost.peak_method
    assert result.baseline.cost.localizer_peak_bytes == 0 and RESIDENT_METHOD not in result.baseline.cost.peak_method


def test_a_localizer_of_pytorch_is_measured_alone_as_well():
    bundled = CropEngine.from_pretrained(warm_up=False)
    cost = bundled.compare(IMAGE, "what is left of the dog?", CONFIG).crop.cost
    assert 0 < cost.localizer_peak_bytes <= cost.peak_bytes and cost.localizer_peak_method == memory.CPU_METHOD
    drawn = bundled.compare(IMAGE, "what is left of the dog?", CONFIG, replace(REGION, source="drawn", confidence=None))
    assert (drawn.crop.cost.localizer_peak_bytes, drawn.crop.cost.localizer_peak_method) == (0, "")
    unmeasured = bundled.compare(IMAGE, "what?", CONFIG, memory=False).crop.cost
    assert (unmeasured.localizer_peak_bytes, unmeasured.localizer_peak_method) == (0, "")


def test_on_a_gpu_the_memory_of_the_host_is_apart():
    gpu, host = Peak(5, CUDA_METHOD), Peak(100, RESIDENT_METHOD)
    assert total_peak(host, gpu).bytes == 5 and "memory of the host" in total_peak(host, gpu).method
    assert total_peak(Peak(100, memory.CPU_METHOD), Peak(7, memory.CPU_METHOD)) == Peak(7, memory.CPU_METHOD)


@pytest.mark.skipif(not memory._PROCESS.exists(), reason="needs /proc")
def test_the_growth_of_the_process_is_seen_although_it_is_free_again():
    with ResidentPeak() as meter:
        np.ones(80 * MIB, np.uint8).sum()
        torch.ones(1)
    assert 70 * MIB < meter.peak < 200 * MIB
    with ResidentPeak() as again:
        pass
    assert again.peak < 20 * MIB


def test_where_the_system_does_not_tell_nothing_is_claimed(monkeypatch, tmp_path):
    monkeypatch.setattr(memory, "_PROCESS", tmp_path / "none")
    with ResidentPeak() as meter:
        pass
    assert meter.peak is None


def test_both_answers_and_the_api_record_carry_how_the_region_came_about(engine, result):
    for trace in (result.trace, result.baseline.trace):
        assert trace.explanation.items[0].label == "EXIT"
    read = Comparison.from_json(result.to_json())
    assert read.trace.explanation.to_json() == result.trace.explanation.to_json()
    assert engine.answer(IMAGE, QUESTION, CONFIG).trace.explanation.summary == "1 line read."
    assert "Found by  1 line read. “EXIT” (90.0 %)" in comparison_table(result)
    drawn = engine.compare(IMAGE, QUESTION, CONFIG, replace(REGION, source="drawn", confidence=None))
    assert drawn.trace.explanation is None and "Found by" not in comparison_table(drawn)


def timed(localizer, whole=1.0, pruned=0.4, runs=5, spread=0.01, tokens=2):
    """A comparison measured `runs` times around these seconds, the localizer's included in none of them."""
    about = [1 + spread * (number - runs // 2) for number in range(runs)]
    base = [replace(run_time(), total_s=whole * each, ttft_s=whole * each) for each in about]
    both = [(pruned + localizer) * each for each in about]
    crop = [replace(run_time(True), total_s=each, ttft_s=each, localizer_s=localizer) for each in both]
    result = comparison().measured(Measured(base, crop, runs))
    return replace(result, crop=replace(result.crop, cost=replace(result.crop.cost, new_tokens=tokens)))


def test_a_localizer_that_eats_the_saving_is_told():
    (notice,) = localizer_notices(timed(0.7))
    assert notice.startswith("The localizer eats the saving here: it takes 700 ms, and pruning saves 600 ms of 1.00 s;")
    assert notice in comparison_table(timed(0.7))
    assert localizer_notices(timed(0.5)) == [], "a saving is left"
    assert localizer_notices(timed(0.7, pruned=1.2)) == [], "pruning alone saves nothing"
    assert localizer_notices(timed(0.7, tokens=9)) != [], "by the first token where lengths differ"
    assert localizer_notices(timed(0.0)) == []


def test_nothing_is_told_of_few_runs_or_of_ranges_that_overlap():
    assert localizer_notices(timed(0.7, runs=1)) == localizer_notices(timed(0.7, runs=3)) == []
    assert localizer_notices(timed(0.7, spread=0.05)) == []
    assert localizer_notices(comparison()) == [], "those of the answers alone"
