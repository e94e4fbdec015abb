"""Many ways to ask, against the engine's own comparison of each of them."""

import math
from dataclasses import replace

import pytest
from PIL import Image

from crop_core.engine.engine import CropEngine
from crop_core.engine.request_checks import EngineError
from crop_core.localize import SelfLocalizer
from crop_core.records.config import Budget, ConfigError, CropConfig, IlpConfig
from crop_core.records.localizers import LOCALIZERS, TEXT
from crop_core.records.region import Region
from crop_core.records.results import RunError, RunResult, RunSpec

QUESTION = "what is left of the dog?"


@pytest.fixture(scope="module")
def engine():
    return CropEngine.from_pretrained()


@pytest.fixture(scope="module")
def sample_image():
    return Image.open("assets/examples/01.jpg").convert("RGB")


def spec(method, tokens, region=None):
    config = CropConfig(method=method, budget=Budget(mean_tokens=tokens), repeats=1)
    return RunSpec(f"{method} {tokens}", config, region)


def test_each_way_tells_what_the_engine_tells(engine, sample_image):
    image = sample_image
    corner = Region(0, 0, 2, 2, *image.size, "drawn")
    specs = [spec("crop", 64), spec("random", 100), spec("visionzip", 64), spec("ilp", 150, corner)]
    full, *runs = engine.run_many(image, QUESTION, specs)
    assert (full.name, full.same, full.kl_first) == ("Baseline", True, 0.0)
    assert full.trace.mean_tokens == 576
    for one, result in zip(specs, runs, strict=True):
        alone = engine.compare(image, QUESTION, one.config, one.region, memory=False)
        assert (result.text, result.same) == (alone.crop.text, alone.same)
        assert full.text == alone.baseline.text
        assert result.region == (alone.region if one.config.parts.needs_region else Region.whole(*image.size))
        assert result.trace.to_json() == replace(alone.crop.trace, explanation=None).to_json()
        assert result.kl_first == pytest.approx(alone.kl_first, abs=1e-6)
        kept = math.exp(sum(token.other_logprob for token in alone.baseline.tokens))
        assert result.answer_probability == pytest.approx(kept, abs=1e-5)
        assert result.flops == alone.crop.cost.flops
        assert result.kv_bytes == alone.crop.cost.kv_bytes
        assert (result.model, result.device, result.dtype) == (alone.model, alone.device, alone.dtype)
        assert result.made["torch"] == alone.made["torch"] and result.made["date"] <= alone.made["date"]
        assert (result.localizer_flops > 0) is (one.name == "crop 64")


def by(localizer, method="crop"):
    return RunSpec(localizer, CropConfig(method, Budget(64), localizer=localizer, repeats=1))


def test_a_run_may_name_another_localizer_than_the_engines_own(engine, sample_image):
    specs = [by(name) for name in ("predicted", "self", "whole", "text")]
    _, own, itself, whole, read = engine.run_many(sample_image, QUESTION, specs)
    assert own.region == engine.localize(sample_image, QUESTION)
    other = CropEngine(engine.adapter, SelfLocalizer(engine.adapter), warm_up=False)
    alone = other.compare(sample_image, QUESTION, by("predicted").config, memory=False)
    assert itself.region == alone.region != own.region, "its confidence differs, at least"
    assert (itself.text, itself.localizer_flops) == (alone.crop.text, alone.crop.cost.localizer_flops)
    assert whole.region == Region.whole(*sample_image.size) and whole.localizer_flops == 0
    (_, unread) = engine.run_many(sample_image, QUESTION, [by("self", "random")])
    assert unread.localizer_flops == 0, "a method that reads no region asks for none"
    assert isinstance(read, RunResult) if LOCALIZERS[TEXT].installed else "pip install onnxruntime" in read.why


def test_a_request_may_name_another_localizer_too(engine, sample_image):
    config = by("self").config
    region = engine.localize(sample_image, QUESTION, localizer="self")
    found = engine.localize(sample_image, QUESTION, explain=True, localizer="self")
    result = engine.compare(sample_image, QUESTION, config, memory=False)
    assert region == found.region == result.region == engine.answer(sample_image, QUESTION, config).trace.region
    assert "heads" in result.crop.trace.explanation.summary
    assert result.crop.cost.localizer_weights_bytes == 0, "the answering model's own weights"
    without = CropEngine(engine.adapter, None, warm_up=False)
    assert without.compare(sample_image, QUESTION, config, memory=False).region == region


def test_a_localizer_that_cannot_be_tried_at_once_is_refused():
    with pytest.raises(ConfigError, match=r"^The localizer 'detector' is not known; choose one of predicted, .*self"):
        by("detector")


def test_where_nothing_lies_outside_the_region_the_compressor_meets_the_budget_alone(engine, sample_image):
    whole = Region.whole(*sample_image.size)
    almost = Region(0, 0, 7, 6, *sample_image.size, "drawn")
    cuts = replace(spec("crop", 64, whole), config=CropConfig("crop", Budget(64), ilp=IlpConfig(((4, 0.1),))))
    shares = replace(cuts, config=CropConfig("crop", None))
    specs = [spec("crop", 64, whole), spec("plc", 64, whole), spec("crop", 64, almost), cuts, shares]
    _, crop, plc, other, cut, shared = engine.run_many(sample_image, QUESTION, specs)
    assert crop.trace.to_json() == plc.trace.to_json() and crop.text == plc.text and crop.flops == plc.flops
    assert set(crop.trace.alive_counts) == {64}, "nothing is pruned inside"
    assert [len(set(each.trace.alive_counts)) > 1 for each in (other, cut, shared)] == [True] * 3
    assert all(each.trace.mean_tokens <= 64 for each in (other, cut))


def test_a_way_that_cannot_be_asked_is_told_and_the_others_go_on(engine, sample_image):
    image = sample_image
    _, first, second = engine.run_many(image, QUESTION, [spec("ilp", 2), spec("plc", 2)])
    assert isinstance(first, RunError)
    assert "budget" in first.why
    assert isinstance(second, RunResult)


def test_what_is_wrong_for_all_ways_is_refused_before_anything_runs(sample_image):
    image = sample_image
    engine = CropEngine.from_pretrained(localizer=None)
    with pytest.raises(EngineError, match="no localizer model"):
        engine.run_many(image, QUESTION, [spec("crop", 64)])
    with pytest.raises(EngineError, match="belongs to an image"):
        engine.run_many(image, QUESTION, [spec("crop", 64)], Region.whole(10, 10))
    assert len(list(engine.run_many(image, QUESTION, [spec("random", 64)]))) == 2


def test_others_get_their_turn_between_two_ways(engine, sample_image):
    image = sample_image
    stream = engine.run_many(image, QUESTION, [spec("random", 64), spec("random", 65)])
    next(stream)
    assert engine.answer(image, QUESTION, memory=False).text, "the engine is free while nobody reads the stream"
    assert next(stream).name == "random 64"
    stream.close()


def test_a_region_of_another_image_is_an_error_of_its_spec(engine, sample_image):
    regions = Region(1, 1, 2, 2, 20, 10), Region(1, 1, 2, 2, *sample_image.size)
    _, other, own = engine.run_many(sample_image, QUESTION, [spec("crop", 64, region) for region in regions])
    assert isinstance(own, RunResult) and "draw the region again" in other.why
