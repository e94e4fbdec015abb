"""Questions about a scene, each with its answer and the boxes that one must see to answer it."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

from crop_core.tiny.world import CATEGORIES, Box, Scene, SceneObject, article, plural

KINDS = ("relation", "corner", "shape_color", "sign_text", "count", "exist")
PHRASINGS = {
    "relation": (
        "what is {where} the {reference}?",
        "which object is {where} the {reference}?",
        "what do you see {where} the {reference}?",
        "what can be seen {where} the {reference}?",
    ),
    "corner": (
        "what is in the {corner} corner?",
        "which object is in the {corner} corner?",
        "what do you see in the {corner} corner?",
    ),
    "shape_color": (
        "what color is the {name}?",
        "what is the color of the {name}?",
        "which color does the {name} have?",
    ),
    "sign_text": (
        "what is written on the {color} sign?",
        "what does the {color} sign say?",
        "what can you read on the {color} sign?",
    ),
    "count": ("how many {names} are there?", "how many {names} do you see?", "how many {names} are in the picture?"),
    "exist": ("is there {a} {name}?", "do you see {a} {name}?", "is there {a} {name} in the picture?"),
}
WHERE = {
    "left of": (0, -1),
    "to the left of": (0, -1),
    "right of": (0, 1),
    "to the right of": (0, 1),
    "above": (-1, 0),
    "below": (1, 0),
    "under": (1, 0),
}


@dataclass(frozen=True)
class Question:
    """A question, its one-word answer, and what must be seen for it.

    `reference` are the boxes of the things that the question names, `target` those of the things that hold the answer;
    both empty where the whole picture must be seen (a thing that is not there).
    """

    kind: str
    text: str
    answer: str
    reference: tuple[Box, ...]
    target: tuple[Box, ...]

    def box(self, width: int, height: int) -> Box:
        """The smallest box around everything needed, in pixels; the whole picture where nothing in particular is."""
        boxes = self.reference + self.target
        if not boxes:
            return (0, 0, width, height)
        left, top, right, bottom = zip(*boxes, strict=True)
        return (min(left), min(top), max(right), max(bottom))


def all_questions(rng: random.Random, scene: Scene) -> dict[str, list[Question]]:
    """Every question that this scene answers, by kind; `rng` picks the phrasings and the things that are absent."""
    return {kind: list(_MAKERS[kind](rng, scene)) for kind in KINDS}


def sample_questions(rng: random.Random, scene: Scene, n: int) -> list[Question]:
    """Up to `n` different questions: a kind at random among those that the scene still has, then one of that kind."""
    pools = {kind: rng.sample(found, len(found)) for kind, found in all_questions(rng, scene).items() if found}
    weights = {"relation": 3.0, "corner": 2.0, "shape_color": 2.0, "sign_text": 2.0, "count": 2.0, "exist": 2.0}
    picked: list[Question] = []
    while len(picked) < n and pools:
        kind = rng.choices(list(pools), [weights[k] for k in pools])[0]
        picked.append(pools[kind].pop())
        if not pools[kind]:
            del pools[kind]
    return picked


def _ask(rng: random.Random, kind: str, **words: str) -> str:
    return rng.choice(PHRASINGS[kind]).format(**words)


def _named(thing: SceneObject) -> str:
    return f"{thing.color} sign" if thing.kind == "sign" else thing.name


def _relations(rng: random.Random, scene: Scene) -> Iterator[Question]:
    """The nearest thing in the same row or column of the layout, in each direction, of every thing named once."""
    counts = scene.counts
    at = {(thing.row, thing.column): thing for thing in scene.objects}
    for thing in scene.objects:
        if thing.kind != "sign" and counts[thing.name] > 1:
            continue
        for where, step in WHERE.items():
            found = _nearest(at, thing, step, scene)
            if found is not None and found.kind != "sign":
                text = _ask(rng, "relation", where=where, reference=_named(thing))
                yield Question("relation", text, found.name, (thing.box,), (found.box,))


def _nearest(at: dict, thing: SceneObject, step: tuple[int, int], scene: Scene) -> SceneObject | None:
    row, column = thing.row + step[0], thing.column + step[1]
    while 0 <= row < scene.rows and 0 <= column < scene.columns:
        if (row, column) in at:
            return at[row, column]
        row, column = row + step[0], column + step[1]
    return None


def _corners(rng: random.Random, scene: Scene) -> Iterator[Question]:
    at = {(thing.row, thing.column): thing for thing in scene.objects}
    for vertical, row in (("top", 0), ("bottom", scene.rows - 1)):
        for horizontal, column in (("left", 0), ("right", scene.columns - 1)):
            thing = at.get((row, column))
            if thing is not None and thing.kind != "sign":
                text = _ask(rng, "corner", corner=f"{vertical} {horizontal}")
                yield Question("corner", text, thing.name, (), (thing.box,))


def _shape_colors(rng: random.Random, scene: Scene) -> Iterator[Question]:
    for thing in scene.objects:
        if thing.kind == "shape":
            text = _ask(rng, "shape_color", name=thing.name)
            yield Question("shape_color", text, thing.color or "", (thing.box,), (thing.box,))


def _sign_texts(rng: random.Random, scene: Scene) -> Iterator[Question]:
    for thing in scene.objects:
        if thing.kind == "sign":
            text = _ask(rng, "sign_text", color=thing.color or "")
            yield Question("sign_text", text, thing.text or "", (thing.box,), (thing.box,))


def _counts(rng: random.Random, scene: Scene) -> Iterator[Question]:
    """Things and signs that occur more than once, and in every third scene one that occurs once."""
    single = [name for name, count in scene.counts.items() if count == 1]
    asked = [name for name, count in scene.counts.items() if count > 1]
    for name in asked + rng.sample(single, min(1, len(single)) if rng.random() < 1 / 3 else 0):
        boxes = tuple(thing.box for thing in scene.objects if thing.name == name)
        yield Question("count", _ask(rng, "count", names=plural(name)), str(len(boxes)), boxes, boxes)


def _existences(rng: random.Random, scene: Scene) -> Iterator[Question]:
    """As many absent things as present ones."""
    present = [name for name in scene.counts if name != "sign"]
    absent = [name for name in CATEGORIES if name not in scene.counts and name != "sign"]
    for name in present:
        boxes = tuple(thing.box for thing in scene.objects if thing.name == name)
        yield Question("exist", _ask(rng, "exist", a=article(name), name=name), "yes", boxes, boxes)
    for name in rng.sample(absent, len(present)):
        yield Question("exist", _ask(rng, "exist", a=article(name), name=name), "no", (), ())


_MAKERS = {
    "relation": _relations,
    "corner": _corners,
    "shape_color": _shape_colors,
    "sign_text": _sign_texts,
    "count": _counts,
    "exist": _existences,
}
