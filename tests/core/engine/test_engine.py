"""The engine on tiny random models that are loaded from disk: its answers, its costs, and what it leaves behind."""

import json
import math
from dataclasses import replace

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode
from transformers import AutoProcessor, LlavaForConditionalGeneration

from crop_core.engine.engine import CropEngine
from crop_core.engine.request_checks import EngineError
from crop_core.engine.run import Task
from crop_core.localize import WholeImage
from crop_core.measure.flops import counted
from crop_core.models import ModelError
from crop_core.records.config import Budget, CropConfig, IlpConfig
from crop_core.records.region import Region
from crop_core.records.results import Comparison, RunSpec
from tests.support import checkpoints
from tests.support.small_engine import IMAGE, OTHER, QUESTION, REGION, SMALL, config, figures, save_models

LATER = ("scope", "mmtok", "holov")
PEERS = ("distinct", "visionzip", "divprune", "cdpruner", "vispruner", *LATER)  # which multiply while they plan
LEARNED = ("learned", "queries")  # which do so too, and change the model
BEFORE = ("crop", "plc", "random", "region", "downsample", *LEARNED, *PEERS)  # with a compressor
METHODS = ("crop", "plc", "ilp", "fastv", "random", "region", "downsample", *LEARNED, *PEERS, "none")
NO_REGION = ("fastv", "random", "downsample", *PEERS[1:], "none")


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    return save_models(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="module")
def engine(folders):
    return CropEngine.from_pretrained(*folders)


@pytest.fixture(scope="module")
def compared(engine):
    """One comparison per method, with two timed repetitions."""
    return {name: engine.compare(IMAGE, QUESTION, config(name, repeats=2)) for name in METHODS}


def test_the_baseline_is_plain_generate(engine, folders):
    model = LlavaForConditionalGeneration.from_pretrained(folders[0])
    inputs = AutoProcessor.from_pretrained(folders[0], backend="pil")(
        images=IMAGE, text=engine.adapter.prompt(QUESTION), return_tensors="pt"
    )
    out = model.generate(**inputs, max_new_tokens=4, do_sample=False, return_dict_in_generate=True, output_logits=True)
    ids = out.sequences[0, inputs["input_ids"].shape[1] :].tolist()
    answer = engine.answer(IMAGE, QUESTION, config("none"))
    expected = [float(logits[0].log_softmax(-1)[each]) for logits, each in zip(out.logits, ids, strict=True)]
    assert answer.text == engine.adapter.decode(ids)
    assert [token.logprob for token in answer.tokens] == pytest.approx(expected, abs=1e-5)
    assert answer.cost.kv_bytes == sum(2 * layer.keys.numel() * 4 for layer in out.past_key_values.layers)
    assert all(token.other_logprob is None for token in answer.tokens)


@pytest.mark.parametrize("method", METHODS)
def test_both_answers_are_those_of_the_runs_alone(engine, compared, method):
    comparison, crop = compared[method], engine.answer(IMAGE, QUESTION, config(method), memory=False)
    assert comparison.crop.text == crop.text
    assert comparison.baseline.text == compared["none"].crop.text
    assert [token.logprob for token in comparison.crop.tokens] == [token.logprob for token in crop.tokens]
    assert comparison.crop.trace.to_json() == crop.trace.to_json()


@pytest.mark.parametrize("method", METHODS)
def test_the_budget_is_met(compared, method):
    trace = compared[method].crop.trace
    expected = {"crop": (48, 24), "plc": (24, 24), "ilp": (64, 24), "fastv": (64, 24), "random": (24, 24)}
    expected |= dict.fromkeys(("region", "downsample", *LEARNED, *PEERS), (24, 24))
    expected = expected.get(method, (64, 64))
    assert trace.input_tokens == expected[0]
    assert trace.mean_tokens == pytest.approx(expected[1], abs=0.5)
    assert trace.mean_tokens <= expected[1]
    assert compared[method].baseline.trace.mean_tokens == 64


@pytest.mark.parametrize("method", METHODS)
def test_costs_fit_together(engine, compared, method):
    baseline, crop = compared[method].baseline.cost, compared[method].crop.cost
    for cost in (baseline, crop):
        first = cost.localizer_s + cost.encode_s + cost.compression_s + cost.scoring_s + cost.prefill_s
        assert 0 < first <= cost.ttft_s <= cost.total_s
        assert cost.total_s == pytest.approx(cost.ttft_s + cost.decode_s)
        assert cost.new_tokens == 4 and cost.tokens_per_s == pytest.approx(4 / cost.total_s)
        assert (cost.device, cost.dtype) == ("cpu", "float32")
        assert cost.peak_bytes > cost.kv_bytes
    assert (baseline.localizer_s, baseline.compression_s, baseline.scoring_s) == (0, 0, 0)
    assert (baseline.localizer_weights_bytes, baseline.localizer_flops) == (0, 0)
    assert 0 < baseline.weights_bytes <= crop.weights_bytes
    assert (baseline.weights_bytes < crop.weights_bytes) == (method in LEARNED)
    localized = method not in NO_REGION
    assert (crop.localizer_flops > 0, crop.localizer_weights_bytes > 0) == (localized, localized)
    assert (crop.compression_s > 0) == (method in BEFORE)
    assert (crop.scoring_s > 0) == (method in ("crop", "ilp", "fastv"))
    if method != "none":
        assert crop.kv_bytes < 0.6 * baseline.kv_bytes
        assert crop.flops < baseline.flops


@pytest.mark.parametrize("method", METHODS)
def test_kv_bytes_are_what_the_trace_says(compared, method):
    """Text and generated tokens (but the last) in every layer, and the visual tokens that are alive there."""
    result = compared[method]
    per_token = 2 * 2 * 8 * 4  # keys and values, two heads of 8, four bytes
    text = result.baseline.cost.kv_bytes // (6 * per_token) - 64
    assert result.crop.cost.kv_bytes == per_token * sum(text + int(alive) for alive in result.crop.trace.alive_counts)


@pytest.mark.parametrize("method", METHODS)
def test_flops_are_what_pytorch_counts(engine, compared, method):
    """The whole request with one new token: both vision towers, locator, pooling, scoring, pruned prefill."""
    task = Task(engine.adapter, IMAGE, QUESTION, config(method, max_new_tokens=1))
    localizer = WholeImage() if method in NO_REGION else engine.localizer
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        (finding,) = task.localize([localizer]).results
        run = task.crop(finding.region)
    again = counted(lambda: task.crop(finding.region)) - run.flops  # a plan of its own, in which the method is counted
    assert (again > 0) == (method in (*LEARNED, *PEERS))
    assert run.flops + finding.flops + again == counter.get_total_flops()
    cost = compared[method].crop.cost
    assert (cost.flops, cost.localizer_flops) == (run.flops, finding.flops)


@pytest.mark.parametrize("method", METHODS)
def test_probabilities_under_the_other_run_are_teacher_forced(engine, compared, method):
    """The baseline's side against one forward of the plain model over prompt and answer."""
    result = compared[method]
    inputs = engine.adapter.prepare(IMAGE, QUESTION)
    length = inputs.input_ids.shape[1]
    for side, own in ((result.crop, False), (result.baseline, True)):
        ids = engine.adapter.tokenizer.convert_tokens_to_ids([token.text for token in side.tokens])
        image = engine.adapter.image_token_id  # a random model may write it, and forward cannot read it in an answer
        ids = ids[: ids.index(image) + 1] if image in ids else ids
        with torch.no_grad():
            fed = torch.cat([inputs.input_ids, torch.tensor([ids[:-1]], dtype=torch.long)], 1)
            table = engine.adapter.model(input_ids=fed, **inputs.vision).logits[0, length - 1 :].log_softmax(-1)
        expected = table[torch.arange(len(ids)), ids].tolist()
        logprobs = [token.logprob if own else token.other_logprob for token in side.tokens]
        assert logprobs[: len(ids)] == pytest.approx(expected, abs=1e-4)


def test_the_crop_side_is_teacher_forced_under_pruning(engine, compared):
    result = compared["crop"]
    assert result.crop.text != result.baseline.text
    task = Task(engine.adapter, IMAGE, QUESTION, config("crop"))
    ids = engine.adapter.tokenizer.convert_tokens_to_ids([token.text for token in result.baseline.tokens])
    run = task.crop(result.region, forced=ids)
    assert run.generated.ids == ids
    assert run.traces[0].to_json() == replace(result.crop.trace, explanation=None).to_json()
    expected = [float(row.log_softmax(-1)[each]) for row, each in zip(run.generated.logits, ids, strict=True)]
    assert [token.other_logprob for token in result.baseline.tokens] == pytest.approx(expected, abs=1e-5)
    # the first token needs no forcing: both runs start from the same prompt
    first = result.crop.tokens[0]
    assert result.baseline.tokens[0].other_logprob <= first.logprob


def test_how_far_the_first_token_moved(engine, compared):
    assert compared["none"].kl_first == 0 and compared["none"].same
    task = Task(engine.adapter, IMAGE, QUESTION, config("crop"))
    region = compared["crop"].region
    before, after = task.baseline(region).generated.logits[0], task.crop(region).generated.logits[0]
    expected = torch.nn.functional.kl_div(
        after.log_softmax(-1), before.log_softmax(-1), log_target=True, reduction="sum"
    )
    assert compared["crop"].kl_first == pytest.approx(float(expected), rel=1e-3)
    assert compared["crop"].kl_first > 0.01


def test_the_record_survives_json(compared):
    for result in compared.values():
        text = json.dumps(result.to_json(), allow_nan=False)
        assert Comparison.from_json(json.loads(text)).to_json() == result.to_json()
        assert result.to_json()["region"]["source"] in ("predicted", "whole")


@pytest.mark.parametrize("method", METHODS)
def test_an_encoded_image_gives_the_same_run_again_and_again(engine, compared, method):
    task = Task(engine.adapter, IMAGE, QUESTION, config(method))
    region = compared[method].region
    encoded, alone = task.encode(), task.crop(region)
    for _ in range(2):
        shared = Task(engine.adapter, IMAGE, QUESTION, config(method), encoded).crop(region)
        assert shared.generated.ids == alone.generated.ids
        assert torch.equal(shared.generated.logits, alone.generated.logits)
        assert shared.traces[0].to_json() == alone.traces[0].to_json()


def test_a_given_region_needs_no_localizer(engine, folders):
    result = engine.compare(IMAGE, QUESTION, SMALL, REGION)
    assert result.region == REGION
    assert (result.crop.cost.localizer_weights_bytes, result.crop.cost.localizer_flops) == (0, 0)
    alone = CropEngine.from_pretrained(folders[0], None)
    assert figures(alone.compare(IMAGE, QUESTION, config("crop", localizer="drawn"), REGION)) == figures(result)
    whole = alone.compare(IMAGE, QUESTION, config("crop", localizer="whole"))
    assert (whole.region, whole.localizer, result.localizer) == (Region.whole(200, 120), "whole", "predicted")
    with pytest.raises(EngineError, match="no localizer model here"):
        alone.compare(IMAGE, QUESTION, SMALL)


@pytest.mark.parametrize(
    ("changes", "region", "message"),
    [
        (
            {"budget": Budget(share=0.001)},
            None,
            "0.064 visual tokens is not possible for an image of 64; give at least",
        ),
        ({"method": "ilp", "budget": Budget(mean_tokens=8)}, None, "out of reach.*the least is 11.5"),
        ({"method": "fastv", "budget": Budget(mean_tokens=8)}, None, "at layer 1 of 6, the least is 11.5"),
        ({"method": "ilp", "ilp": IlpConfig(((9, 0.5),))}, None, "cuts at layer 9, but this model of 6"),
        ({"localizer": "drawn"}, None, "no box was given"),
        ({}, Region.whole(100, 100), "belongs to an image of 100x100 pixels, this one has 200x120"),
    ],
)
def test_what_cannot_be_is_refused_before_any_model_runs(engine, monkeypatch, changes, region, message):
    monkeypatch.setattr(engine.adapter.model, "forward", lambda *_, **__: pytest.fail("the model ran"))
    monkeypatch.setattr(engine.localizer, "localize", lambda *_: pytest.fail("the localizer ran"))
    wanted = CropConfig(**{"method": "crop", **changes})
    for call in (engine.compare, engine.answer, lambda *args: list(engine.stream(*args))):
        with pytest.raises(ValueError, match=message) as caught:
            call(IMAGE, QUESTION, wanted, region)
        assert str(caught.value).endswith(".") and "\n" not in str(caught.value)


def test_a_budget_that_saves_nothing_is_said_to(engine, compared):
    everything = engine.compare(IMAGE, QUESTION, config("crop", budget=Budget(share=1.0)), REGION, memory=False)
    assert everything.same and everything.kl_first == pytest.approx(0, abs=1e-6)
    assert any("no saving" in notice for notice in everything.notices)
    assert any("no saving" in notice for notice in compared["none"].notices)
    assert not any("no saving" in notice for notice in compared["crop"].notices)


def but_for_cuts(comparison):
    """Its notices but that of answers of four tokens, which this model never ends by itself."""
    return [notice for notice in comparison.notices if "cut after 4 tokens" not in notice]


@pytest.mark.parametrize("tokens", [64, 65, 1000])
@pytest.mark.parametrize("method", [name for name in METHODS if name != "none"])
def test_a_budget_of_at_least_the_image_s_tokens_keeps_all_of_them(engine, compared, method, tokens):
    found = engine.compare(IMAGE, QUESTION, config(method, budget=Budget(mean_tokens=tokens)), REGION, memory=False)
    alone = engine.answer(IMAGE, QUESTION, found_config := config(method, budget=Budget(mean_tokens=tokens)), REGION)
    assert found.crop.text == alone.text == compared["none"].baseline.text
    assert found.kl_first == 0 and found.crop.trace.mean_tokens == found_config.budget.tokens(64) == 64
    assert [each.logprob for each in found.crop.tokens] == [each.logprob for each in found.baseline.tokens]
    (notice,) = but_for_cuts(found)
    assert notice == (
        f"Nothing was pruned: a budget of {tokens} tokens keeps all 64 visual tokens in every layer, so there is no "
        "saving."
    )


def test_a_large_budget_of_several_images_and_in_a_sweep(engine):
    wide = config("crop", budget=Budget(mean_tokens=200))
    both = engine.compare([IMAGE, OTHER], QUESTION, wide, [REGION, None], memory=False)
    assert both.crop.total("mean_tokens") == 128 and both.same
    assert (
        engine.compare([IMAGE, OTHER], QUESTION, config("crop", budget=Budget(100)), memory=False).crop.total(
            "mean_tokens"
        )
        <= 100
    )
    baseline, spec = engine.run_many(IMAGE, QUESTION, [RunSpec("wide", wide, REGION)])
    assert (spec.text, spec.trace.mean_tokens, spec.kl_first) == (baseline.text, 64, 0)


def test_a_region_that_does_not_fit_and_one_that_is_not_seen(engine):
    wide = engine.compare(IMAGE, QUESTION, config("ilp"), Region(1, 0, 6, 7, 200, 120), memory=False)
    assert any("did not fit" in notice for notice in wide.notices)
    unseen = engine.compare(IMAGE, QUESTION, config("ilp"), Region(0, 0, 0, 7, 200, 120), memory=False)
    assert any("No visual token lies in the region" in notice for notice in unseen.notices)
    fits = engine.compare(IMAGE, QUESTION, config("crop"), Region(3, 3, 4, 4, 200, 120), memory=False)
    assert but_for_cuts(fits) == []


@pytest.mark.parametrize("method", ["fastv", "random"])
def test_a_method_without_a_region_asks_for_none_and_reads_none(folders, compared, method):
    alone = CropEngine.from_pretrained(folders[0], None)
    assert figures(alone.compare(IMAGE, QUESTION, config(method), REGION)) == figures(compared[method])
    assert compared[method].region.is_whole
    assert but_for_cuts(compared[method]) == []


def test_the_seed_alone_decides_which_tokens_random_keeps(engine, compared):
    assert (compared["random"].seed, compared["fastv"].seed) == (0, None)
    kept = compared["random"].crop.trace.group >= 0
    for image, question, seed, same in ((OTHER, "where is the cat?", 0, True), (IMAGE, QUESTION, 1, False)):
        other = engine.answer(image, question, config("random", seed=seed)).trace.group >= 0
        assert other.sum() == kept.sum() == 24
        assert (other == kept).all() == same


def test_fastv_says_in_the_trace_where_it_could_cut(engine, compared):
    """64 tokens whole in two of six layers are 128, in one 64: a mean of 24 is 144 in all, one of 12 is 72."""
    tight = engine.answer(IMAGE, QUESTION, config("fastv", budget=Budget(mean_tokens=12)))
    traces = [compared["fastv"].crop.trace, tight.trace]
    traces.append(engine.answer(IMAGE, QUESTION, config("fastv@paper")).trace)
    cuts = [[(step.layer, len(step.kept)) for step in trace.steps] for trace in traces]
    assert cuts == [[(1, 16)], [(1, 1)], [(2, 4)]]


def test_unknown_words(engine):
    for question, unknown in (("what is left of the zebra?", ["zebra"]), (QUESTION, [])):
        assert engine.compare(IMAGE, question, SMALL, REGION, memory=False).unknown_words == unknown


def test_eager_attention_answers_the_same(engine, folders, compared):
    eager = CropEngine.from_pretrained(*folders, attn="eager")
    result = eager.compare(IMAGE, QUESTION, config("crop"), memory=False)
    assert (result.baseline.text, result.crop.text) == (compared["crop"].baseline.text, compared["crop"].crop.text)
    assert result.kl_first == pytest.approx(compared["crop"].kl_first, rel=1e-3)


def test_an_answer_that_ends_early(engine, monkeypatch):
    """The end token counts as a token, is in no text, and ends the answer."""
    real = engine.adapter.model.forward

    def forward(*args, **kwargs):
        out = real(*args, **kwargs)
        if kwargs["input_ids"].shape[1] == 1:  # after the first token
            out.logits[..., 2] += 1000
        return out

    monkeypatch.setattr(engine.adapter.model, "forward", forward)
    result = engine.compare(IMAGE, QUESTION, config("crop"), memory=False)
    for answer in (result.baseline, result.crop):
        assert [token.text for token in answer.tokens][1:] == ["</s>"]
        assert answer.text == answer.tokens[0].text
        assert answer.cost.new_tokens == 2
        assert math.isclose(answer.tokens[1].logprob, 0, abs_tol=1e-3)


def test_a_locator_must_be_able_to_say_numbers(folders, tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoints, "WORDS", [word for word in checkpoints.WORDS if word != "5"])
    with pytest.raises(ModelError, match="no token for 5"):
        CropEngine.from_pretrained(folders[0], checkpoints.save(tmp_path, "squash"))
