"""Questions about single objects: relations to others, places, colors, texts."""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import combinations
from math import dist

from crop_core.train.world.phrasings import CORNERS, WHERE, ask
from crop_core.train.world.question import Question, held_out_pair
from crop_core.train.world.vocabulary import Scene, SceneObject

_CLEARLY = 1.3  # the nearest object is this many times nearer than the next


def name_of(thing: SceneObject) -> str:
    """The name of an object in questions."""
    return f"{thing.color} sign" if thing.kind == "sign" else thing.name


def _named(scene: Scene) -> list[SceneObject]:
    """The objects with a unique name."""
    counts = scene.counts
    return [thing for thing in scene.objects if thing.kind == "sign" or counts[thing.name] == 1]


def _is_laid_out(scene: Scene) -> bool:
    return scene.setting not in ("chart", "list")


def _middle(thing: SceneObject) -> tuple[float, float]:
    left, top, right, bottom = thing.box
    return (left + right) / 2, (top + bottom) / 2


def _next(scene: Scene, thing: SceneObject, step: tuple[int, int]) -> SceneObject | None:
    """The first object in the same row or column of the layout, in steps of (rows, columns)."""
    at = {(other.row, other.column): other for other in scene.objects}
    row, column = thing.row + step[0], thing.column + step[1]
    while 0 <= row < scene.rows and 0 <= column < scene.columns:
        if (row, column) in at:
            return at[row, column]
        row, column = row + step[0], column + step[1]
    return None


def relations(rng: random.Random, scene: Scene, held_out: bool) -> Iterator[Question]:
    """The object left of, right of, above, under or nearest to an object, or between two."""
    if _is_laid_out(scene):
        yield from _beside(rng, scene, held_out)
        yield from _nearest(rng, scene, held_out)
        yield from _between(rng, scene, held_out)


def _beside(rng: random.Random, scene: Scene, held_out: bool) -> Iterator[Question]:
    for thing in _named(scene):
        for where in rng.sample(list(WHERE), len(WHERE) // 2):
            neighbor = _next(scene, thing, WHERE[where])
            if neighbor and neighbor.kind != "sign" and held_out_pair(name_of(thing), neighbor.name) == held_out:
                text = ask(rng, "where", held_out, where=where, name=name_of(thing))
                yield Question("relation", text, neighbor.name, (thing.box,), (neighbor.box,))


def _nearest(rng: random.Random, scene: Scene, held_out: bool) -> Iterator[Question]:
    for thing in _named(scene):
        others = sorted(
            (dist(_middle(thing), _middle(other)), i) for i, other in enumerate(scene.objects) if other is not thing
        )
        (first, index), (second, _) = others[:2]
        neighbor = scene.objects[index]
        fits = neighbor.kind != "sign" and held_out_pair(name_of(thing), neighbor.name) == held_out
        if fits and second > _CLEARLY * first:
            text = ask(rng, "nearest", held_out, name=name_of(thing))
            yield Question("relation", text, neighbor.name, (thing.box,), (neighbor.box,))


def _between(rng: random.Random, scene: Scene, held_out: bool) -> Iterator[Question]:
    """Two objects of a row or column with exactly one between them."""
    for one, other in combinations(_named(scene), 2):
        if one.row != other.row and one.column != other.column:
            continue
        between = [
            thing
            for thing in scene.objects
            if thing is not one
            and thing is not other
            and min(one.row, other.row) <= thing.row <= max(one.row, other.row)
            and min(one.column, other.column) <= thing.column <= max(one.column, other.column)
        ]
        if len(between) != 1 or between[0].kind == "sign":
            continue
        names = [name_of(one), name_of(other), between[0].name]
        unseen = [held_out_pair(*pair) for pair in combinations(names, 2)]  # the first: of the two named objects
        if unseen[0] if held_out else not any(unseen):
            first, second = rng.sample([one, other], 2)
            text = ask(rng, "between", held_out, name=name_of(first), other=name_of(second))
            yield Question("relation", text, between[0].name, (first.box, second.box), (between[0].box,))


def places(rng: random.Random, scene: Scene, held_out: bool) -> Iterator[Question]:
    """The object in a corner or, where the layout has one, in the center."""
    if not _is_laid_out(scene):
        return
    at = {(thing.row, thing.column): thing for thing in scene.objects if thing.kind != "sign"}
    rows, columns = (0, scene.rows - 1), (0, scene.columns - 1)
    for corner in CORNERS:
        thing = at.get((rows["bottom" in corner], columns["right" in corner]))
        if thing:
            yield Question("place", ask(rng, "corner", held_out, corner=corner), thing.name, (), (thing.box,))
    if scene.rows % 2 and scene.columns % 2:
        thing = at.get((scene.rows // 2, scene.columns // 2))
        if thing:
            yield Question("place", ask(rng, "center", held_out), thing.name, (), (thing.box,))


def colors(rng: random.Random, scene: Scene, held_out: bool) -> Iterator[Question]:
    """The color of a shape or of a bar."""
    for thing in scene.objects:
        if thing.kind in ("shape", "bar"):
            name = f"{thing.name} bar" if thing.kind == "bar" else thing.name
            text = ask(rng, "color", held_out, name=name)
            yield Question("color", text, thing.color or "", (thing.box,), (thing.box,))


def texts(rng: random.Random, scene: Scene, held_out: bool) -> Iterator[Question]:
    """The words or the number on a sign."""
    for thing in scene.objects:
        if thing.kind == "sign":
            form = "number" if (thing.text or "").isdigit() else "text"
            text = ask(rng, form, held_out, color=thing.color or "")
            yield Question("text", text, thing.text or "", (thing.box,), words_of(thing))


def words_of(thing: SceneObject) -> tuple:
    """The boxes of the words on a sign, in reading order."""
    return tuple(mark.box for mark in thing.marks if mark.text)


def two_hops(rng: random.Random, scene: Scene, held_out: bool) -> Iterator[Question]:
    """The color or the text of the sign or shape beside an object."""
    if not _is_laid_out(scene):
        return
    for thing in _named(scene):
        for where in rng.sample(list(WHERE), len(WHERE) // 2):
            neighbor = _next(scene, thing, WHERE[where])
            if not neighbor or neighbor.kind not in ("sign", "shape"):
                continue
            if held_out_pair(name_of(thing), name_of(neighbor)) != held_out:
                continue
            if neighbor.kind == "sign" and rng.random() < 0.5:
                text = ask(rng, "text of what is where", held_out, where=where, name=name_of(thing))
                yield Question("two_hop", text, neighbor.text or "", (thing.box,), words_of(neighbor))
            else:
                words = {"thing": neighbor.kind, "where": where, "name": name_of(thing)}
                text = ask(rng, "color of what is where", held_out, **words)
                yield Question("two_hop", text, neighbor.color or "", (thing.box,), (neighbor.box,))


MAKERS = {"relation": relations, "place": places, "color": colors, "text": texts, "two_hop": two_hops}
