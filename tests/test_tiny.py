"""The bundled models' world and training: deterministic scenes, right answers, right boxes, and a run that learns."""

import random
from dataclasses import replace

import numpy as np
import pytest
import torch

from crop_core.tiny import train as training
from crop_core.tiny.checkpoint import ANSWERER, LOCATOR, RECIPES, build_model, build_processor
from crop_core.tiny.dense import encode_patches, patch_labels, patches_of, to_square
from crop_core.tiny.feed import Feed, patches_to_keep, stack
from crop_core.tiny.packing import IGNORED, Packer, allowed_mask
from crop_core.tiny.questions import KINDS, WHERE, all_questions
from crop_core.tiny.scenes import make_scene
from crop_core.tiny.tokenizer import build_tokenizer
from crop_core.tiny.warm_start import Imitation, grow
from crop_core.tiny.world import CATEGORIES

SEEDS = range(40)


@pytest.fixture(scope="module")
def tokenizer():
    return build_tokenizer()


def test_same_seed_same_scene():
    first, second = make_scene(7), make_scene(7)
    assert first.objects == second.objects
    assert np.array_equal(np.asarray(first.image), np.asarray(second.image))
    assert make_scene(8).objects != first.objects


def test_things_are_inside_the_picture_and_apart():
    for seed in SEEDS:
        scene = make_scene(seed)
        seen = np.zeros(scene.image.size[::-1], int)
        for thing in scene.objects:
            left, top, right, bottom = thing.box
            assert 0 <= left < right <= scene.image.width and 0 <= top < bottom <= scene.image.height
            seen[top:bottom, left:right] += 1
        assert seen.max() == 1


def _brute_force(question, scene):
    """The answer, read from the scene's description alone by another road than the generator's."""
    words = question.text.rstrip("?").split()
    names = [thing.name for thing in scene.objects]
    if question.kind == "shape_color":
        return next(t.color for t in scene.objects if t.kind == "shape" and t.name in words)
    if question.kind == "sign_text":
        return next(t.text for t in scene.objects if t.kind == "sign" and t.color in words)
    if question.kind == "exist":
        return "yes" if any(name in words for name in names) else "no"
    if question.kind == "count":
        word = next(w for w in words if any(w in (c + "s", c + "es") for c in CATEGORIES))
        return str(sum(word in (name + "s", name + "es") for name in names))
    middles = {((t.box[0] + t.box[2]) / 2, (t.box[1] + t.box[3]) / 2): t for t in scene.objects}
    if question.kind == "corner":
        corner = (scene.image.width * ("right" in words), scene.image.height * ("bottom" in words))
        return middles[min(middles, key=lambda m: (m[0] - corner[0]) ** 2 + (m[1] - corner[1]) ** 2)].name
    where = max((w for w in WHERE if f" {w} the " in question.text), key=len)
    reference = next(t for t in scene.objects if (f"{t.color} sign" if t.kind == "sign" else t.name) in question.text)
    dy, dx = WHERE[where]
    line = [
        t for t in scene.objects
        if (t.row == reference.row if dx else t.column == reference.column)
        and ((t.column - reference.column) * dx + (t.row - reference.row) * dy) > 0
    ]  # fmt: skip
    return min(line, key=lambda t: abs(t.column - reference.column) + abs(t.row - reference.row)).name


@pytest.mark.parametrize("kind", KINDS)
def test_answers_agree_with_a_brute_force_reader(kind):
    checked = 0
    for seed in SEEDS:
        scene = make_scene(seed)
        for question in all_questions(random.Random(seed), scene)[kind]:
            assert _brute_force(question, scene) == question.answer, (seed, question)
            checked += 1
    assert checked >= 20


def test_every_question_is_in_the_vocabulary(tokenizer):
    for seed in SEEDS:
        for questions in all_questions(random.Random(seed), make_scene(seed)).values():
            for question in questions:
                ids = tokenizer(f"{question.text} {question.answer}")["input_ids"]
                assert tokenizer.unk_token_id not in ids, question.text


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=list(RECIPES))
def test_training_pixels_are_the_processors(recipe, tokenizer):
    processor = build_processor(recipe, tokenizer)
    for seed in range(6):
        image = make_scene(seed).image
        square = to_square(image, recipe).transpose(2, 0, 1)
        expected = processor.image_processor(image, return_tensors="pt")["pixel_values"][0]
        assert torch.allclose((torch.tensor(square) / 255 - 0.5) / 0.25, expected, atol=1.01 / 255 / 0.25)


def test_patch_labels_name_the_thing_under_each_patch():
    scene = make_scene(3)
    labels = patch_labels(scene, ANSWERER)
    for thing in scene.objects:
        own = patches_of((thing.box,), scene, ANSWERER)
        assert own.any()
        assert set(labels[own, 0]) == {1 + CATEGORIES.index(thing.name)}
    assert (labels[:, 0] == 0).any()


def test_encode_patches_is_the_towers_forward(tokenizer):
    tower = build_model(LOCATOR, tokenizer).model.vision_tower.eval()
    squares = torch.stack([torch.tensor(to_square(make_scene(seed).image, LOCATOR)) for seed in (0, 1)])
    pixels = (squares.permute(0, 3, 1, 2) / 255 - 0.5) / 0.25
    with torch.no_grad():
        assert torch.allclose(encode_patches(tower, squares), tower(pixels).last_hidden_state[:, 1:], atol=1e-5)


def test_kept_patches_hold_every_thing():
    _, labels = stack(Feed(ANSWERER, batch=3, fresh=1, memory=8)(0)[0])
    keep = patches_to_keep(labels, 300)
    kept = torch.zeros(labels.shape[:2], dtype=torch.bool).scatter(1, keep, True)
    assert (keep.diff(dim=1) > 0).all()
    assert kept[labels[..., 0] > 0].all()
    assert patches_to_keep(labels, 576) is None


def test_a_batch_depends_on_its_step_alone():
    early = Feed(LOCATOR, batch=4, fresh=2, memory=16)
    for step in range(3):
        early(step)
    resumed = Feed(LOCATOR, batch=4, fresh=2, memory=16)
    for first, second in zip(early(3)[0], resumed(3)[0], strict=True):
        assert torch.equal(first.view, second.view)


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=list(RECIPES))
def test_packed_questions_keep_to_themselves(recipe, tokenizer):
    samples, rng = Feed(recipe, batch=2, fresh=1, memory=4)(0)
    pack = Packer(recipe, tokenizer, questions=6, chunks=2)(samples, rng)
    allowed = allowed_mask(pack, prefix=5)[:, 0, :, 5:]
    segment = pack.segment.view(len(allowed), -1)
    assert not allowed[segment[:, :, None] != segment[:, None]].any()
    assert not allowed.triu(1).any()
    said = (pack.label != IGNORED) & (pack.label != tokenizer.eos_token_id)
    assert said.any()
    assert torch.equal(
        pack.ids.roll(-1, 1)[said], pack.label[said]
    )  # every answer token follows the row that predicts it
    for look in (pack.reference, pack.target):
        assert len(look.rows) == len(look.patches) and look.patches.any(1).all()


@pytest.fixture
def small(monkeypatch):
    """Both recipes at a size that trains in seconds."""
    size = {"hidden_size": 32, "intermediate_size": 32, "num_attention_heads": 2}
    for name, recipe, layers in (("crop-tiny-locator", LOCATOR, 5), ("crop-tiny", ANSWERER, 6)):
        language = {**size, "num_hidden_layers": layers}
        monkeypatch.setitem(RECIPES, name, replace(recipe, vision={**size, "num_hidden_layers": 1}, language=language))
        monkeypatch.setitem(training.VISION, name, replace(training.VISION[name], batch=2, fresh=1))
        plan = replace(training.LANGUAGE[name], batch=2, fresh=1, align=2, questions=4, kept=40, rate=6e-3)
        monkeypatch.setitem(training.LANGUAGE, name, plan)


def test_training_runs_saves_resumes_and_learns(tmp_path, small):
    name = "crop-tiny-locator"
    early = training.train(name, tmp_path, threads=1, vision_steps=2, language_steps=4)
    late = training.train(name, tmp_path, threads=1, vision_steps=2, language_steps=40)
    assert late["language"]["loss"] < 0.9 * early["language"]["loss"]
    training.train("crop-tiny", tmp_path, threads=1, vision_steps=2, language_steps=4)  # starts from the locator
    for name in RECIPES:
        assert (tmp_path / name / "model.safetensors").exists()


def test_growing_keeps_what_the_teacher_says(tokenizer, small):
    teacher, model = (build_model(RECIPES[name], tokenizer).eval() for name in ("crop-tiny-locator", "crop-tiny"))
    grow(model, teacher)
    ids = torch.arange(5, 15)[None]
    with torch.no_grad():
        said = [m.model.language_model(input_ids=ids).last_hidden_state for m in (teacher, model)]
    assert torch.allclose(*said, atol=1e-5)


def test_imitation_looks_at_the_same_place():
    scene = next(make_scene(seed) for seed in SEEDS if make_scene(seed).rows == 3)
    places = Imitation(None, LOCATOR, ANSWERER)._places(scene)
    assert (places == -1).sum() == 24 * 6  # a quarter of the square is padding
    theirs, ours = (patch_labels(scene, recipe)[:, 0] for recipe in (LOCATOR, ANSWERER))
    seen = places >= 0
    assert (theirs[places[seen]] == ours[seen]).mean() > 0.9
