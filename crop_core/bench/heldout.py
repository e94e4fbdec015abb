"""Held-out questions of the bundled world: scenes that training never saw, the same number of every kind."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from crop_core.region import Region
from crop_core.tiny.feed import TRAINING_SEEDS
from crop_core.tiny.questions import KINDS, Question, all_questions, sample_questions
from crop_core.tiny.scenes import make_scene
from crop_core.tiny.world import Box, Scene

HELD_OUT_SEEDS = 0  # scenes 0, 1, 2 ...; training uses TRAINING_SEEDS and up


@dataclass(frozen=True)
class Item:
    """One held-out question with the scene it is about."""

    seed: int
    scene: Scene
    question: Question

    @property
    def box(self) -> Box:
        """What must be seen, in pixels."""
        return self.question.box(*self.scene.image.size)

    @property
    def region(self) -> Region:
        """The smallest region of grid cells that holds it."""
        return Region.from_box(self.box, *self.scene.image.size)


def held_out(per_kind: int, first_seed: int = HELD_OUT_SEEDS) -> list[Item]:
    """`per_kind` items of every kind, at most one of a kind from each scene, in the order of their scenes."""
    counts: Counter[str] = Counter()
    items: list[Item] = []
    seed = first_seed
    while len(items) < per_kind * len(KINDS):
        scene, rng = make_scene(seed), random.Random(f"held out {seed}")
        for kind, found in all_questions(rng, scene).items():
            if found and counts[kind] < per_kind:
                items.append(Item(seed, scene, rng.choice(found)))
                counts[kind] += 1
        seed += 1
    return items


def majority_answers(scenes: int = 1000) -> dict[str, str]:
    """The most frequent answer of each kind among training scenes: what one can say knowing only the kind."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for question in _training_questions(scenes):
        counts[question.kind][question.answer] += 1
    return {kind: counts[kind].most_common(1)[0][0] for kind in KINDS}


def _training_questions(scenes: int) -> Iterator[Question]:
    for seed in range(TRAINING_SEEDS, TRAINING_SEEDS + scenes):
        yield from sample_questions(random.Random(seed), make_scene(seed), 12)
