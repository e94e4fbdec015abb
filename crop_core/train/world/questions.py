"""All questions that a scene answers, a training mixture of them, and images cut out to what one of them needs."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
from PIL import Image

from crop_core.train.world import questions_about_objects, questions_about_sets
from crop_core.train.world.question import KINDS, Question
from crop_core.train.world.vocabulary import Box, Scene

_MAKERS = questions_about_objects.MAKERS | questions_about_sets.MAKERS
_WEIGHTS = {"relation": 4.0, "two_hop": 4.0, "text": 4.0, "count": 5.0, "compare": 5.0, "whole": 5.0}  # the others: 2


def all_questions(rng: random.Random, scene: Scene, held_out: bool = False) -> dict[str, list[Question]]:
    """Every question that this scene answers, by kind; `rng` picks the phrasings and the things that are absent.

    Held-out questions have phrasings of their own, and ask about pairs of names that no training question has.
    """
    found = {kind: list(_MAKERS[kind](rng, scene, held_out)) for kind in KINDS}
    if scene.shown is None:
        return found
    return {kind: [q for q in questions if q.is_answered_by(scene.shown)] for kind, questions in found.items()}


def sample_questions(rng: random.Random, scene: Scene, n: int) -> list[Question]:
    """Up to `n` different questions: a kind at random among those that the scene still has, then one of that kind."""
    pools = {kind: rng.sample(found, len(found)) for kind, found in all_questions(rng, scene).items() if found}
    picked: list[Question] = []
    while len(picked) < n and pools:
        kind = rng.choices(list(pools), [_WEIGHTS.get(kind, 2.0) for kind in pools])[0]
        picked.append(pools[kind].pop())
        if not pools[kind]:
            del pools[kind]
    return picked


def cut_out(image: Image.Image, boxes: tuple[Box, ...], grey: int | None = None) -> Image.Image:
    """The content of the boxes where it was, on plain grey, or, for None, on the median color of the image."""
    ground = _median(image) if grey is None else (grey, grey, grey)
    alone = Image.new("RGB", image.size, ground)
    for box in boxes:
        alone.paste(image.crop(box), box[:2])
    return alone


def _median(image: Image.Image) -> tuple[int, ...]:
    return tuple(map(int, np.median(np.asarray(image).reshape(-1, 3), axis=0)))


def cut_out_scene(rng: random.Random, scene: Scene) -> Scene:
    """The scene with nothing left but what a question picked at random needs; unchanged where each needs everything."""
    kinds = [[q for q in found if not q.needs_everything] for found in all_questions(rng, scene).values()]
    kinds = [found for found in kinds if found]
    if not kinds:
        return scene
    question = rng.choice(rng.choice(kinds))
    shown = question.reference + question.target
    grey = rng.choice((None, rng.randint(60, 220)))
    return replace(scene, image=cut_out(scene.image, shown, grey), shown=shown)
