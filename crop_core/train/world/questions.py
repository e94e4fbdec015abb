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
    """Every question that this scene answers, by kind; `rng` picks the phrasings and the absent objects.

    Held-out questions have phrasings of their own, and ask about pairs of names that no training question has.
    """
    questions = {kind: list(_MAKERS[kind](rng, scene, held_out)) for kind in KINDS}
    if scene.shown is None:
        return questions
    return {kind: [q for q in own if q.is_answered_by(scene.shown)] for kind, own in questions.items()}


def sample_questions(rng: random.Random, scene: Scene, n: int) -> list[Question]:
    """Up to `n` different questions: a random kind among those left, then one of that kind."""
    pools = {kind: rng.sample(own, len(own)) for kind, own in all_questions(rng, scene).items() if own}
    picked: list[Question] = []
    while len(picked) < n and pools:
        kind = rng.choices(list(pools), [_WEIGHTS.get(kind, 2.0) for kind in pools])[0]
        picked.append(pools[kind].pop())
        if not pools[kind]:
            del pools[kind]
    return picked


def cut_out(image: Image.Image, boxes: tuple[Box, ...], grey: int | None = None) -> Image.Image:
    """The image with nothing but the boxes, on plain grey, or, for None, on its median color."""
    ground = _median(image) if grey is None else (grey, grey, grey)
    result = Image.new("RGB", image.size, ground)
    for box in boxes:
        result.paste(image.crop(box), box[:2])
    return result


def _median(image: Image.Image) -> tuple[int, ...]:
    return tuple(map(int, np.median(np.asarray(image).reshape(-1, 3), axis=0)))


def cut_out_scene(rng: random.Random, scene: Scene) -> Scene:
    """The scene cut out to what a random question needs; unchanged where all need the whole image."""
    kinds = [[q for q in own if not q.needs_everything] for own in all_questions(rng, scene).values()]
    kinds = [own for own in kinds if own]
    if not kinds:
        return scene
    question = rng.choice(rng.choice(kinds))
    shown = question.reference + question.target
    grey = rng.choice((None, rng.randint(60, 220)))
    return replace(scene, image=cut_out(scene.image, shown, grey), shown=shown)
