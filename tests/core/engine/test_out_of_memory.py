"""Out of memory: what is asked for instead, what is said, and that the next request works. Devices are stood in for."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
from PIL import Image

from crop_core.engine import out_of_memory
from crop_core.engine.compare import RequestRuns
from crop_core.engine.engine import CropEngine
from crop_core.engine.out_of_memory import OutOfMemory, is_out_of_memory
from crop_core.measure.memory import CpuPeak
from crop_core.records.config import Budget, CropConfig
from crop_core.records.region import Region
from crop_core.records.results import RunError, RunResult, RunSpec
from tests.support import checkpoints, families

IMAGE = Image.effect_noise((160, 120), 90).convert("RGB")
REGION = Region(2, 2, 4, 4, 160, 120)
ASKED = (IMAGE, "what is left of the dog?")
CONFIG = CropConfig(budget=Budget(share=0.5), localizer="whole", max_new_tokens=3)
FULL = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> CropEngine:
    folder = tmp_path_factory.mktemp("model")
    return CropEngine.from_pretrained(checkpoints.save(folder / "model", "crop"), None, warm_up=False)


@pytest.fixture(scope="module")
def tiled(tmp_path_factory: pytest.TempPathFactory) -> CropEngine:
    """A model that reads a large image in more tokens than a small one."""
    families.build("qwen2_5_vl", folder := tmp_path_factory.mktemp("tiled"))
    return CropEngine.from_pretrained(folder, None, warm_up=False)


@pytest.mark.parametrize(
    ("error", "is_one"),
    [
        (FULL, True),
        (MemoryError(), True),
        (RuntimeError("MPS backend out of memory (MPS allocated: 17 GB)"), True),
        (
            RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
            True,
        ),
        (RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 8 bytes."), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), True),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_what_devices_say_when_they_are_full(error: Exception, is_one: bool) -> None:
    assert is_out_of_memory(error) is is_one


def failing(monkeypatch: pytest.MonkeyPatch, engine: CropEngine, calls: Any) -> list[int]:
    """Generation runs out of memory at these calls, counted from 0; returns how many there were."""
    generate, count = engine.adapter.model.generate, [0]

    def limited(**inputs: Any) -> Any:
        count[0] += 1
        if calls(count[0] - 1):
            raise FULL
        return generate(**inputs)

    monkeypatch.setattr(engine.adapter.model, "generate", limited)
    return count


@pytest.mark.parametrize("streamed", [False, True])
def test_without_room_for_the_baseline_crop_answers_alone(
    streamed: bool, engine: CropEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = engine.answer(*ASKED, CONFIG)
    with monkeypatch.context() as patch:
        failing(patch, engine, lambda call: call == 0)
        with pytest.raises(OutOfMemory) as raised:
            list(engine.stream(*ASKED, CONFIG)) if streamed else engine.compare(*ASKED, CONFIG)
    total = alone.trace.visual_tokens
    assert f"alone answers “{alone.text}” and reads {total / 2:g} of {total} visual tokens per layer" in str(
        raised.value
    )
    assert engine.compare(*ASKED, CONFIG).crop.text == alone.text


def test_without_room_for_either_the_image_is_read_smaller(tiled: CropEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    small = IMAGE.resize((80, 60))
    expected = tiled.compare(small, ASKED[1], CONFIG, Region(2, 2, 4, 4, 80, 60))
    with monkeypatch.context() as patch:
        failing(patch, tiled, lambda call: call < 2)
        result = tiled.compare(*ASKED, CONFIG, REGION)
    assert (result.crop.text, result.crop.trace.visual_tokens) == (
        expected.crop.text,
        expected.crop.trace.visual_tokens,
    )
    assert result.notices[0].startswith("The device ran out of memory with the image in full size, so it was read at")
    for answer in (result.baseline, result.crop):
        assert answer.trace.image_size == IMAGE.size and answer.trace.region == REGION == result.region
    assert result.crop.trace.boxes == pytest.approx(2 * expected.crop.trace.boxes)
    again = tiled.compare(*ASKED, CONFIG, REGION)
    assert not any("memory" in notice for notice in again.notices)
    assert again.crop.trace.visual_tokens > result.crop.trace.visual_tokens


def test_where_nothing_fits_or_a_smaller_image_saves_nothing_one_sentence_says_so(
    engine: CropEngine, tiled: CropEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    for each, calls in ((engine, 2), (tiled, 3)):
        with monkeypatch.context() as patch:
            count = failing(patch, each, lambda _: True)
            with pytest.raises(
                OutOfMemory, match=r"^The device has too little memory .*even with pruning; use a .*\.$"
            ):
                each.compare(*ASKED, CONFIG)
            assert count == [calls]
        assert each.compare(*ASKED, CONFIG).crop.tokens


def test_other_entries_end_in_a_sentence_and_of_many_ways_the_others_go_on(
    engine: CropEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        failing(patch, engine, lambda call: call == 0)
        with pytest.raises(OutOfMemory, match="too little memory for this question"):
            engine.answer(*ASKED, CONFIG)
    with monkeypatch.context() as patch:
        failing(patch, engine, lambda call: call == 1)
        results = list(engine.run_many(*ASKED, [RunSpec("one", CONFIG), RunSpec("two", CONFIG)]))
    assert [type(each) for each in results] == [RunResult, RunError, RunResult]
    assert "too little memory" in results[1].why


class Small(CpuPeak):
    """A device with room for so many bytes of tensors that are alive at once."""

    def __init__(self, limit: int) -> None:
        super().__init__()
        self.limit = limit

    def _count(self, storage: torch.UntypedStorage) -> None:
        super()._count(storage)
        if self.current > self.limit:
            raise torch.OutOfMemoryError(str(FULL))


def test_on_a_device_that_is_really_small_what_failed_is_gone_before_less_is_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    engine, request = CropEngine.from_pretrained(warm_up=False), (IMAGE, "which color is the car?")
    config = CropConfig(budget=Budget(64), max_new_tokens=1, repeats=1)
    plenty = engine.compare(*request, config, REGION)
    baseline, crop = plenty.baseline.cost.peak_bytes, plenty.crop.cost.peak_bytes
    left: list[int] = []
    rooms = {f"alone answers “{plenty.crop.text}”": (baseline + crop) // 2, "even with pruning": crop // 4}
    for message, room in rooms.items():
        device = Small(room)
        monkeypatch.setattr(out_of_memory, "free_memory", partial(lambda device: left.append(device.current), device))
        with device, pytest.raises(OutOfMemory, match=message):
            engine.compare(*request, config, REGION)
    assert left and max(left) < crop // 100, "what failed is still there when the device's cache is emptied"
    assert engine.compare(*request, config, REGION).crop.text == plenty.crop.text


def test_other_errors_are_what_they_were(engine: CropEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: RequestRuns, with_baseline: bool) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(RequestRuns, "first_runs", broken)
    with pytest.raises(RuntimeError, match="a bug"):
        engine.compare(*ASKED, CONFIG)
