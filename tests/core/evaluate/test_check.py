"""The proofs of `crop check`: each fails for what it is there to find. test_check.py of the command line runs all."""

import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from crop_core.compress.random_subset import RandomCompressor
from crop_core.engine.engine import CropEngine
from crop_core.evaluate.check import proofs as module
from crop_core.evaluate.check.check import Check
from crop_core.evaluate.check.proofs import Outcome, Proofs, sample_image
from crop_core.prune import LayerPruning
from crop_core.prune.token_subset import PromptBatch
from crop_core.records.check import FAILED, NOT_APPLICABLE, PASSED, CheckError
from crop_core.records.compression_plan import CompressionPlan
from crop_core.records.methods import METHODS
from crop_core.records.region import Region
from tests.support import checkpoints

QUESTION = "what is left of the dog?"
EXACTNESS = ["pruning", "pruning with eviction", "dropping"]


def all_of(engine):
    return Proofs(engine, sample_image(), QUESTION)


def proofs(engine):
    return {proof.name: proof for proof in all_of(engine).run()}


def failed(engine):
    return [name for name, proof in proofs(engine).items() if proof.status == FAILED]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return checkpoints.save(tmp_path_factory.mktemp("check") / "llava", side=56, layers=6)


@pytest.fixture
def engine(folder, monkeypatch):
    """A fresh one, and few methods: those are run for every family."""
    few = {name: METHODS[name] for name in ("ilp", "random", "visionzip", "learned", "none")}
    monkeypatch.setattr(module, "METHODS", few)
    return CropEngine.from_pretrained(folder, "self", warm_up=False)


def test_the_environment_names_what_was_checked(engine):
    result = Check(engine).environment
    assert (result["adapter"], result["model_type"], result["localizer"]) == ("LlavaAdapter", "llava", "SelfLocalizer")
    assert (result["device"], result["dtype"], result["attention"]) == (str(engine.adapter.device), "float32", "sdpa")
    assert result["parameters"] == engine.adapter.model.num_parameters()
    assert result["localizer_name"] == "self" and result["revision"].startswith("files ")
    assert {"crop-explorer", "transformers", "torch", "python", "date"} <= set(result)


def test_a_check_is_not_taken_up_under_another_profile(engine, tmp_path, monkeypatch):
    monkeypatch.setenv("LOCALIZER_PROFILES", str(tmp_path))
    before = Check(engine)
    assert before.environment["attention_profiles"] == "none"
    stopped = before.begin()
    (tmp_path / f"{engine.adapter.name}-00000000.json").write_text("{}")
    with pytest.raises(CheckError, match=r"of the attention_profiles 'none', not '[0-9a-f]{12}'"):
        Check(engine).begin(stopped)


def test_what_a_model_lacks_is_not_applicable_with_the_reason(engine):
    result = proofs(engine)
    assert result["method learned"].status == NOT_APPLICABLE
    assert "learned PLC" in result["method learned"].detail
    assert result["method learned"].measured is None


def test_half_precision_is_judged_by_a_looser_tolerance(folder, engine):
    exact, half = (
        {name: all_of(other)._pruning(name == "evict") for name in ("pruning", "evict")}
        for other in (engine, CropEngine.from_pretrained(folder, None, dtype="bfloat16", warm_up=False))
    )
    for name, outcome in half.items():
        assert exact[name].measured < 1e-5 < outcome.measured <= outcome.tolerance
        assert outcome.tolerance > 100 * exact[name].tolerance


def test_a_difference_that_hides_in_the_tolerance_proves_nothing(engine, monkeypatch):
    monkeypatch.setattr(module, "TOLERANCE_FLOAT32", 10.0)
    result = proofs(engine)
    assert [result[name].status for name in EXACTNESS] == [NOT_APPLICABLE] * 3
    assert "this proves nothing" in result["pruning"].detail


def test_an_attention_without_masks_is_told_how_to_be_checked(engine, monkeypatch):
    monkeypatch.setattr(engine.adapter.stack.config, "_attn_implementation_internal", "flash_attention_2")
    monkeypatch.setattr(Proofs, "_baseline", lambda self: Outcome(0, 0, ""))
    check = all_of(engine)
    with pytest.raises(module.NotApplicableError, match="takes no mask; check again with --attention sdpa"):
        check._equals_masking(None, {}, None, "")


def test_an_engine_without_a_localizer(folder):
    check = all_of(CropEngine.from_pretrained(folder, None, warm_up=False))
    with pytest.raises(module.NotApplicableError, match="no localizer"):
        check._localizer()


# What is broken on purpose is found, by its name.


def test_a_cut_that_is_off_by_one_layer(engine, monkeypatch):
    """The record names the layer behind the one from which on the tokens are gone."""
    steps = LayerPruning.steps.fget
    later = property(lambda self: [[replace(step, layer=step.layer + 1) for step in own] for own in steps(self)])
    monkeypatch.setattr(LayerPruning, "steps", later)
    assert failed(engine)[:2] == ["pruning", "pruning with eviction"]


def test_a_cut_that_is_off_by_one_token(engine, monkeypatch):
    keeping = PromptBatch.keeping

    def shifted(self, kept):
        return keeping(self, [((own + 1) % total).sort().values for own, total in zip(kept, self.total, strict=True)])

    monkeypatch.setattr(PromptBatch, "keeping", shifted)
    assert failed(engine) == ["pruning", "pruning with eviction"]


def test_a_second_bos_in_the_engines_prompt(engine, monkeypatch):
    prepare, begin = type(engine.adapter).prepare, engine.adapter.tokenizer.bos_token_id

    def doubled(self, *given):
        inputs = prepare(self, *given)
        more = {"input_ids": begin, "attention_mask": 1, "visual": False}
        return replace(inputs, **{name: F.pad(getattr(inputs, name), (2, 0), value=x) for name, x in more.items()})

    monkeypatch.setattr(type(engine.adapter), "prepare", doubled)
    result = proofs(engine)
    assert [name for name, proof in result.items() if proof.status == FAILED] == ["prompt", "baseline"]
    assert "begins with two BOS tokens" in result["prompt"].detail


def test_a_second_bos_in_the_template_itself(engine):
    engine.adapter.processor.chat_template = "<s><s>" + checkpoints.TEMPLATE
    result = proofs(engine)
    assert [name for name, proof in result.items() if proof.status == FAILED] == ["prompt"]
    assert result["prompt"].measured == 0 and "begins with two BOS tokens" in result["prompt"].detail


def test_features_that_are_not_as_many_as_placeholders(engine, monkeypatch):
    encode = type(engine.adapter).encode

    def fewer(self, inputs):
        out = encode(self, inputs)
        out.pooler_output = [each[1:] for each in out.pooler_output]
        return out

    monkeypatch.setattr(type(engine.adapter), "encode", fewer)
    result = proofs(engine)
    assert (result["visual tokens"].status, result["visual tokens"].measured) == (FAILED, 1)
    assert "layout 16, placeholders 16, features 15" in result["visual tokens"].detail
    assert result["prompt"].status == PASSED and result["baseline"].status == FAILED


def test_a_layout_that_does_not_fit_the_processor(engine, monkeypatch):
    layout = type(engine.adapter).layout

    def shorter(self, *given):
        whole = layout(self, *given)
        return replace(
            whole, boxes=whole.boxes[1:], **{name: getattr(whole, name)[1:] for name in ("view", "row", "col")}
        )

    monkeypatch.setattr(type(engine.adapter), "layout", shorter)
    result = proofs(engine)
    assert result["visual tokens"].status == FAILED
    assert "16 placeholders for 15 visual tokens" in result["visual tokens"].detail


def test_a_weight_that_is_not_a_number(engine):
    with torch.no_grad():
        engine.adapter.model.lm_head.weight[0, 0] = math.nan
    result = proofs(engine)
    assert (result["checkpoint"].status, result["checkpoint"].measured) == (FAILED, 1)
    assert result["baseline"].status == FAILED and result["baseline"].measured is None


def test_a_method_that_exceeds_its_budget(engine, monkeypatch):
    def whole(self, image, count):
        return CompressionPlan.identity(image.layout.count)

    monkeypatch.setattr(RandomCompressor, "plan", whole)
    result = proofs(engine)
    assert [name for name, proof in result.items() if proof.status == FAILED] == ["method random"]
    assert result["method random"].measured > result["method random"].tolerance


def test_a_region_of_another_image(engine, monkeypatch):
    monkeypatch.setattr(engine, "localize", lambda image, question: Region.whole(10, 10))
    assert failed(engine) == ["localizer"]
