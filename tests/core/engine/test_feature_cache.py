"""What is kept of an image and a question: within its bound, told apart, and never as a saving in what is shown."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import pytest
import torch
from PIL import Image

from crop_core.engine.engine import CropEngine
from crop_core.engine.feature_cache import FeatureCache
from crop_core.records.config import Budget, CropConfig
from crop_core.records.results import RunSpec
from tests.support import checkpoints

IMAGE = Image.effect_noise((80, 60), 90).convert("RGB")
CONFIG = CropConfig(budget=Budget(mean_tokens=24), max_new_tokens=3)
WAYS = [RunSpec("one", CONFIG), RunSpec("two", CropConfig(method="random", budget=CONFIG.budget, max_new_tokens=3))]
MB = 250_000  # floats


def made(kept: FeatureCache, image: Image.Image, *what: object, size: int = 1) -> bool:
    """Whether it had to be made."""
    calls: list[int] = []
    kept.get_or_compute(image, *what, compute=lambda: calls.append(1) or {"a": [torch.zeros(size)]})
    return bool(calls)


def test_the_same_is_found_and_all_else_is_not() -> None:
    kept = FeatureCache()
    assert made(kept, IMAGE, "ab", "c")
    assert not made(kept, IMAGE.copy(), "ab", "c")
    other = IMAGE.copy()
    other.putpixel((79, 59), (1, 2, 3))
    turned = Image.frombytes("RGB", (60, 80), IMAGE.tobytes())
    for what in (("a", "bc"), ("abc",), ("ab", "c", "")):
        assert made(kept, IMAGE, *what)
    assert made(kept, other, "ab", "c") and made(kept, turned, "ab", "c")


def test_what_was_not_used_for_longest_goes_first_and_the_bound_holds() -> None:
    kept = FeatureCache(limit=3_100_000)
    for name in "abc":
        assert made(kept, IMAGE, name, size=MB)
    assert not made(kept, IMAGE, "a", size=MB)
    assert made(kept, IMAGE, "d", size=MB) and kept.size == 3_000_000
    assert [made(kept, IMAGE, name, size=MB) for name in "ac"] == [False, False]
    assert made(kept, IMAGE, "huge", size=4 * MB) and kept.size == 3_000_000
    kept.clear()
    assert kept.size == 0 and made(FeatureCache(0), IMAGE, "a") and made(kept, IMAGE, "a", size=MB)


def test_keys_are_of_this_process_alone_and_are_not_shown() -> None:
    one, two = FeatureCache(), FeatureCache()
    assert one._key([IMAGE], "what?") == one._key([IMAGE], "what?") != two._key([IMAGE], "what?")
    assert repr(one) == "FeatureCache(limit=268435456)"


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> CropEngine:
    folder = tmp_path_factory.mktemp("models")
    model = checkpoints.save(folder / "model", "crop")
    made = CropEngine.from_pretrained(model, checkpoints.save(folder / "locator", "squash", layers=2), warm_up=False)
    made.compare(IMAGE, "?", CONFIG)  # FLOPs of a shape are counted once, by encoding
    return made


@pytest.fixture
def calls(engine: CropEngine, monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """How often each works, and not below a fifth of a second."""
    counts = {"encode": 0, "localize": 0}
    engine._cache.clear()

    def counted(owner: Any, name: str, key: str) -> None:
        work = getattr(owner, name)

        def slow(*request: Any) -> Any:
            counts[key] += 1
            time.sleep(0.2)
            return work(*request)

        monkeypatch.setattr(owner, name, slow)

    counted(engine.adapter, "encode", "encode")
    counted(engine.localizer, "localize", "localize")
    return counts


def test_a_second_look_costs_in_what_is_shown_what_the_first_did(engine: CropEngine, calls: dict[str, int]) -> None:
    first = list(engine.run_many(IMAGE, "what?", WAYS))
    assert calls == {"encode": 1, "localize": 1}
    second = list(engine.run_many(IMAGE, "what?", WAYS))
    assert calls == {"encode": 1, "localize": 1}
    assert [each.text for each in second] == [each.text for each in first]
    assert all(each.ttft_s >= 0.2 for each in (*first, *second)), "encoding is in every time"
    assert [each.flops for each in second] == [each.flops for each in first]
    crop, again = first[1], second[1]
    assert (again.localizer_s, again.localizer_flops) == (crop.localizer_s, crop.localizer_flops)
    assert again.localizer_s >= 0.2
    list(engine.run_many(IMAGE, "where?", WAYS))
    assert calls == {"encode": 2, "localize": 2}, "of another question nothing is known"


def test_a_comparison_measures_everything_whatever_is_kept(engine: CropEngine, calls: dict[str, int]) -> None:
    twice = replace(CONFIG, repeats=2)
    engine.compare(IMAGE, "what?", twice)
    cold = dict(calls)
    list(engine.run_many(IMAGE, "what?", WAYS))
    calls.update(encode=0, localize=0)
    result = engine.compare(IMAGE, "what?", twice)
    assert calls == cold
    assert (
        result.crop.cost.encode_s >= 0.2
        and result.crop.cost.localizer_s >= 0.2
        and result.baseline.cost.encode_s >= 0.2
    )


def test_a_region_is_found_once(engine: CropEngine, calls: dict[str, int]) -> None:
    regions = [engine.localize(IMAGE, "what?") for _ in range(2)]
    assert regions[0] == regions[1] and calls["localize"] <= 1


def test_running_out_of_memory_lets_go_of_what_is_kept(engine: CropEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(**_: Any) -> Any:
        raise torch.OutOfMemoryError("full")

    list(engine.run_many(IMAGE, "what?", WAYS))
    assert engine._cache.size
    with monkeypatch.context() as patch:
        patch.setattr(engine.adapter.model, "generate", full)
        with pytest.raises(ValueError, match="too little memory"):
            engine.answer(IMAGE, "what?", CONFIG)
    assert engine._cache.size == 0
