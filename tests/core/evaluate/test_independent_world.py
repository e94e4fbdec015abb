"""The independent world: the same everywhere, right by a second reckoning, and apart from everything trained on."""

import hashlib
import re
from collections import Counter
from math import dist

import numpy as np
import pytest
from transformers import AutoTokenizer

from crop_core.evaluate.datasets.independent import questions, tiles
from crop_core.evaluate.datasets.independent.questions import KINDS, PHRASINGS
from crop_core.evaluate.datasets.independent.scenes import SETTINGS, make_scene
from crop_core.evaluate.datasets.independent.sketches import PICTOGRAMS, SHAPES
from crop_core.evaluate.datasets.independent_world import QUESTIONS, items
from crop_core.evaluate.datasets.registry import dataset
from crop_core.records.region import Region
from crop_core.train.world import phrasings, splits, vocabulary
from crop_core.train.world.user_phrasings import USERS
from tests.support import ROOT

FAINT = 3  # pixels at the edge of a box that may be too faint to change the image


@pytest.fixture(scope="module")
def asked():
    return items(QUESTIONS // len(KINDS))


@pytest.fixture(scope="module")
def some(asked):
    """Items of every kind and setting."""
    return [*{(item.question.kind, item.scene.setting, item.scene.seed % 2): item for item in asked}.values()]


def test_the_same_seed_is_the_same_scene_on_every_machine():
    scenes = [make_scene(seed) for seed in splits.INDEPENDENT[: len(SETTINGS)]]
    assert {scene.setting for scene in scenes} == set(SETTINGS)
    described = hashlib.sha256(repr([(each, questions.questions_of(each)) for each in scenes]).encode())
    drawn = hashlib.sha256(b"".join(scene.image().tobytes() for scene in scenes))
    assert described.hexdigest()[:16] == "cacaf7421504e2b3"
    assert drawn.hexdigest()[:16] == "7a1fde442acf678f"


def test_a_thousand_questions_of_all_kinds_and_no_one_twice(asked):
    assert len(asked) == QUESTIONS == len(dataset("world_independent").examples)
    assert set(Counter(item.question.kind for item in asked).values()) == {QUESTIONS // len(KINDS)}
    assert len({(item.scene.seed, item.question.text) for item in asked}) == QUESTIONS
    assert len({item.question.text for item in asked}) > QUESTIONS // 3
    assert {item.scene.setting for item in asked} == set(SETTINGS)
    answers = Counter(item.question.answer for item in asked if item.question.kind == "exist")
    assert set(answers) == {"yes", "no"} and min(answers.values()) > 50


def test_no_scene_is_of_another_use(asked):
    others = [each for name, each in vars(splits).items() if isinstance(each, range) and name != "INDEPENDENT"]
    assert all(item.scene.seed in splits.INDEPENDENT for item in asked)
    assert not any(seed in other for other in others for seed in (splits.INDEPENDENT[0], splits.INDEPENDENT[-1]))


def test_the_words_are_known_and_the_phrasings_are_others(asked):
    theirs = {
        text.lower()
        for table in (phrasings.TRAINING, phrasings.HELD_OUT, USERS)
        for own in table.values()
        for text in own
    }
    assert not {text for own in PHRASINGS.values() for text in own} & theirs
    assert {*PICTOGRAMS, *SHAPES} <= set(vocabulary.CATEGORIES) and set(tiles.INKS) == set(vocabulary.COLORS)
    tokenizer = AutoTokenizer.from_pretrained(ROOT / "assets" / "models" / "crop-tiny")
    words = {word for item in asked for word in f"{item.question.text} {item.question.answer}".split()}
    assert tokenizer.unk_token_id not in tokenizer(" ".join(sorted(words)))["input_ids"]


def middle(box):
    return (box[0] + box[2]) / 2, (box[1] + box[3]) / 2


def gap(one, other):
    return dist((0, 0), (max(one[0] - other[2], other[0] - one[2], 0), max(one[1] - other[3], other[1] - one[3], 0)))


def amounts(scene):
    """Label and number of each row, told by where they stand instead of by the row that they were made for."""
    labels = [each for each in scene.things if each.role == "label"]
    numbers = [each for each in scene.things if each.role == "amount"]
    level = {each.tile.text: min(numbers, key=lambda n: abs(middle(n.box)[1] - middle(each.box)[1])) for each in labels}
    return {text: int(number.tile.text) for text, number in level.items()}


def words_in(text, words):
    return [word for word in words if re.search(rf"\b{word}(?:e?s)?\b", text)]


def answer_of(scene, text):
    """The answer, read from the question's words and the boxes alone."""
    things = [each for each in scene.things if each.tile.kind != "words"]
    named = words_in(text, (*PICTOGRAMS, *SHAPES))
    sign = [
        each for color in words_in(text, tiles.INKS) for each in things if each.tile.text and each.tile.color == color
    ]
    if words_in(text, ("chart", "list", "bar", "item")) or words_in(text, vocabulary.GOODS):
        rows = amounts(scene)
        labels = words_in(text, rows)
        if "how many" in text:
            return str(len(rows))
        if len(labels) == 1:
            return str(rows[labels[0]])
        pick = min if words_in(text, ("shorter", "shortest", "cheaper", "cheapest")) else max
        return pick(labels or rows, key=rows.__getitem__)
    if "how many" in text or "number of" in text:
        return str(sum(each.tile.name == named[0] for each in things))
    if "color" in text:
        return next(each.tile.color for each in things if each.tile.name == named[0])
    if "corner" in text:
        width, height = scene.size
        corner = width * ("right" in text), height * ("bottom" in text)
        return min(things, key=lambda each: dist(middle(each.box), corner)).tile.name
    own = next((each for each in things if each.tile.name in named), None) or next(iter(sign), None)
    if "nearest" in text or "closest" in text:
        return min((each for each in things if each is not own), key=lambda each: gap(each.box, own.box)).tile.name
    for where, axis, sign_of in (("left of", 0, -1), ("right of", 0, 1), ("above", 1, -1), ("below", 1, 1)):
        if where in text:
            low, high = 1 - axis, 3 - axis
            strip = [each for each in things if each.box[low] < own.box[high] and own.box[low] < each.box[high]]
            ahead = [each for each in strip if sign_of * (middle(each.box)[axis] - middle(own.box)[axis]) > 0]
            return min(ahead, key=lambda each: gap(each.box, own.box)).tile.name
    if sign and "sign" in text:
        return sign[0].tile.text
    return "yes" if any(each.tile.name == named[0] for each in things) else "no"


def test_every_answer_is_right_by_a_second_reckoning(asked):
    wrong = [
        (item.scene.seed, item.question)
        for item in asked
        if answer_of(item.scene, item.question.text) != item.question.answer
    ]
    assert wrong == []


def test_whatever_a_question_names_is_named_once(asked):
    for item in asked:
        things = [each.tile for each in item.scene.things]
        if item.question.kind in ("color", "text", "relation", "place"):
            for index in item.question.needed[:1]:
                tile = item.scene.things[index].tile
                same = [
                    each
                    for each in things
                    if (each.name, each.text and each.color) == (tile.name, tile.text and tile.color)
                ]
                assert len(same) == 1 or item.question.kind == "place"


def test_regions_lie_inside_and_hold_what_is_drawn(some):
    """A thing left out changes pixels inside its box, up to its edges, and none outside of it."""
    for item in some:
        left, top, right, bottom = item.question.box(item.scene)
        width, height = item.scene.size
        assert 0 <= left < right <= width and 0 <= top < bottom <= height
        assert item.region == Region.from_box((left, top, right, bottom), width, height)
        whole = np.asarray(item.scene.image(), int)
        for index in item.question.needed:
            box = item.scene.things[index].box
            changed = np.argwhere((whole != np.asarray(item.scene.image(without=[index]), int)).any(axis=2))
            (y0, x0), (y1, x1) = changed.min(axis=0), changed.max(axis=0) + 1
            assert left <= box[0] <= x0 < x1 <= box[2] <= right and top <= box[1] <= y0 < y1 <= box[3] <= bottom
            assert max(x0 - box[0], y0 - box[1], box[2] - x1, box[3] - y1) <= FAINT


def test_nothing_else_covers_what_is_needed(asked):
    for item in asked:
        for index in item.question.needed:
            own = item.scene.things[index].box
            assert not any(
                gap(own, other.box) == 0
                for i, other in enumerate(item.scene.things)
                if i != index and item.scene.things[index].row < 0
            )


def test_the_dataset_asks_these_questions():
    found = dataset("world_independent", limit=16)
    assert (found.max_new_tokens, found.metric.name, found.short_answer) == (8, "exact", False)
    for each, item in zip(found.examples, items(2), strict=True):
        assert (each.question, each.answers, each.kind) == (
            item.question.text,
            (item.question.answer,),
            item.question.kind,
        )
        assert (each.needed, each.everything) == (item.region.grid, not item.question.needed)
        assert (each.id, each.group) == (f"{item.scene.seed} {each.kind}", str(item.scene.seed))
    assert found.examples[0].open().tobytes() == items(2)[0].scene.image().tobytes()
    assert {each.id for each in dataset("world_independent", limit=8).examples} < {each.id for each in found.examples}
