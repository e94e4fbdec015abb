"""The proofs of `crop check`: they pass for every family, and each fails for what it is there to find."""

import math

import pytest
import torch

from crop_core.compress.random_subset import RandomCompressor
from crop_core.engine.engine import CropEngine
from crop_core.evaluate import check as module
from crop_core.evaluate.check import FAILED, NOT_APPLICABLE, PASSED, Check, Outcome, sample_image
from crop_core.models import compressed_inputs
from crop_core.models.base_adapter import BaseAdapter
from crop_core.prune import hooks
from crop_core.prune.token_subset import PromptBatch
from crop_core.records.compression_plan import CompressionPlan
from crop_core.records.methods import METHODS
from crop_core.records.region import Region
from tests.support import checkpoints
from tests.support.families import FAMILIES, VARIANTS, build
from tests.support.learned import add_plc

QUESTION = "what is left of the dog?"
EXACTNESS = ["pruning", "pruning with eviction", "dropping"]


def proofs(engine, question=QUESTION):
    return {proof.name: proof for proof in Check(engine, question=question).proofs()}


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


@pytest.mark.parametrize("family", [*FAMILIES, *VARIANTS])
def test_every_proof_passes_for_every_family(family, tmp_path):
    build(family, tmp_path)
    add_plc(tmp_path)
    found = proofs(CropEngine.from_pretrained(tmp_path, "self", warm_up=False))
    assert list(found) == [
        *["checkpoint", "visual tokens", "prompt", "baseline"],
        *[*EXACTNESS, *(f"method {name}" for name in METHODS if name != "none"), "localizer"],
    ]
    assert {name: proof.detail for name, proof in found.items() if proof.status == FAILED} == {}
    unproved = {name: proof.detail for name, proof in found.items() if proof.status == NOT_APPLICABLE}
    assert set(unproved) == (set() if family == "llava" else {"method visionzip", "method vispruner"})
    assert all("no class token that can be read" in reason for reason in unproved.values())
    for name in EXACTNESS:
        assert found[name].measured <= found[name].tolerance < 0.1
        assert "logits of 8 tokens" in found[name].detail
    assert all("2 images" in found[f"method {name}"].detail for name in ("crop", "fastv"))


def test_the_environment_names_what_was_checked(engine):
    found = Check(engine).environment
    assert (found["adapter"], found["model_type"], found["localizer"]) == ("LlavaAdapter", "llava", "SelfLocalizer")
    assert (found["device"], found["dtype"], found["attention"]) == (str(engine.adapter.device), "float32", "sdpa")
    assert found["parameters"] == engine.adapter.model.num_parameters()
    assert {"crop-explorer", "transformers", "torch", "python", "date"} <= set(found)


def test_what_a_model_lacks_is_not_applicable_with_the_reason(engine):
    found = proofs(engine)
    assert found["method learned"].status == NOT_APPLICABLE
    assert "learned PLC" in found["method learned"].detail
    assert found["method learned"].measured is None


def test_half_precision_is_judged_by_a_looser_tolerance(folder, engine):
    exact, half = (
        {name: Check(other, question=QUESTION)._pruning(name == "evict") for name in ("pruning", "evict")}
        for other in (engine, CropEngine.from_pretrained(folder, None, dtype="bfloat16", warm_up=False))
    )
    for name, outcome in half.items():
        assert exact[name].measured < 1e-5 < outcome.measured <= outcome.tolerance
        assert outcome.tolerance > 100 * exact[name].tolerance


def test_a_difference_that_hides_in_the_tolerance_proves_nothing(engine, monkeypatch):
    monkeypatch.setattr(module, "TOLERANCE_FLOAT32", 10.0)
    found = proofs(engine)
    assert [found[name].status for name in EXACTNESS] == [NOT_APPLICABLE] * 3
    assert "this proves nothing" in found["pruning"].detail


def test_an_attention_without_masks_is_told_how_to_be_checked(engine, monkeypatch):
    monkeypatch.setattr(engine.adapter.stack.config, "_attn_implementation_internal", "flash_attention_2")
    monkeypatch.setattr(Check, "_baseline", lambda self: Outcome(0, 0, ""))
    check = Check(engine)
    with pytest.raises(module.NotApplicableError, match="takes no mask; check again with --attention sdpa"):
        check._equals_masking(None, {}, None, "")


def test_an_engine_without_a_localizer(folder):
    check = Check(CropEngine.from_pretrained(folder, None, warm_up=False))
    with pytest.raises(module.NotApplicableError, match="no localizer"):
        check._localizer()


def test_a_large_image_is_reduced_as_the_engine_does(engine):
    assert max(Check(engine, sample_image().resize((2480, 3360))).image.size) <= 2048


# What is broken on purpose is found, by its name.


def test_a_cut_that_is_off_by_one_layer(engine, monkeypatch):
    step = hooks._step
    monkeypatch.setattr(hooks, "_step", lambda layer, *rest: step(layer + 1, *rest))
    assert failed(engine)[:2] == ["pruning", "pruning with eviction"]


def test_a_cut_that_is_off_by_one_token(engine, monkeypatch):
    keeping = PromptBatch.keeping

    def shifted(self, kept):
        return keeping(self, [((own + 1) % total).sort().values for own, total in zip(kept, self.total, strict=True)])

    monkeypatch.setattr(PromptBatch, "keeping", shifted)
    assert failed(engine) == ["pruning", "pruning with eviction"]


def test_positions_inside_the_llm_that_are_off_by_one(engine, monkeypatch):
    narrow = hooks.narrow_rope
    monkeypatch.setattr(hooks, "narrow_rope", lambda *given: tuple(part.roll(1, -2) for part in narrow(*given)))
    assert failed(engine) == ["pruning", "pruning with eviction"]


def test_kept_tokens_that_are_numbered_anew(engine, monkeypatch):
    left = compressed_inputs._left

    def renumbered(*given):
        columns, positions = left(*given)
        return columns, torch.arange(len(columns)).expand(positions.shape).to(positions)

    monkeypatch.setattr(compressed_inputs, "_left", renumbered)
    monkeypatch.setattr(Check, "_localizer", lambda self: Outcome(0, 0, ""))  # compresses too
    assert failed(engine) == ["dropping"]


def test_a_second_bos_in_the_engines_prompt(engine, monkeypatch):
    prepared, begin = BaseAdapter._prepared, engine.adapter.tokenizer.bos_token_id

    def doubled(self, ids, *rest):
        return prepared(self, torch.cat([torch.full((1, 2), begin), ids], 1), *rest)

    monkeypatch.setattr(BaseAdapter, "_prepared", doubled)
    found = proofs(engine)
    assert [name for name, proof in found.items() if proof.status == FAILED] == ["prompt", "baseline"]
    assert "begins with two BOS tokens" in found["prompt"].detail


def test_a_second_bos_in_the_template_itself(engine):
    engine.adapter.processor.chat_template = "<s><s>" + checkpoints.TEMPLATE
    found = proofs(engine)
    assert [name for name, proof in found.items() if proof.status == FAILED] == ["prompt"]
    assert found["prompt"].measured == 0 and "begins with two BOS tokens" in found["prompt"].detail


def test_features_that_are_not_as_many_as_placeholders(engine, monkeypatch):
    encode = BaseAdapter.encode

    def fewer(self, inputs):
        out = encode(self, inputs)
        out.pooler_output = [each[1:] for each in out.pooler_output]
        return out

    monkeypatch.setattr(type(engine.adapter), "encode", fewer)
    found = proofs(engine)
    assert (found["visual tokens"].status, found["visual tokens"].measured) == (FAILED, 1)
    assert "layout 16, placeholders 16, features 15" in found["visual tokens"].detail
    assert found["prompt"].status == PASSED and found["baseline"].status == FAILED


def test_a_layout_that_does_not_fit_the_processor(engine, monkeypatch):
    real = type(engine.adapter)._layout
    monkeypatch.setattr(type(engine.adapter), "_layout", lambda self, size: real(self, (size[0], 2 * size[1])))
    monkeypatch.setattr(type(engine.adapter), "_placeholders", lambda self, shape: 15)
    found = proofs(engine)
    assert found["visual tokens"].status == FAILED
    assert found["visual tokens"].detail.startswith("ModelError: The processor of llava makes 15 placeholders for 16")


def test_a_weight_that_is_not_a_number(engine):
    with torch.no_grad():
        engine.adapter.model.lm_head.weight[0, 0] = math.nan
    found = proofs(engine)
    assert (found["checkpoint"].status, found["checkpoint"].measured) == (FAILED, 1)
    assert found["baseline"].status == FAILED and found["baseline"].measured is None


def test_a_method_that_exceeds_its_budget(engine, monkeypatch):
    def whole(self, image, count):
        return CompressionPlan.identity(image.layout.count)

    monkeypatch.setattr(RandomCompressor, "plan", whole)
    found = proofs(engine)
    assert [name for name, proof in found.items() if proof.status == FAILED] == ["method random"]
    assert found["method random"].measured > found["method random"].tolerance


def test_a_region_of_another_image(engine, monkeypatch):
    monkeypatch.setattr(engine, "localize", lambda image, question: Region.whole(10, 10))
    assert failed(engine) == ["localizer"]
