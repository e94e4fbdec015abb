"""The bundled models' world: deterministic scenes in many styles, the words of questions, and what the models see."""

import json
import random
import re
from collections import Counter
from functools import cache
from itertools import combinations
from unittest import mock

import numpy as np
import pytest
import torch

from crop_core.train.bundled.checkpoint import (
    ANSWERER,
    LOCATOR,
    RECIPES,
    build_model,
    build_processor,
    build_tokenizer,
    vocabulary,
)
from crop_core.train.bundled.dense import (
    BACKGROUND,
    CATEGORY,
    EDGES,
    MIDDLE,
    cells,
    encode_patches,
    patch_labels,
    patches_of,
    to_square,
)
from crop_core.train.world import scenes
from crop_core.train.world.phrasings import HELD_OUT, TRAINING
from crop_core.train.world.question import KINDS
from crop_core.train.world.questions import all_questions, sample_questions
from crop_core.train.world.scenes import SIDE, make_scene
from crop_core.train.world.style import HELD_OUT_STYLES, STYLES
from crop_core.train.world.vocabulary import BACKGROUNDS, CATEGORIES, COLORS, TEXTS, Mark, Scene, SceneObject
from tests.support import ROOT

SEEDS = range(80)
BOTH = pytest.mark.parametrize("held_out", [False, True], ids=["training", "held out"])
RECIPE = pytest.mark.parametrize("recipe", RECIPES.values(), ids=list(RECIPES))
PLURALS = {"buses": "bus", "foxes": "fox", "crosses": "cross", "octopuses": "octopus"}  # the others end with one "s"


@pytest.fixture(scope="module")
def tokenizer():
    return build_tokenizer()


@cache
def drawn(held_out):
    """Scenes, each with its things before a tilt and its style."""
    result = []

    def noting(rng, scene, style):
        result.append((finish(rng, scene, style), scene.objects, style))
        return result[-1][0]

    finish = scenes.finish
    with mock.patch.object(scenes, "finish", noting):
        for seed in SEEDS:
            make_scene(seed, held_out)
    return result


@cache
def questions(held_out):
    return [
        question
        for seed, (scene, _, _) in zip(SEEDS, drawn(held_out), strict=True)
        for result in all_questions(random.Random(seed), scene, held_out).values()
        for question in result
    ]


@BOTH
def test_same_seed_same_scene_and_questions(held_out):
    for seed in range(8):
        first, second = make_scene(seed, held_out), make_scene(seed, held_out)
        assert first.objects == second.objects
        assert np.array_equal(np.asarray(first.image), np.asarray(second.image))
        wordings = [all_questions(random.Random(seed), scene, held_out) for scene in (first, second)]
        assert wordings[0] == wordings[1]
        assert make_scene(seed + 1, held_out).objects != first.objects


@BOTH
def test_held_out_scenes_have_styles_of_their_own(held_out):
    styles = {style for _, _, style in drawn(held_out)}
    assert styles <= (set(HELD_OUT_STYLES) if held_out else set(STYLES) - set(HELD_OUT_STYLES))
    assert len(styles) >= len(HELD_OUT_STYLES)


@BOTH
def test_images_have_their_size_and_every_setting_occurs(held_out):
    for scene, _, _ in drawn(held_out):
        assert max(scene.image.size) == SIDE == 336 and min(scene.image.size) >= SIDE / 2
        assert (scene.background is None) == (scene.setting in ("chart", "list"))
        assert (scene.background in ("street", "room")) == (scene.setting in ("street", "room"))
    result = Counter(scene.setting for scene, _, _ in drawn(held_out))
    assert set(result) == {"free", "street", "room", "chart", "list"} and min(result.values()) >= 4
    assert {scene.background for scene, _, _ in drawn(held_out)} == {*BACKGROUNDS, None}


def check_apart(boxes):
    for one, other in combinations(boxes, 2):
        assert one[2] <= other[0] or other[2] <= one[0] or one[3] <= other[1] or other[3] <= one[1]


@BOTH
def test_things_are_inside_the_image_and_apart_before_a_tilt(held_out):
    for scene, flat, style in drawn(held_out):
        assert (flat == scene.objects) == (style.finish != "tilted")
        check_apart([thing.box for thing in flat])
        for thing in (*flat, *scene.objects):
            left, top, right, bottom = thing.box
            assert 0 <= left < right <= scene.image.width and 0 <= top < bottom <= scene.image.height
            for box in (mark.box for mark in thing.marks):
                assert left <= box[0] < box[2] <= right and top <= box[1] < box[3] <= bottom
            if thing.kind == "sign":
                assert thing.marks[0].category == "sign" and thing.marks[0].color == thing.color
                assert [mark.text for mark in thing.marks[1:]] == thing.text.split()


def test_crowded_scenes_have_ten_to_twenty_things(monkeypatch):
    monkeypatch.setattr(scenes, "_SETTINGS", {"crowd": 1})
    monkeypatch.setattr(scenes, "finish", lambda rng, scene, style: scene)
    crowds = [make_scene(seed) for seed in range(50)]
    assert {len(scene.objects) for scene in crowds} == set(range(10, 21))
    for scene in crowds:
        check_apart([thing.box for thing in scene.objects])
        assert len({(thing.row, thing.column) for thing in scene.objects}) == len(scene.objects)


def test_a_page_of_signs_is_full_of_words():
    page = make_scene(3, setting="signs")
    assert len(page.objects) == page.rows * page.columns - 1
    assert all(thing.kind == "sign" and thing.text for thing in page.objects)


def test_things_that_a_question_names_are_told_apart():
    for scene, _, _ in drawn(False):
        signs = [thing.color for thing in scene.objects if thing.kind == "sign"]
        assert len(signs) == len(set(signs))
        repeated = [name for name, count in scene.counts.items() if count > 1 and name != "sign"]
        assert len(repeated) <= (1 if scene.setting == "free" else scene.rows)
        assert max(scene.counts.values()) <= 5


def test_held_out_phrasings_are_new_orders_of_known_words():
    def words(phrases):
        return {word.strip("?,") for phrase in phrases for word in phrase.split() if "{" not in word}

    assert set(HELD_OUT) == set(TRAINING)
    trained, kept = (
        {phrase.replace("{more}", form) for form, phrases in table.items() for phrase in phrases}
        for table in (TRAINING, HELD_OUT)
    )
    assert trained.isdisjoint(kept)
    assert words(kept) <= words(trained)
    training, held_out_texts = ({question.text for question in questions(held_out)} for held_out in (False, True))
    assert training.isdisjoint(held_out_texts)


@BOTH
def test_questions_are_good_english(held_out):
    for question in questions(held_out):
        text = question.text
        assert re.fullmatch(r"[a-z]+(,? [a-z]+)*\?", text), text
        assert not re.search(r"\b(\w+) \1\b", text), text  # no word twice
        for article, name in re.findall(r"\b(an?) (\w+)", text):
            assert name in CATEGORIES and (article == "an") == (name[0] in "aeiou"), text
        if plural := re.search(r"(?:how many|number of) (\w+)", text):
            singular = PLURALS.get(plural[1], plural[1].removesuffix("s"))
            assert plural[1] != singular and singular in {*CATEGORIES, "object", "thing"}, text
            assert (singular in PLURALS.values()) == (plural[1] in PLURALS), text
        assert re.fullmatch(r"[a-z]+( [a-z]+){0,2}|\d+", question.answer)


def test_every_category_has_its_plural():
    for name in (name for name in CATEGORIES if name != "bar"):
        things = tuple(SceneObject("emoji", name, None, None, 0, i, (9 * i, 0, 9 * i + 9, 9)) for i in range(2))
        (question,) = all_questions(random.Random(0), Scene(None, things, 1, 2))["count"]
        plural = next((many for many, single in PLURALS.items() if single == name), name + "s")
        assert question.text.replace("?", "").split().count(plural) == 1 and question.answer == "2"


@BOTH
def test_every_question_is_in_the_vocabulary_however_it_is_typed(held_out, tokenizer):
    assert len(vocabulary()) == len(set(vocabulary())) == len(tokenizer)

    def ids(texts):
        return tokenizer(texts, add_special_tokens=False)["input_ids"]

    texts = [question.text for question in questions(held_out)]
    known = ids(texts)
    assert not any(tokenizer.unk_token_id in row for row in known)
    assert all(row[-1] == tokenizer.convert_tokens_to_ids("?") for row in known)
    assert ids([text.upper() for text in texts]) == ids([text.capitalize() for text in texts]) == known
    assert ids([text.rstrip("?") for text in texts]) == [row[:-1] for row in known]
    for answer in {question.answer for question in questions(held_out)}:
        assert ids([answer])[0] == tokenizer.convert_tokens_to_ids(answer.split())  # a token a word
        assert tokenizer.unk_token_id not in ids([answer])[0]


@pytest.mark.parametrize("name", ["crop-tiny", "crop-tiny-locator"])
def test_the_world_speaks_the_words_that_the_shipped_models_learned(name, tokenizer):
    shipped = json.loads((ROOT / "assets" / "models" / name / "tokenizer.json").read_text(encoding="utf-8"))
    assert set(shipped["model"]["vocab"]) == set(vocabulary())
    assert shipped["normalizer"] == json.loads(tokenizer.backend_tokenizer.to_str())["normalizer"]


def test_a_training_mixture_has_every_kind_and_no_question_twice():
    kinds = Counter()
    for seed, (scene, _, _) in zip(SEEDS, drawn(False), strict=True):
        picked = sample_questions(random.Random(seed), scene, 12)
        known = [question for result in all_questions(random.Random(seed), scene).values() for question in result]
        assert len(picked) == len(set(picked)) == min(12, len(known))
        kinds.update(question.kind for question in picked)
    assert set(kinds) == set(KINDS) and min(kinds.values()) >= 10


@RECIPE
def test_training_pixels_are_the_processors(recipe, tokenizer):
    processor = build_processor(recipe, tokenizer)
    for seed in range(6):
        image = make_scene(seed).image
        square = to_square(image, recipe).transpose(2, 0, 1)
        expected = processor.image_processor(image, return_tensors="pt")["pixel_values"][0]
        assert torch.allclose((torch.tensor(square) / 255 - 0.5) / 0.25, expected, atol=1.01 / 255 / 0.25)


@RECIPE
@pytest.mark.parametrize("setting", ["free", "street", "chart", "list"])
def test_patch_labels_tell_what_each_mark_shows(monkeypatch, setting, recipe):
    monkeypatch.setattr(scenes, "_SETTINGS", {setting: 1})
    monkeypatch.setattr(scenes, "finish", lambda rng, scene, style: scene)  # a tilt may let boxes overlap
    seen = set()
    for scene in map(make_scene, range(6)):
        labels, nothing = patch_labels(scene, recipe), np.ones(recipe.grid**2, bool)
        assert labels[:, MIDDLE].sum() == len(scene.objects)  # one patch a thing, so that counting them counts things
        for thing in scene.objects:
            for mark in thing.marks or [Mark(thing.box, thing.name, thing.color)]:
                own = patches_of((mark.box,), scene, recipe)
                nothing &= ~own
                category = mark.category or ("sign" if thing.kind == "sign" else None)
                assert set(labels[own, 0]) <= {1 + (CATEGORIES.index(category) if category else len(CATEGORIES))}
                if mark.color:
                    assert set(labels[own, 1]) <= {1 + list(COLORS).index(mark.color)}
                if mark.text:
                    assert set(labels[own, 2]) <= {1 + TEXTS.index(mark.text)}
                assert {tuple(edges) for edges in labels[own, EDGES]} <= {cells(thing.box, scene, recipe, recipe.bins)}
                seen |= {(bool(mark.category), bool(mark.color), bool(mark.text))} if own.any() else set()
        shown = patches_of(((0, 0, *scene.image.size),), scene, recipe)
        expected = 1 + BACKGROUNDS.index(scene.background) if scene.background else 0
        assert nothing.any() and set(labels[nothing & shown, BACKGROUND]) <= {expected}
        assert not labels[~shown, BACKGROUND].any() and not labels[labels[:, CATEGORY] > 0, BACKGROUND].any()
        labels[:, [BACKGROUND, MIDDLE]] = 0  # the middle of a bar may lie beside its narrow patches
        assert not labels[nothing].any()
    expected = {"chart": {(1, 1, 0), (0, 0, 1)}, "list": {(0, 0, 1)}}.get(setting, {(1, 1, 0), (1, 0, 0), (0, 0, 1)})
    assert seen >= {tuple(map(bool, flags)) for flags in expected}


def test_patches_of_a_box_are_those_whose_centres_it_holds():
    scene = next(scene for scene in map(make_scene, range(40)) if scene.image.size == (336, 252))
    mask = patches_of(((14, 0, 28, 28),), scene, ANSWERER).reshape(24, 24)  # 42 px of padding above: 3 patches
    assert np.argwhere(mask).tolist() == [[3, 1], [4, 1]]
    mask = patches_of(((0, 0, 56, 42),), scene, LOCATOR).reshape(12, 12)  # squashed: patches of 28 by 21 px
    assert np.argwhere(mask).tolist() == [[0, 0], [0, 1], [1, 0], [1, 1]]


def test_encode_patches_is_the_towers_forward(tokenizer):
    tower = build_model(LOCATOR, tokenizer).model.vision_tower.eval()
    squares = torch.stack([torch.tensor(to_square(make_scene(seed).image, LOCATOR)) for seed in (0, 1)])
    pixels = (squares.permute(0, 3, 1, 2) / 255 - 0.5) / 0.25
    turned = torch.arange(144).flip(0).expand(2, -1)
    with torch.no_grad():
        expected = tower(pixels).last_hidden_state[:, 1:]
        assert torch.allclose(encode_patches(tower, squares), expected, atol=1e-5)
        assert torch.allclose(encode_patches(tower, squares, turned), expected.flip(1), atol=1e-4)
        assert encode_patches(tower, squares, turned[:, :9]).shape == (2, 9, 192)
