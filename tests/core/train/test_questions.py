"""Every question of the bundled models' world, answered again from its words alone and from where things are drawn."""

import random
import re
from collections import Counter
from functools import cache
from itertools import combinations
from math import dist
from typing import NamedTuple
from unittest import mock

import pytest

from crop_core.train.world import scenes
from crop_core.train.world.question import KINDS, Question, held_out_pair
from crop_core.train.world.questions import all_questions
from crop_core.train.world.vocabulary import BACKGROUNDS, CATEGORIES, Scene, SceneObject

SEEDS = range(200)
BOTH = pytest.mark.parametrize("held_out", [False, True], ids=["training", "held out"])
STEPS = {"left of": (-1, 0), "right of": (1, 0), "above": (0, -1), "over": (0, -1), "below": (0, 1), "under": (0, 1)}
_WHERE = "(" + "|".join(STEPS) + ")"
_MORE = "(higher|taller|longer|lower|shorter|cheaper|more expensive)"
# The first that fits a question tells its form, whatever its phrasing; the groups are the words that fill it.
FORMS = {
    "background": "background",
    "total": "(?:how many|number of) (?:objects|things)",
    "corner": "(top|bottom) (left|right) corner",
    "center": "(?:middle|center)",
    "between": r"between the (.+) and the (.+)\?",
    "nearest": r"(?:nearest|closest) to the (.+)\?",
    "hop to color": rf"color .*the (sign|shape) (?:to the )?{_WHERE} the (.+?)(?: have)?\?",
    "hop to text": rf"the sign (?:to the )?{_WHERE} the (.+?)(?: say)?\?",
    "where": rf"{_WHERE} the (.+)\?",
    "of two": rf"{_MORE}, the (\w+)(?: bar)? or the (\w+)(?: bar)?\?",
    "of all": r"(highest|tallest|longest|lowest|shortest|cheapest|most expensive)",
    "number": r"number .*the (\w+) sign",
    "text": r"the (\w+) sign",
    "count": r"(?:how many|number of) (\w+)",
    "color": r"color .*the (\w+)(?: bar)?(?: have)?\?",
    "value": r"value .*the (\w+)|how much is the (\w+) bar",
    "price": r"price .*the (\w+)|the (\w+) cost|how much is the (\w+)",
    "exist": r"\ban? (\w+)",
}
KIND_OF = {
    "between": "relation", "nearest": "relation", "where": "relation", "hop to color": "two_hop",
    "hop to text": "two_hop", "of two": "compare", "of all": "compare", "text": "text", "number": "text",
    "count": "count", "color": "color", "value": "value", "price": "value", "exist": "exist", "corner": "place",
    "center": "place", "total": "whole", "background": "whole",
}  # fmt: skip
LEAST = {
    "center": 5, "color of bar": 50, "color of shape": 50, "count": 50, "exist no": 300, "exist yes": 300,
    "of two cheap": 5, "of two dear": 5, "of two high": 5, "of two low": 5, "price": 40, "value": 40,
}  # fmt: skip
DETAILED = [
    *LEAST, *(f"where {where}" for where in STEPS), *(f"background {name}" for name in BACKGROUNDS), "between",
    "corner top left", "corner top right", "corner bottom left", "corner bottom right", "count bar", "count sign",
    "hop to color of shape", "hop to color of sign", "hop to text", "nearest", "number", "of all cheap", "of all dear",
    "of all high", "of all low", "text of 1", "text of 2", "text of 3", "total",
]  # fmt: skip
SENSES = {"tal": "high", "hig": "high", "lon": "high", "sho": "low", "low": "low", "che": "cheap", "mor": "dear"}
PARTS = ("text", "number", "hop to text", "price", "value")  # the target is a part of a thing
PLURALS = {"buses": "bus", "foxes": "fox", "crosses": "cross", "octopuses": "octopus"}  # the others end with one "s"


class Case(NamedTuple):
    scene: Scene
    flat: tuple[SceneObject, ...]  # its things before a camera tilted the image
    question: Question


@cache
def questions(held_out):
    def noting(rng, scene, style):
        nonlocal flat
        flat = scene.objects
        return finish(rng, scene, style)

    finish, flat, cases = scenes.finish, (), []
    with mock.patch.object(scenes, "finish", noting):
        for seed in SEEDS:
            scene = scenes.make_scene(seed, held_out)
            pools = all_questions(random.Random(seed), scene, held_out).values()
            cases += [Case(scene, flat, question) for pool in pools for question in pool]
    return cases


def form_of(text):
    """The form of a question, and the words that fill it."""
    for form, pattern in FORMS.items():
        if match := re.search(pattern, text):
            return form, [word for word in match.groups() if word]
    raise AssertionError(text)


def middle(thing):
    left, top, right, bottom = thing.box
    return (left + right) / 2, (top + bottom) / 2


def called(thing):
    return f"{thing.color} sign" if thing.kind == "sign" else thing.name


class Read(NamedTuple):
    """Named: the things that the question names, by index; holders: those that hold the answer; detail: of the form."""

    answer: str
    named: tuple = ()
    holders: tuple = ()
    detail: str = ""


class Reader:
    """Answers from things' boxes, names, colors and texts; one method a form."""

    def __init__(self, scene, flat):
        self.scene, self.flat, self.all = scene, flat, range(len(flat))
        width, height = scene.image.size
        self.cells = [(int(x * scene.columns / width), int(y * scene.rows / height)) for x, y in map(middle, flat)]

    def read(self, text):
        form, words = form_of(text)
        read = getattr(self, form.replace(" ", "_"))(*words)
        return f"{form} {read.detail}".strip(), read

    def the(self, name):
        """The one thing that a question calls so."""
        names = [called(thing) for thing in self.flat]
        assert names.count(name) == 1, f"{name} is not one thing"
        return names.index(name)

    def beside(self, where, name):
        """The thing of this name, and the next in its row or column."""
        me, (dx, dy) = self.the(name), STEPS[where]
        x, y = self.cells[me]
        steps = {i: (column - x) * dx + (row - y) * dy for i, (column, row) in enumerate(self.cells)}
        line = [i for i in self.all if self.cells[i] == (x + steps[i] * dx, y + steps[i] * dy) and steps[i] > 0]
        return me, min(line, key=lambda i: steps[i])

    def where(self, where, name):
        me, answer_at = self.beside(where, name)
        return Read(self.flat[answer_at].name, (me,), (answer_at,), where)

    def hop_to_color(self, kind, where, name):
        me, answer_at = self.beside(where, name)
        assert self.flat[answer_at].kind == kind
        return Read(self.flat[answer_at].color, (me,), (answer_at,), f"of {kind}")

    def hop_to_text(self, where, name):
        me, answer_at = self.beside(where, name)
        return Read(self.flat[answer_at].text, (me,), (answer_at,))

    def between(self, one, other):
        ends = (self.the(one), self.the(other))
        (left, right), (top, bottom) = (sorted(self.cells[i][axis] for i in ends) for axis in (0, 1))
        assert left == right or top == bottom
        inside = {i for i, (x, y) in enumerate(self.cells) if left <= x <= right and top <= y <= bottom}
        (answer_at,) = inside - set(ends)
        return Read(self.flat[answer_at].name, ends, (answer_at,))

    def nearest(self, name):
        """By the boxes in the image as it is seen, and clearly nearer than the next."""
        me, things = self.the(name), self.scene.objects
        away = {i: dist(middle(things[i]), middle(things[me])) for i in self.all if i != me}
        first, second = sorted(away, key=lambda i: away[i])[:2]
        assert away[second] > 1.3 * away[first]
        return Read(things[first].name, (me,), (first,))

    def closest_to(self, point):
        return min(self.all, key=lambda i: dist(middle(self.flat[i]), point))

    def corner(self, vertical, horizontal):
        width, height = self.scene.image.size
        answer_at = self.closest_to((width * (horizontal == "right"), height * (vertical == "bottom")))
        return Read(self.flat[answer_at].name, (), (answer_at,), f"{vertical} {horizontal}")

    def center(self):
        answer_at = self.closest_to([side / 2 for side in self.scene.image.size])
        return Read(self.flat[answer_at].name, holders=(answer_at,))

    def color(self, name):
        me = self.the(name)
        return Read(self.flat[me].color, (me,), (me,), f"of {self.flat[me].kind}")

    def text(self, color):
        me = self.the(f"{color} sign")
        return Read(self.flat[me].text, (me,), (me,), f"of {len(self.flat[me].text.split())}")

    def number(self, color):
        read = self.text(color)
        assert read.answer in map(str, range(21))
        return read._replace(detail="")

    def count(self, names):
        name = PLURALS.get(names, names[:-1])
        answer_at = tuple(i for i in self.all if name in (self.flat[i].name, self.flat[i].kind))
        return Read(str(len(answer_at)), answer_at, answer_at, name if name in ("bar", "sign") else "")

    def exist(self, name):
        answer_at = tuple(i for i in self.all if self.flat[i].name == name)
        return Read("yes" if answer_at else "no", answer_at, answer_at, "yes" if answer_at else "no")

    def most(self, word, among):
        """The longest or shortest bar as drawn, the dearest or cheapest item."""
        sense = SENSES.get(word[:3], "dear")
        if self.scene.setting == "list":
            amounts = [int(thing.text) for thing in self.flat]
            assert sense in ("cheap", "dear")
        else:
            side = int(self.scene.columns > 1)  # bars stand, or else lie
            amounts = [thing.marks[0].box[side + 2] - thing.marks[0].box[side] for thing in self.flat]
            assert word[:3] in (("tal", "hig", "sho", "low") if side else ("lon", "sho"))
        return self.flat[(max if sense in ("high", "dear") else min)(among, key=lambda i: amounts[i])].name, sense

    def of_two(self, more, one, other):
        pair = (self.the(one), self.the(other))
        answer, sense = self.most(more, pair)
        return Read(answer, pair, pair, sense)

    def of_all(self, most):
        answer, sense = self.most(most, self.all)
        return Read(answer, detail=sense)

    def value(self, name, kind="bar"):
        me = self.the(name)
        assert self.flat[me].kind == kind
        return Read(self.flat[me].text, (me,), (me,))

    def price(self, name):
        return self.value(name, "row")

    def total(self):
        return Read(str(len(self.all)))

    def background(self):
        return Read(self.scene.background, detail=self.scene.background)


def read(case):
    return Reader(case.scene, case.flat).read(case.question.text)


@BOTH
def test_answers_agree_with_a_reader_of_the_words_alone(held_out):
    counts = Counter()
    for case in questions(held_out):
        form, reading = read(case)
        assert reading.answer == case.question.answer, case.question
        assert KIND_OF[form_of(case.question.text)[0]] == case.question.kind, case.question
        counts[form] += 1
    assert {form: n for form, n in counts.items() if n < LEAST.get(form, 10)} == {}
    assert set(counts) == set(DETAILED) and set(KIND_OF.values()) == set(KINDS)


@BOTH
def test_boxes_hold_what_must_be_seen(held_out):
    for case in questions(held_out):
        question, things, (form, reading) = case.question, case.scene.objects, read(case)
        everything = form.startswith(("exist no", "of all", "total", "background"))
        assert question.needs_everything == (not reading.named + reading.holders) == everything, question
        if not form.startswith(PARTS):
            assert sorted(question.target) == sorted(things[i].box for i in reading.holders), question
        if form not in ("price", "value"):
            assert sorted(question.reference) == sorted(things[i].box for i in reading.named), question
        left, top, right, bottom = box = question.box(*case.scene.image.size)
        if everything:
            assert box == (0, 0, *case.scene.image.size)
        for x, y in (middle(things[i]) for i in reading.named + reading.holders):
            assert left <= x < right and top <= y < bottom, question


@BOTH
def test_texts_are_targets_word_by_word(held_out):
    for case in questions(held_out):
        question, (form, reading) = case.question, read(case)
        if form.startswith(PARTS):
            (thing,) = (case.scene.objects[i] for i in reading.holders)
            shown = {mark.box: mark.text or mark.category for mark in thing.marks}
            assert [shown[box] for box in question.target] == question.answer.split()
            assert list(question.target) == sorted(question.target, key=lambda box: box[1] + box[3])  # a line each
            if form in ("price", "value"):
                assert [shown[box] for box in question.reference] == [thing.name]


@BOTH
def test_comparisons_tell_where_amounts_and_the_winner_are(held_out):
    compared = [case for case in questions(held_out) if case.question.kind == "compare"]
    for case in compared:
        question = case.question
        shown = {mark.box: mark.text or mark.category for thing in case.scene.objects for mark in thing.marks}
        amounts = {thing.name: thing.text for thing in case.scene.objects}
        assert [shown[box] for box in question.winner] == [amounts[question.answer], question.answer]
        named = [next(t for t in case.scene.objects if t.box == box) for box in question.reference]
        assert [shown[box] for box in question.amounts] == [thing.text for thing in named]
        places = [question.text.index(f" {thing.name}") for thing in named]
        assert places == sorted(places)  # in the order of the words
    assert len(compared) > 50


@BOTH
def test_held_out_pairs_are_asked_about_in_held_out_questions_alone(held_out):
    counts = Counter()
    for case in questions(held_out):
        form, reading = read(case)
        if form.startswith(("where", "nearest", "between", "hop", "of two")):
            names = [called(case.flat[i]) for i in dict.fromkeys(reading.named + reading.holders)]
            unseen = [held_out_pair(*pair) and held_out_pair(*pair[::-1]) for pair in combinations(names, 2)]
            assert unseen[0] if held_out else not any(unseen), case.question  # the first is the two that it names
            counts[case.question.kind] += 1
    assert set(counts) == {"relation", "two_hop", "compare"} and min(counts.values()) >= 20
    pairs = list(combinations(CATEGORIES, 2))
    assert 0.1 < sum(held_out_pair(*pair) for pair in pairs) / len(pairs) < 0.15
