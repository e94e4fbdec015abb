"""Questions about several objects or all: counts, existence, comparisons, values and prices, the whole image."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from itertools import combinations

from crop_core.train.world.phrasings import COMPARATIVES, SUPERLATIVES, ask
from crop_core.train.world.question import Question, held_out_pair
from crop_core.train.world.vocabulary import CATEGORIES, Box, Scene, SceneObject, article, plural

_MAX_TOTAL = 8
_PHRASINGS = 2  # phrasings of a question in training, of which a scene has only one


def counts(rng: random.Random, scene: Scene, held_out: bool) -> Iterator[Question]:
    """Counts of names that occur more than once, and in every third scene of one that occurs once."""
    if scene.setting == "list":
        return
    if scene.setting == "chart":
        occurrences = {"bar": len(scene.objects)}
    else:
        occurrences = scene.counts
    single = [name for name, count in occurrences.items() if count == 1]
    repeated = [name for name, count in occurrences.items() if count > 1]
    for name in repeated + rng.sample(single, min(1, len(single)) if rng.random() < 1 / 3 else 0):
        things = [thing for thing in scene.objects if name in (thing.name, thing.kind)]
        boxes, text = tuple(thing.box for thing in things), ask(rng, "count", held_out, names=plural(name))
        yield Question("count", text, str(len(boxes)), boxes, boxes, counted=_main_boxes(things))


def existences(rng: random.Random, scene: Scene, held_out: bool) -> Iterator[Question]:
    """Whether there is an object: as many absent as present ones."""
    if scene.setting in ("chart", "list"):
        return
    present = [name for name in scene.counts if name != "sign"]
    absent = [name for name in CATEGORIES if name not in scene.counts and name not in ("sign", "bar")]
    for name in present:
        boxes = tuple(thing.box for thing in scene.objects if thing.name == name)
        yield Question("exist", ask(rng, "exist", held_out, a=article(name), name=name), "yes", boxes, boxes)
    for name in rng.sample(absent, min(len(present), len(absent))):
        yield Question("exist", ask(rng, "exist", held_out, a=article(name), name=name), "no", (), ())


def comparisons(rng: random.Random, scene: Scene, held_out: bool) -> Iterator[Question]:
    """The higher of two bars, the cheaper of two items, and the extreme of all."""
    if scene.setting not in ("chart", "list"):
        return
    chart = scene.setting == "chart"
    sort = "list" if not chart else "standing" if scene.columns > 1 else "lying"
    of_two, of_all = ("higher", "highest") if chart else ("cheaper", "cheapest")
    directions = (max, min)
    for pair in combinations(scene.objects, 2):
        one, other = rng.sample(pair, 2)
        if held_out_pair(one.name, other.name) == held_out:
            pick = rng.choice(directions)
            more = rng.choice(COMPARATIVES[sort][directions.index(pick)])
            text = ask(rng, of_two, held_out, more=more, name=one.name, other=other.name)
            best, boxes = pick(pair, key=_amount), (one.box, other.box)
            amounts = (_amount_box(one), _amount_box(other))
            winner = (_amount_box(best), _name_box(best))
            yield Question("compare", text, best.name, boxes, boxes, amounts, winner)
    for pick, words in zip(directions, SUPERLATIVES[sort], strict=True):
        best = pick(scene.objects, key=_amount)
        winner = (_amount_box(best), _name_box(best))
        times = range(1 if held_out else _PHRASINGS)
        for text in dict.fromkeys([ask(rng, of_all, held_out, most=rng.choice(words)) for _ in times]):
            yield Question("compare", text, best.name, (), (), winner=winner)


def _main_boxes(things: Sequence[SceneObject]) -> tuple[Box, ...]:
    """The main piece of each object."""
    return tuple(thing.marks[0].box if thing.marks else thing.box for thing in things)


def _amount(thing: SceneObject) -> int:
    """The value of a bar, the price of an item."""
    return int(thing.text or 0)


def _amount_box(thing: SceneObject) -> Box:
    return next(mark.box for mark in thing.marks if mark.text == thing.text)


def _name_box(thing: SceneObject) -> Box:
    return next(mark.box for mark in thing.marks if thing.name in (mark.text, mark.category))


def values(rng: random.Random, scene: Scene, held_out: bool) -> Iterator[Question]:
    """The value of a bar, the price of an item."""
    if scene.setting in ("chart", "list"):
        form = "value" if scene.setting == "chart" else "price"
        for thing in scene.objects:
            text = ask(rng, form, held_out, name=thing.name)
            yield Question("value", text, thing.text or "", (_name_box(thing),), (_amount_box(thing),))


def wholes(rng: random.Random, scene: Scene, held_out: bool) -> Iterator[Question]:
    """The number of objects, and the background."""
    if scene.setting in ("chart", "list"):
        return
    if len(scene.objects) <= _MAX_TOTAL:
        for text in dict.fromkeys([ask(rng, "total", held_out) for _ in range(1 if held_out else _PHRASINGS)]):
            yield Question("whole", text, str(len(scene.objects)), (), (), counted=_main_boxes(scene.objects))
    if scene.background:
        yield Question("whole", ask(rng, "background", held_out), scene.background, (), ())


MAKERS = {"count": counts, "exist": existences, "compare": comparisons, "value": values, "whole": wholes}
