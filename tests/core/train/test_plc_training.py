"""Training of the learned PLC: which regions and questions it sees, what it distils, and that it learns."""

import random
from dataclasses import replace

import pytest
import torch

from crop_core.compress.plc_checkpoint import load_plc
from crop_core.localize.calibration import iou
from crop_core.models import load
from crop_core.records.region import Region
from crop_core.train.bundled import plc
from crop_core.train.bundled.checkpoint import ANSWERER, RECIPES, build_model, build_tokenizer, save
from tests.support.packs import shrink

pytestmark = pytest.mark.training

PLAN = plc.PlcPlan(
    batch=2, fresh=1, memory=3, questions=6, per_region=3, min_tokens=20, max_tokens=60, rank=2, rate=0.05
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A random answerer, small in everything but its number of tokens."""
    folder, tokenizer = tmp_path_factory.mktemp("model"), build_tokenizer()
    with pytest.MonkeyPatch.context() as patch:
        shrink(patch)
        model = build_model(RECIPES["crop-tiny"], tokenizer)
    save(model, ANSWERER, tokenizer, folder)
    return folder


@pytest.fixture
def training(folder):
    torch.manual_seed(0)
    return plc.PlcTraining(load(folder), PLAN)


def test_found_regions_err_by_a_cell_or_take_everything():
    needed, rng = Region(0, 3, 2, 5, 100, 100), random.Random(0)
    result = [plc.noisy_region(needed, rng) for _ in range(3000)]
    whole = [region for region in result if region.is_whole]
    apart = [max(abs(a - b) for a, b in zip(region.grid, needed.grid, strict=True)) for region in result]
    assert len(whole) == pytest.approx(0.04 * 3000, abs=40)
    assert {each for region, each in zip(result, apart, strict=True) if not region.is_whole} == {0, 1}
    exactly = 0.96 * 0.98 * 0.83**3 * 3000  # on the left there is nothing wider
    assert apart.count(0) == pytest.approx(exactly, abs=100)
    for _ in range(300):  # one cell that loses a side is still a region
        plc.noisy_region(Region(4, 4, 4, 4, 100, 100), rng)


def test_questions_of_one_region_would_have_been_given_nearly_the_same(training):
    lessons, rng = training.lessons(0)
    for lesson in lessons:
        region, chosen = plc.questions_with_region(lesson, rng, 3)
        assert 1 <= len(chosen) <= 3 and chosen == sorted(set(chosen))
        own = [plc.region_of(lesson.questions[at], lesson.scene).grid for at in chosen]
        assert sum(iou([region.grid], own) >= 0.5) >= len(chosen) - 1


def test_a_step_has_the_same_lessons_whenever_it_comes(training, folder):
    for step in range(3):
        training.lessons(step)
    ours, theirs = training.lessons(3)[0], plc.PlcTraining(load(folder), PLAN).lessons(3)[0]
    for one, other in zip(ours, theirs, strict=True):
        assert one.questions == other.questions and torch.equal(one.tokens, other.tokens)
        assert all(torch.equal(*pair) for pair in zip(one.logits, other.logits, strict=True))


def test_what_is_distilled_is_what_the_model_says_of_every_token(training, folder):
    """By an ordinary prompt of each question, its answer fed."""
    lesson, adapter = training.lessons(0)[0][0], load(folder)
    model, tokenizer = adapter.model, adapter.tokenizer
    words = model.get_input_embeddings()
    for question, kept_logits in list(zip(lesson.questions, lesson.logits, strict=True))[:3]:
        prompt = tokenizer(adapter.prompt(question.text), return_tensors="pt")["input_ids"][0]
        at = int((prompt == adapter.image_token_id).nonzero()[0, 0])
        answer = tokenizer(question.answer, add_special_tokens=False, return_tensors="pt")["input_ids"][0]
        visual = lesson.tokens.float()
        fed = torch.cat([words(prompt[:at]), visual, words(prompt[at + 1 :]), words(answer)])[None]
        with torch.no_grad():
            hidden = model.model.language_model(inputs_embeds=fed).last_hidden_state[0, -len(answer) - 1 :]
            expected = model.lm_head(hidden)
        assert kept_logits.shape == expected.shape
        assert torch.allclose(kept_logits.softmax(-1), expected.softmax(-1), atol=0.02), "in bfloat16"


def test_it_starts_as_the_model_behind_pooling_and_learns(folder, tmp_path):
    """The same few scenes again and again; before the first step nothing is changed."""
    plan = replace(PLAN, fresh=0, steps=40)
    with torch.no_grad():
        fresh = plc.PlcTraining(load(folder), plan)
        before = [fresh(step)[1]["loss"] for step in range(3)]
    assert not any(weight.any() for name, weight in fresh.changes.state_dict().items() if name.endswith("up"))
    learned, stats = plc.train(load(folder), plan, tmp_path / "plc.pt")
    with torch.no_grad():
        after = [learned(step)[1]["loss"] for step in range(3)]
    assert sum(after) < 0.9 * sum(before)
    assert stats.keys() == {"answer", "loss", "kl"}


def test_the_command_writes_what_a_model_reads(folder, tmp_path, monkeypatch):
    def small(steps):
        return replace(PLAN, steps=steps)

    small.steps = 1
    monkeypatch.setattr(plc, "PlcPlan", small)
    weights = [weight.clone() for weight in load(folder).model.parameters()]
    plc.main(["--model", str(folder), "--work", str(tmp_path), "--out", str(folder), "--steps", "2", "--threads", "1"])
    result = load_plc(load(folder))
    assert result.queries.out.weight.any() and len(result.changed) == 4 * 6
    assert all(torch.equal(*pair) for pair in zip(weights, load(folder).model.parameters(), strict=True))
