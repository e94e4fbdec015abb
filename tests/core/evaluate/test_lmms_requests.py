"""What the lmms-eval plug-in makes of arguments and requests, and that it answers as the engine does; no lmms-eval."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from crop_core.engine.engine import CropEngine
from crop_core.evaluate.lmms_eval.requests import (
    MAX_NEW_TOKENS,
    GenerationRequest,
    continuation_ids,
    request_images,
    request_text,
)
from crop_core.evaluate.lmms_eval.runner import BudgetMissed, RequestRunner, TokenLog
from crop_core.evaluate.lmms_eval.settings import LmmsError, LmmsSettings
from crop_core.prune import schedule
from crop_core.records.config import Budget, ConfigError, CropConfig
from tests.support import checkpoints

PLACE = "Question 3 of the task pope"


# Arguments


def test_arguments_become_a_config_and_options_of_the_engine() -> None:
    arguments = {"pretrained": "some/model", "budget": 64, "localizer": "self", "device": "cuda:1", "compiled": True}
    settings = LmmsSettings.of({**arguments, "evict": True, "seed": 3})
    assert settings.config.budget == Budget(mean_tokens=64)
    assert (settings.config.method, settings.config.seed, settings.config.ilp.evict) == ("crop", 3, True)
    expected = {"model": "some/model", "localizer": "self", "device": "cuda:1", "compiled": True}
    assert settings.engine_options() == {**expected, "dtype": None, "attn": None, "quantize": None}


def test_nothing_said_is_crop_at_the_default_budget_of_the_bundled_model() -> None:
    settings = LmmsSettings.of({})
    assert settings.config.method == "crop"
    assert settings.config.budget == CropConfig().budget
    assert "model" not in settings.engine_options()
    assert LmmsSettings.of({"budget": "25%"}).config.budget == Budget(share=0.25)
    assert LmmsSettings.of({"method": "none"}).config.budget is None


@pytest.mark.parametrize("arguments", [{"method": "fastv"}, {"method": "none"}, {"localizer": "whole"}])
def test_no_localizer_is_loaded_that_nobody_asks(arguments: dict[str, str]) -> None:
    assert LmmsSettings.of(arguments).engine_options()["localizer"] is None


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"budgets": 64}, "'budgets' is no argument of the model crop; known are pretrained, localizer, method"),
        ({"evict": 1}, "evict is 1, and must be True or False."),
        ({"seed": True}, "seed is True, and must be a whole number."),
        ({"seed": 0.5}, "seed is 0.5, and must be a whole number."),
        ({"method": "none", "budget": 64}, "The method 'none' prunes nothing; leave out budget=64."),
        ({"method": "fast"}, "The method 'fast' is not known"),
        ({"localizer": "none"}, "The method 'crop' needs a region; choose a localizer that is not none."),
        ({"budget": 0.25}, "A budget of 0.25 tokens is not possible; give at least 1."),
        ({"budget": "many"}, "The budget 'many' is neither a number of tokens"),
        ({"trace": "/no/such/folder/trace.jsonl"}, "cannot be written"),
    ],
)
def test_wrong_arguments_are_one_sentence(arguments: dict[str, object], sentence: str) -> None:
    with pytest.raises(ValueError, match=f"^.*{sentence}".replace("(", r"\(")):
        LmmsSettings.of(arguments)


# Requests


@pytest.mark.parametrize(
    ("settings", "wanted"),
    [
        ({}, GenerationRequest(MAX_NEW_TOKENS)),
        # as pope, as a task without generation_kwargs, as mathvista, as a llava task: taken from lmms-eval's own YAML
        (
            {"max_new_tokens": 128, "temperature": 0.0, "top_p": 1.0, "num_beams": 1, "do_sample": False},
            GenerationRequest(128),
        ),
        ({"until": ["\n\n"], "do_sample": False}, GenerationRequest(MAX_NEW_TOKENS, ("\n\n",))),
        ({"max_new_tokens": 16, "temperature": 0.2, "do_sample": False, "num_beams": None}, GenerationRequest(16)),
        (
            {"max_new_tokens": 8, "image_aspect_ratio": "original"},
            GenerationRequest(8, ignored=("image_aspect_ratio",)),
        ),
        ({"until": "###", "max_gen_toks": 5}, GenerationRequest(5, ("###",))),
        ({"until": None, "temperature": None, "do_sample": True}, GenerationRequest()),
        ({"until": ["", "Q:"], "do_sample": True, "temperature": 0}, GenerationRequest(until=("Q:",))),
    ],
)
def test_greedy_settings_are_read(settings: dict[str, object], wanted: GenerationRequest) -> None:
    assert GenerationRequest.of(settings, PLACE) == wanted


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"temperature": 0.7}, "asks for sampling at temperature 0.7, and answers here are greedy"),
        ({"temperature": 1, "do_sample": True}, "asks for sampling at temperature 1, and"),
        ({"do_sample": True}, "asks for sampling at temperature 1, and"),
        ({"num_beams": 4}, "asks for num_beams=4, and answers here are greedy; add --gen_kwargs num_beams=1."),
        ({"repetition_penalty": 1.1}, "asks for repetition_penalty=1.1, and"),
        ({"max_new_tokens": 0}, "asks for max_new_tokens=0; give a whole number"),
        ({"max_new_tokens": 12.5}, "asks for max_new_tokens=12.5; give a whole number"),
        ({"until": [3]}, "asks for until=.3.; give a text or a list of texts"),
    ],
)
def test_settings_that_are_not_greedy_are_refused(settings: dict[str, object], sentence: str) -> None:
    with pytest.raises(LmmsError, match=rf"^{PLACE} {sentence}"):
        GenerationRequest.of(settings, PLACE)


def test_an_answer_ends_before_the_first_of_its_ends() -> None:
    assert GenerationRequest(until=("\n\n", "Q:")).cut("yes\nQ: and now?\n\nno") == "yes\n"
    assert GenerationRequest(until=("yes",)).cut("yes") == ""
    assert GenerationRequest(until=("###",)).cut("a # b") == "a # b"
    assert GenerationRequest().cut("a\n\nb") == "a\n\nb"


def test_images_become_rgb_in_their_order() -> None:
    clear = Image.new("RGBA", (4, 3), (255, 0, 0, 0))
    grey = Image.new("L", (5, 2), 7)
    result = request_images([clear, grey], PLACE)
    assert [(each.mode, each.size, each.getpixel((0, 0))) for each in result] == [
        ("RGB", (4, 3), (255, 255, 255)),  # what is transparent lies on white
        ("RGB", (5, 2), (7, 7, 7)),
    ]


@pytest.mark.parametrize("visuals", [[], None, ["clip.mp4"], [Image.new("RGB", (2, 2)), {"array": [0.0]}]])
def test_what_is_no_image_is_refused(visuals: object) -> None:
    with pytest.raises(LmmsError, match=rf"^{PLACE} (has no image|holds a (str|dict) instead of an image); choose"):
        request_images(visuals, PLACE)


def test_text_is_text() -> None:
    assert request_text("What is it?\nAnswer briefly.", "question", PLACE) == "What is it?\nAnswer briefly."
    for value in (3, " ", ["a"], None):
        with pytest.raises(LmmsError, match=rf"^{PLACE} has the question .* which is no text"):
            request_text(value, "question", PLACE)


def in_twos(prompt: str, add_special_tokens: bool) -> dict[str, list[int]]:
    """A tokenizer whose tokens are pairs of characters, wherever a word begins."""
    assert not add_special_tokens
    return {"input_ids": [sum(map(ord, prompt[at : at + 2])) for at in range(0, len(prompt), 2)]}


def test_continuations_begin_where_an_answer_would() -> None:
    assert continuation_ids(in_twos, "A:", "no") == [ord(" ") + ord("n"), ord("o")]
    assert continuation_ids(in_twos, "A:", " no ") == [ord(" ") + ord("n"), ord("o")]
    assert continuation_ids(in_twos, "AB:\n", "no") == [ord("n") + ord("o")]
    with pytest.raises(LmmsError, match=r"^The continuation 'no' has no tokens of its own behind the prompt"):
        continuation_ids(in_twos, "AB:", "no")  # its first token would be ": "


# Answers


def sample_image(width: int, height: int, seed: int) -> Image.Image:
    noise = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(noise)


QUESTION = "what is left of the dog?"
IMAGES = [sample_image(112, 112, seed) for seed in range(3)]


@pytest.fixture(scope="module")
def engine(tmp_path_factory) -> CropEngine:
    """Random weights; 8x8 visual tokens in 4 layers."""
    folder = tmp_path_factory.mktemp("lmms")
    checkpoints.save(folder / "answers")
    checkpoints.save(folder / "locates", "squash", seed=1)
    return CropEngine.from_pretrained(folder / "answers", folder / "locates", device="cpu")


def runner(engine: CropEngine, method: str, budget: float | None) -> RequestRunner:
    limit = None if budget is None else Budget(mean_tokens=budget)
    return RequestRunner(engine.adapter, engine.localizer, CropConfig(method=method, budget=limit))


@pytest.mark.parametrize(("method", "budget"), [("crop", 32), ("fastv", 40), ("region", 16), ("none", None)])
def test_answers_are_the_engines(engine: CropEngine, method: str, budget: float | None) -> None:
    own = runner(engine, method, budget)
    config = replace(own.config, max_new_tokens=8, repeats=1)
    for image in IMAGES:
        result, facts = own.answer([image], QUESTION, 8), own.answer([image], QUESTION, 8).facts()
        expected = engine.answer(image, QUESTION, config, memory=False)
        trace = expected.trace
        assert result.text == expected.text
        assert (facts["mean_tokens"], facts["final_tokens"]) == (trace.mean_tokens, trace.final_tokens)
        assert facts["regions"] == ([list(trace.region.grid)] if config.parts.needs_region else [])
        assert facts["confidence"] == ([trace.region.confidence] if config.parts.needs_region else [])
        assert facts["new_tokens"] == len(expected.tokens)
        assert trace.mean_tokens <= (budget or 64)


def test_several_images_share_the_budget(engine: CropEngine) -> None:
    facts = runner(engine, "crop", 60).answer([IMAGES[0], sample_image(80, 112, 9)], QUESTION, 2).facts()
    assert facts["visual_tokens"] == 2 * 64
    assert 58 <= facts["mean_tokens"] <= 60
    assert len(facts["regions"]) == len(facts["confidence"]) == 2


def test_images_within_the_budget_are_not_pruned_and_that_is_told(engine: CropEngine) -> None:
    for tokens in (64, 65):
        facts = runner(engine, "crop", tokens).answer(IMAGES[:1], QUESTION, 2).facts()
        assert (facts["method"], facts["mean_tokens"], facts["regions"]) == ("none", 64, [])
    with pytest.raises(ConfigError, match="A budget of 1 visual tokens is not possible for 2 images"):
        runner(engine, "crop", 1).answer(IMAGES[:2], QUESTION, 2)


def test_a_method_that_prunes_nothing_is_an_error(engine: CropEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schedule, "cuts", lambda *_: [])
    with pytest.raises(BudgetMissed, match=r"^The method 'ilp' left 64 visual tokens per layer for a budget of 32;"):
        runner(engine, "ilp", 32).answer(IMAGES[:1], QUESTION, 2)


def test_the_loss_is_that_of_transformers(engine: CropEngine) -> None:
    """As lmms-eval's own models find it: one forward pass over prompt and continuation, with labels."""
    adapter = engine.adapter
    prepared = adapter.prepare(IMAGES[0], QUESTION)
    for continuation in ("red", "cat left", "3 : 4 ?"):
        tail = torch.tensor([adapter.tokenizer(" " + continuation, add_special_tokens=False)["input_ids"]])
        labels = torch.cat([torch.full_like(prepared.input_ids, -100), tail], 1)
        ids = torch.cat([prepared.input_ids, tail], 1)
        with torch.no_grad():
            out = adapter.model(input_ids=ids, pixel_values=prepared.vision["pixel_values"], labels=labels)
        judged = runner(engine, "none", None).judge(IMAGES[:1], QUESTION, continuation)
        assert judged.loss == pytest.approx(float(out.loss), rel=1e-5)


@pytest.mark.parametrize(("method", "budget"), [("crop", 32), ("ilp", 40), ("none", None)])
def test_the_answer_is_its_own_greedy_continuation(engine: CropEngine, method: str, budget: float | None) -> None:
    own = runner(engine, method, budget)
    config = replace(own.config, max_new_tokens=4, repeats=1)
    for image in IMAGES:
        answer = own.answer([image], QUESTION, 4)
        logprobs = [token.logprob for token in engine.answer(image, QUESTION, config, memory=False).tokens]
        judged = own.judge([image], QUESTION, answer.text)
        assert judged.run.generated.ids == answer.run.generated.ids
        assert judged.greedy
        assert judged.loss == pytest.approx(-sum(logprobs) / len(logprobs), rel=1e-5)
        assert judged.run.mean_tokens == answer.run.mean_tokens
        assert not own.judge([image], QUESTION, "user").greedy


# What is kept


def test_every_request_is_a_line_and_means_are_over_all(tmp_path) -> None:
    path = tmp_path / "trace.jsonl"
    facts = {"method": "crop", "visual_tokens": 576, "mean_tokens": 64.0, "final_tokens": 17}
    first = {**facts, "seconds": 0.5, "new_tokens": 2}
    second = {**facts, "method": "none", "visual_tokens": 36, "mean_tokens": 36.0, "final_tokens": 36}
    ledger = TokenLog(str(path))
    assert ledger.means() == {}
    ledger.add({"task": "a", "doc_id": 0}, first)
    ledger.add({"task": "a", "doc_id": 1}, {**second, "seconds": 1.5, "new_tokens": 4})
    means = {"visual_tokens": 306.0, "mean_tokens": 50.0, "final_tokens": 26.5, "share_unpruned": 0.5}
    assert ledger.means() == means
    assert (ledger.seconds, ledger.new_tokens) == (2.0, 6)
    TokenLog(str(path)).add({"task": "b", "doc_id": 0}, first)  # a run that goes on
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [(line["task"], line["doc_id"], line["method"]) for line in lines] == [
        ("a", 0, "crop"), ("a", 1, "none"), ("b", 0, "crop"),
    ]  # fmt: skip
