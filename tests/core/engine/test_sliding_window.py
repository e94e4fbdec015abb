"""A prompt beyond the model's sliding window cannot be pruned inside the LLM, and is refused before anything runs."""

import json
import re

import pytest

from crop_core.engine.engine import CropEngine
from crop_core.engine.request_checks import MARKS
from crop_core.evaluate.datasets.protocol import Example
from crop_core.evaluate.runner.plan import ALL, Trial
from crop_core.evaluate.runner.trial_runner import TrialRunner
from crop_core.evaluate.runner.work import Skipped
from crop_core.prune import PruneError
from crop_core.records.config import Budget, CropConfig
from crop_core.records.methods import METHODS
from crop_core.records.results import RunError, RunSpec
from tests.support.families import build, sample_image
from tests.support.faults import edit
from tests.support.sweeping import Exact

IMAGES = [sample_image(size) for size in ((90, 60), (60, 90), (50, 50))]
QUESTION = "what is left of the dog?"
SLIDING = ["gemma3", "paligemma2"]
INSIDE = [name for name, row in METHODS.items() if row.pruner and not row.compressor]


def with_window(family, folder, window):
    build(family, folder)
    config = json.loads((folder / "config.json").read_text())
    edit(folder / "config.json", text_config={**config["text_config"], "sliding_window": window})
    return CropEngine.from_pretrained(folder, "whole", warm_up=False)


def config(method, share=0.75):
    return CropConfig(method=method, budget=Budget(share=share), max_new_tokens=2, repeats=1)


def length(engine, images):
    return engine.adapter.prepare(images, QUESTION).input_ids.shape[1]


@pytest.fixture(params=SLIDING)
def family(request):
    return request.param


def test_images_that_reach_the_window_are_refused_before_anything_runs(family, tmp_path, monkeypatch):
    engine = with_window(family, tmp_path, 55)
    tokens = length(engine, IMAGES)
    assert length(engine, IMAGES[:2]) < 55 <= tokens
    ran, encode = [], type(engine.adapter).encode
    monkeypatch.setattr(type(engine.adapter), "encode", lambda *given: ran.append(1) or encode(*given))
    expected = rf"sequence of {tokens} tokens reaches .* sliding window of 55.*fewer images"
    for method in INSIDE:
        with pytest.raises(PruneError, match=expected):
            engine.compare(IMAGES, QUESTION, config(method), memory=False)
    assert not ran
    assert engine.compare(IMAGES[:2], QUESTION, config("ilp"), memory=False).crop.tokens and ran


def test_the_window_itself_is_the_limit(family, tmp_path):
    tokens = length(with_window(family, tmp_path / "wide", 512), IMAGES)
    refused, allowed = (with_window(family, tmp_path / str(window), window) for window in (tokens, tokens + 3))
    with pytest.raises(PruneError, match=f"sequence of {tokens} tokens"):
        refused.answer(IMAGES, QUESTION, config("fastv"), memory=False)
    assert allowed.answer(IMAGES, QUESTION, config("fastv"), memory=False).tokens


def test_earlier_turns_count(tmp_path):
    engine = with_window("gemma3", tmp_path, 60)
    history = [("what is left of the cat?", "the dog")] * 4
    with pytest.raises(PruneError, match=r"with fewer earlier turns"):
        engine.compare(IMAGES[:1], QUESTION, config("ilp"), memory=False, history=history)
    assert engine.compare(IMAGES[:1], QUESTION, config("ilp"), memory=False).crop.tokens


def test_what_is_compressed_before_the_llm_does_not_count(family, tmp_path):
    """CROP's own compression, to half of the tokens here, brings the prompt under the window that it would reach."""
    engine = with_window(family, tmp_path, length(with_window(family, tmp_path / "wide", 512), IMAGES))
    for method in ("crop", "plc", "divprune", "none"):
        budget = config(method, 0.25) if method != "none" else CropConfig(method="none", budget=None, max_new_tokens=2)
        assert engine.answer(IMAGES, QUESTION, budget, memory=False).tokens


def test_sweeps_and_benchmarks_give_the_reason(tmp_path):
    engine = with_window("gemma3", tmp_path, 20)
    specs = [RunSpec(name, config(name)) for name in ("ilp", "plc")]
    baseline, inside, before = engine.run_many(IMAGES[0], QUESTION, specs)
    assert baseline.text is not None and before.name == "plc"
    assert isinstance(inside, RunError) and "sliding window of 20" in inside.why
    IMAGES[0].save(tmp_path / "image.png")
    runner = TrialRunner(engine.adapter, None, "noise", Exact(), 2)
    outcome = runner(Example("1", QUESTION, ("dog",), tmp_path / "image.png"), [ALL, Trial("fastv", "75%")])
    assert isinstance(outcome, Skipped) and re.search("sliding window of 20", outcome.reason)


@pytest.mark.parametrize("name", SLIDING)
def test_no_family_writes_more_around_an_image_than_is_allowed_for(name, tmp_path):
    """Otherwise a prompt could pass the cheap count and be too long."""
    build(name, tmp_path)
    adapter = CropEngine.from_pretrained(tmp_path, None, warm_up=False).adapter
    text = len(adapter.tokenizer(adapter.prompt(QUESTION, 3))["input_ids"])
    inputs = adapter.prepare(IMAGES, QUESTION)
    assert inputs.input_ids.shape[1] <= text + int(inputs.visual.sum()) + 3 * MARKS
