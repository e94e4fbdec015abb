"""Questions about a scene, in words of their own that the bundled models know; answers come from the description.

No phrasing is one of the bundled world's or of its users'.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import dist

from crop_core.evaluate.datasets.independent.scenes import Scene, Thing
from crop_core.evaluate.datasets.independent.sketches import PICTOGRAMS, SHAPES
from crop_core.train.world.vocabulary import Box, article, plural

PHRASINGS: dict[str, tuple[str, ...]] = {
    "color": (
        "what color is the {name} in the picture?",
        "which color do you see on the {name}?",
        "what is the color of the {name} there?",
        "do you see what color the {name} is?",
    ),
    "word": (
        "what do you read on the {color} sign?",
        "what is written there on the {color} sign?",
        "which words do you see on the {color} sign?",
    ),
    "number": (
        "which number do you see on the {color} sign?",
        "what number can you read on the {color} sign?",
        "what is the number on the {color} sign in the picture?",
    ),
    "count": (
        "how many {names} does the picture show?",
        "how many {names} can be found?",
        "how many of the things are {names}?",
        "what is the number of {names} in the picture?",
    ),
    "bars": ("how many bars does the chart show?", "how many bars are on the chart?"),
    "exist": (
        "is there {a} {name} there?",
        "can {a} {name} be seen in the picture?",
        "can {a} {name} be found?",
        "do you see {a} {name} there?",
    ),
    "of two": (
        "which is {more}: the {name} or the {other}?",
        "which thing is {more}, the {name} or the {other}?",
        "of the {name} and the {other}, which is {more}?",
    ),
    "of all bars": ("which of the bars is the {more}?", "what is the {more} of the bars?"),
    "of all items": ("which of the items is the {more}?", "what is the {more} of the items?"),
    "value": (
        "what is the value of the {name} on the chart?",
        "which value can you read on the {name} bar?",
        "how much is the {name} on the chart?",
    ),
    "price": (
        "how much is the {name} on the list?",
        "what is the price of the {name} on the list?",
        "what does the {name} on the list cost?",
    ),
    "place": (
        "what object is in the {corner} corner?",
        "which thing do you see in the {corner} corner?",
        "what is there in the {corner} corner of the picture?",
    ),
    "beside": (
        "what is there {where} the {name}?",
        "what object is {where} the {name}?",
        "which thing can you see {where} the {name}?",
    ),
    "nearest": (
        "what object is nearest to the {name}?",
        "which of the things is nearest to the {name}?",
        "what thing is closest to the {name}?",
    ),
}
CORNERS = ("top left", "top right", "bottom left", "bottom right")
_CLEARLY = 140  # per cent: the second nearest thing is at least so far away


@dataclass(frozen=True)
class Question:
    """A question, its answer, and the indices of the scene's things that it depends on: none for the whole image."""

    kind: str
    text: str
    answer: str
    needed: tuple[int, ...]

    def box(self, scene: Scene) -> Box:
        """The smallest box around what is needed, in pixels; the image where that is the whole of it."""
        if not self.needed:
            return (0, 0, *scene.size)
        left, top, right, bottom = zip(*(scene.things[index].box for index in self.needed), strict=True)
        return min(left), min(top), max(right), max(bottom)


def _ask(rng: random.Random, form: str, **words: str) -> str:
    """A question of this form in one of its phrasings."""
    return rng.choice(PHRASINGS[form]).format(**words)


def _name(thing: Thing) -> str:
    """What a question calls a thing: its name, or the color of its plate."""
    return thing.tile.name or f"{thing.tile.color} sign"


def _single(scene: Scene) -> dict[int, str]:
    """Index and name of the things that no other is called like; menus and rows have no names."""
    names = {i: _name(each) for i, each in enumerate(scene.things) if each.row < 0 and each.tile.kind != "words"}
    counts = Counter(names.values())
    return {index: name for index, name in names.items() if counts[name] == 1}


def _colors(rng: random.Random, scene: Scene) -> Iterator[Question]:
    """The color of a shape."""
    for index, thing in enumerate(scene.things):
        if thing.tile.kind == "shape":
            yield Question("color", _ask(rng, "color", name=thing.tile.name), thing.tile.color, (index,))


def _texts(rng: random.Random, scene: Scene) -> Iterator[Question]:
    """The word or the number on a plate."""
    for index, thing in enumerate(scene.things):
        if thing.tile.kind == "plate":
            form = "number" if thing.tile.text.isdigit() else "word"
            yield Question("text", _ask(rng, form, color=thing.tile.color), thing.tile.text, (index,))


def _counts(rng: random.Random, scene: Scene) -> Iterator[Question]:
    """Of the most frequent name; of one that occurs once in every third scene without another."""
    if scene.setting == "chart":
        bars = tuple(index for index, thing in enumerate(scene.things) if thing.role == "bar")
        yield Question("count", _ask(rng, "bars"), str(len(bars)), bars)
        return
    names = Counter(thing.tile.name for thing in scene.things if thing.tile.name)
    if names:
        name, count = names.most_common(1)[0]
        if count > 1 or rng.randrange(3) == 0:
            indices = tuple(index for index, thing in enumerate(scene.things) if thing.tile.name == name)
            yield Question("count", _ask(rng, "count", names=plural(name)), str(count), indices)


def _existences(rng: random.Random, scene: Scene) -> Iterator[Question]:
    """One of a thing that is there, or of one that is not, equally often."""
    present = [name for name in (*PICTOGRAMS, *SHAPES) if any(name == thing.tile.name for thing in scene.things)]
    absent = [name for name in (*PICTOGRAMS, *SHAPES) if name not in present]
    if present:
        there = rng.random() < 0.5
        name = rng.choice(present if there else absent)
        needed = tuple(index for index, thing in enumerate(scene.things) if thing.tile.name == name)
        text = _ask(rng, "exist", a=article(name), name=name)
        yield Question("exist", text, "yes" if there else "no", needed)


def _rows(scene: Scene) -> dict[str, tuple[int, tuple[int, ...]]]:
    """The amount and the indices of each row, by its label."""
    rows = {}
    for label in (thing for thing in scene.things if thing.role == "label"):
        indices = tuple(index for index, thing in enumerate(scene.things) if thing.row == label.row)
        amount = next(scene.things[index].tile.text for index in indices if scene.things[index].role == "amount")
        rows[label.tile.text] = int(amount), indices
    return rows


def _comparisons(rng: random.Random, scene: Scene) -> Iterator[Question]:
    """The extreme of two rows, or of all."""
    rows, chart = _rows(scene), scene.setting == "chart"
    one, other = rng.sample(list(rows), 2)
    pick, more, most = rng.choice(
        ((max, "longer", "longest"), (min, "shorter", "shortest"))
        if chart
        else ((max, "more expensive", "most expensive"), (min, "cheaper", "cheapest"))
    )
    if rng.random() < 0.5:
        text = _ask(rng, "of two", name=one, other=other, more=more)
        yield Question("compare", text, pick((one, other), key=rows.__getitem__), rows[one][1] + rows[other][1])
    else:
        text = _ask(rng, "of all bars" if chart else "of all items", more=most)
        yield Question("compare", text, pick(rows, key=rows.__getitem__), sum((row[1] for row in rows.values()), ()))


def _values(rng: random.Random, scene: Scene) -> Iterator[Question]:
    """The amount of each row."""
    form = "value" if scene.setting == "chart" else "price"
    for name, (amount, indices) in _rows(scene).items():
        yield Question("value", _ask(rng, form, name=name), str(amount), indices)


def _places(rng: random.Random, scene: Scene) -> Iterator[Question]:
    """The only thing in a corner's ninth of the image, where it is clearly the nearest to the corner, too."""
    for corner in CORNERS:
        at = scene.size[0] * ("right" in corner), scene.size[1] * ("bottom" in corner)
        near = sorted((dist(at, _middle(thing)), index) for index, thing in enumerate(scene.things))
        inside = [index for index, thing in enumerate(scene.things) if _is_in_ninth(thing, at, scene.size)]
        clear = len(near) > 1 and 100 * near[1][0] > _CLEARLY * near[0][0]
        if clear and inside == [near[0][1]] and scene.things[inside[0]].tile.name:
            text = _ask(rng, "place", corner=corner)
            yield Question("place", text, scene.things[inside[0]].tile.name, tuple(inside))


def _is_in_ninth(thing: Thing, at: tuple[int, int], size: tuple[int, int]) -> bool:
    """Whether the thing's middle lies within a third of both sides from a corner."""
    return all(3 * abs(one - other) < side for one, other, side in zip(_middle(thing), at, size, strict=True))


def _middle(thing: Thing) -> tuple[float, float]:
    """The middle of a thing's box."""
    left, top, right, bottom = thing.box
    return (left + right) / 2, (top + bottom) / 2


def _relations(rng: random.Random, scene: Scene) -> Iterator[Question]:
    """The thing beside, above or below another, or clearly nearest to it."""
    for index, name in _single(scene).items():
        for where in ("to the left of", "to the right of", "above", "below"):
            yield from _relation(
                scene, index, _beside(scene, index, where), _ask(rng, "beside", where=where, name=name)
            )
        yield from _relation(scene, index, _nearest(scene, index), _ask(rng, "nearest", name=name))


def _relation(scene: Scene, index: int, found: int | None, text: str) -> Iterator[Question]:
    """A question about two things, where the second was found and has a name."""
    if found is not None and scene.things[found].tile.name:
        yield Question("relation", text, scene.things[found].tile.name, (index, found))


def _nearest(scene: Scene, index: int) -> int | None:
    """The nearest thing, by the middle and by the edge; None where another might be meant."""
    own, others = scene.things[index], [i for i in range(len(scene.things)) if i != index]
    near = sorted((dist(_middle(own), _middle(scene.things[i])), i) for i in others)
    if len(near) < 2 or 100 * near[1][0] <= _CLEARLY * near[0][0]:
        return None
    return near[0][1] if min(others, key=lambda i: _gap(own.box, scene.things[i].box)) == near[0][1] else None


def _gap(one: Box, other: Box) -> float:
    """Distance between two boxes."""
    across, down = (max(one[i] - other[i + 2], other[i] - one[i + 2], 0) for i in (0, 1))
    return dist((0, 0), (across, down))


def _beside(scene: Scene, index: int, where: str) -> int | None:
    """The nearest thing on that side, level with the named one; None where another might be meant."""
    axis, sign = int(where in ("above", "below")), -1 if where in ("to the left of", "above") else 1
    own, ahead = scene.things[index], []
    for i, thing in enumerate(scene.things):
        away = sign * (_middle(thing)[axis] - _middle(own)[axis])
        off = abs(_middle(thing)[1 - axis] - _middle(own)[1 - axis])
        low, high = 1 - axis, 3 - axis
        level = off <= (own.box[high] - own.box[low]) / 2
        shares = thing.box[low] < own.box[high] and own.box[low] < thing.box[high]
        if i != index and away > 0 and (off < away or shares):  # within 45 degrees, or in the same strip
            ahead.append((away, level, i))
    ahead.sort()
    if not ahead or not ahead[0][1]:
        return None
    return ahead[0][2] if len(ahead) == 1 or 100 * ahead[1][0] > _CLEARLY * ahead[0][0] else None


_MAKERS: dict[str, Callable[[random.Random, Scene], Iterator[Question]]] = {
    "relation": _relations,
    "color": _colors,
    "text": _texts,
    "count": _counts,
    "exist": _existences,
    "compare": _comparisons,
    "value": _values,
    "place": _places,
}
KINDS = tuple(_MAKERS)
_OF_ROWS = ("compare", "value")


def questions_of(scene: Scene) -> dict[str, Question]:
    """A question of every kind that the scene can answer, by kind."""
    rng = random.Random(f"questions {scene.seed}")
    rows = any(thing.role == "label" for thing in scene.things)
    asked = {}
    for kind, make in _MAKERS.items():
        if (kind in _OF_ROWS) == rows or (kind == "count" and scene.setting == "chart"):
            found = list(make(rng, scene))
            if found:
                asked[kind] = rng.choice(found)
    return asked
