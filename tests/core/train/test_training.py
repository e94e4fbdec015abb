"""Training the bundled models: what they see is what the processor makes, questions keep apart, and runs learn."""

import random
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoTokenizer, LlavaForConditionalGeneration

from crop_core.train.bundled import batches as feeding
from crop_core.train.bundled import checkpoint as tokenizing
from crop_core.train.bundled import train as training
from crop_core.train.bundled.batches import TrainingBatches
from crop_core.train.bundled.checkpoint import ANSWERER, LOCATOR, RECIPES, build_model, build_tokenizer, save
from crop_core.train.bundled.dense import CATEGORY, QuantityHead, patch_labels, patches_of
from crop_core.train.bundled.warm_start import Imitation, grow, start_from
from crop_core.train.world import splits
from crop_core.train.world.questions import cut_out_scene, sample_questions
from crop_core.train.world.scenes import make_scene
from tests.support import ROOT
from tests.support.packs import shrink

pytestmark = pytest.mark.training

MODELS = ROOT / "assets" / "models"


@pytest.fixture(scope="module")
def tokenizer():
    return build_tokenizer()


@pytest.fixture
def small(monkeypatch):
    shrink(monkeypatch)


def test_a_batch_depends_on_its_step_alone_and_is_of_training_scenes(monkeypatch):
    seeds = []
    monkeypatch.setattr(feeding, "make_scene", lambda seed, **how: seeds.append(seed) or make_scene(seed, **how))
    early = TrainingBatches(LOCATOR, batch=4, fresh=2, memory=16)
    for step in range(3):
        early(step)
    resumed = TrainingBatches(LOCATOR, batch=4, fresh=2, memory=16)
    for first, second in zip(early(3)[0], resumed(3)[0], strict=True):
        assert torch.equal(first.view, second.view) and torch.equal(first.labels, second.labels)
    assert min(seeds) == splits.TRAINING.start


def test_a_cut_out_scene_answers_what_is_asked_about_it():
    kept = smaller = 0
    for seed in splits.TRAINING[:40]:
        scene = make_scene(seed)
        cut = cut_out_scene(random.Random(seed), scene)
        before, after = (np.asarray(each.image).astype(int) for each in (scene, cut))
        hidden = np.ones(before.shape[:2], bool)
        for left, top, right, bottom in cut.shown:
            hidden[top:bottom, left:right] = False
            assert np.array_equal(before[top:bottom, left:right], after[top:bottom, left:right])
        assert not np.ptp(after[hidden], axis=0).any()  # one color
        labels, whole = patch_labels(cut, ANSWERER), patch_labels(scene, ANSWERER)
        shown, all_of_it = ((each[:, CATEGORY] > 0).sum() for each in (labels, whole))
        assert 0 < shown <= all_of_it  # how many bars there are needs them all
        smaller += shown < all_of_it / 2
        for question in sample_questions(random.Random(seed), cut, 20):
            assert not question.needs_everything and {*question.reference, *question.target} <= {*cut.shown}
            kept += 1
    assert kept >= 40 and smaller >= 20


def test_the_amount_of_a_number_is_what_is_written():
    scene = make_scene(splits.TRAINING.start, setting="list")
    labels = torch.from_numpy(patch_labels(scene, ANSWERER))[None]
    head = QuantityHead(1, ANSWERER.bins)
    torch.nn.init.ones_(head.amount.weight)
    torch.nn.init.zeros_(head.amount.bias)
    amounts = torch.zeros(1, 576, 1)
    for thing in scene.objects:
        price = next(mark.box for mark in thing.marks if mark.text == thing.text)
        amounts[0, patches_of((price,), scene, ANSWERER)] = int(thing.text) / 5 - 2
    assert head(amounts, labels)[1]["amount"] == pytest.approx(0, abs=1e-4)
    assert head(amounts + 1, labels)[1]["amount"] == pytest.approx(5, abs=1e-4)


def test_training_runs_saves_resumes_and_learns(tmp_path, small):
    name = "crop-tiny-locator"
    early = training.train(name, tmp_path, tmp_path / "copy", threads=1, vision_steps=2, language_steps=4)
    assert (
        load_file(tmp_path / "copy" / "model.safetensors").keys()
        == load_file(tmp_path / name / "model.safetensors").keys()
    )
    late = training.train(name, tmp_path, threads=1, vision_steps=2, language_steps=40)
    assert late["language"]["loss"] < 0.9 * early["language"]["loss"]
    training.train("crop-tiny", tmp_path, threads=1, vision_steps=2, language_steps=4)  # starts from the locator
    assert all((tmp_path / name / "model.safetensors").exists() for name in RECIPES)
    files = ["--work", str(tmp_path / "again"), "--start", str(tmp_path), "--out", str(tmp_path / "out")]
    training.main(["crop-tiny", *files, "--threads", "1", "--vision-steps", "1", "--language-steps", "3"])
    folders = [tmp_path / "crop-tiny", tmp_path / "out" / "crop-tiny"]
    first, second = (load_file(folder / "model.safetensors") for folder in folders)
    for key, before in first.items():  # three small steps later it is nearly what it was; there is no locator in WORK
        assert (second[key].float() - before.float()).norm() < 0.3 * before.float().norm() + 1e-3, key


def test_growing_keeps_what_the_teacher_says(tokenizer, small):
    teacher, model = (build_model(RECIPES[name], tokenizer).eval() for name in ("crop-tiny-locator", "crop-tiny"))
    teacher.model.language_model.norm.weight.data.uniform_(0.5, 2)
    teacher.get_input_embeddings().weight.data.mul_(1.5)
    grow(model, teacher)
    ids = torch.arange(5, 15)[None]
    with torch.no_grad():
        hidden_states = [m.model.language_model(input_ids=ids).last_hidden_state for m in (teacher, model)]
    assert torch.allclose(*hidden_states, atol=1e-5)


def test_imitation_looks_at_the_same_place():
    scene = next(scene for scene in map(make_scene, range(40)) if scene.image.size == (336, 252))
    places = Imitation(None, LOCATOR, ANSWERER)._places(scene)
    assert (places == -1).sum() == 24 * 6  # a quarter of the square is padding
    theirs, ours = (patch_labels(scene, recipe)[:, 0] for recipe in (LOCATOR, ANSWERER))
    seen = places >= 0
    assert (theirs[places[seen]] == ours[seen]).mean() > 0.9


def check_started(model, tokenizer, fresh, folder):
    """`model` has what the checkpoint in the folder has; the words that this does not know are as in `fresh`."""
    earlier = LlavaForConditionalGeneration.from_pretrained(folder, dtype=torch.float32)
    theirs = AutoTokenizer.from_pretrained(folder).get_vocab()
    for word, index in tokenizer.get_vocab().items():
        source, at = (earlier, theirs[word]) if word in theirs else (fresh, index)
        assert torch.equal(model.get_input_embeddings().weight[index], source.get_input_embeddings().weight[at]), word
    old = earlier.model.language_model.state_dict()
    for name, ours in model.model.language_model.state_dict().items():
        if name in old and "embed" not in name:
            assert torch.equal(ours, old[name]), name
    for part in ("vision_tower", "multi_modal_projector"):
        states = [getattr(m.model, part).state_dict() for m in (model, earlier)]
        assert all(torch.equal(ours, states[1][name]) for name, ours in states[0].items())


@pytest.mark.parametrize("name", RECIPES)
def test_the_shipped_models_can_be_started_from(name, tokenizer):
    model, fresh = (build_model(RECIPES[name], tokenizer) for _ in range(2))
    start_from(model, tokenizer, MODELS / name)
    check_started(model, tokenizer, fresh, MODELS / name)


def test_starting_from_other_words_and_fewer_layers(tmp_path, monkeypatch, tokenizer, small):
    words, known = tokenizing.vocabulary(), slice(9, None, 2)
    with monkeypatch.context() as patch:
        patch.setattr(tokenizing, "vocabulary", lambda: [*words[:5], *words[known][::-1]])
        theirs = build_tokenizer()
    with torch.no_grad():
        earlier = build_model(RECIPES["crop-tiny-locator"], theirs)
        for weight in earlier.parameters():
            weight.copy_(torch.randn(weight.shape).half())  # as it is saved
    save(earlier, RECIPES["crop-tiny-locator"], theirs, tmp_path)
    larger = replace(RECIPES["crop-tiny-locator"], language=RECIPES["crop-tiny"].language)
    model, fresh = (build_model(larger, tokenizer) for _ in range(2))
    start_from(model, tokenizer, tmp_path)
    check_started(model, tokenizer, fresh, tmp_path)
    assert not torch.equal(model.get_input_embeddings().weight[9], fresh.get_input_embeddings().weight[9])
    assert torch.equal(model.get_input_embeddings().weight[10], fresh.get_input_embeddings().weight[10])
    last = model.model.language_model.layers[5]
    assert not last.self_attn.o_proj.weight.any() and not last.mlp.down_proj.weight.any()
