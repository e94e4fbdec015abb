"""All questions that a scene answers, and a training mixture of them."""

from __future__ import annotations

import random

from crop_core.train.world import questions_about_objects, questions_about_sets
from crop_core.train.world.question import KINDS, Question
from crop_core.train.world.vocabulary import Scene

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
