"""Held-out questions of the bundled world: scenes, styles, pairs of names and phrasings that training never saw.

Always the same ones, with the same number of every kind.
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from crop_core.records.region import Region
from crop_core.train.world import splits
from crop_core.train.world.phrasings import in_words_of
from crop_core.train.world.questions import KINDS, Question, all_questions, sample_questions
from crop_core.train.world.scenes import make_scene
from crop_core.train.world.user_phrasings import USERS
from crop_core.train.world.vocabulary import Scene


@dataclass(frozen=True)
class Item:
    """One held-out question with its scene."""

    seed: int
    scene: Scene
    question: Question

    @property
    def region(self) -> Region:
        """The smallest region of grid cells that contains all needed boxes."""
        size = self.scene.image.size
        return Region.from_box(self.question.box(*size), *size)


def one_of_each_kind(seed: int, purpose: str = "held out") -> dict[str, Item]:
    """An item of every kind that the held-out scene of this seed has; `purpose` seeds the choice."""
    scene, rng = make_scene(seed, held_out=True), random.Random(f"{purpose} {seed}")
    by_kind = all_questions(rng, scene, held_out=True)
    return {kind: Item(seed, scene, rng.choice(questions)) for kind, questions in by_kind.items() if questions}


def held_out(per_kind: int, scenes: range = splits.BENCHMARK) -> list[Item]:
    """`per_kind` items of every kind, at most one of a kind from each scene, in the order of the scenes. Raises
    ValueError where the scenes (seeds, a range of splits.py) have fewer.
    """
    counts: Counter[str] = Counter()
    items: list[Item] = []
    for seed in scenes if per_kind <= len(scenes) else ():
        for kind, item in one_of_each_kind(seed).items():
            if counts[kind] < per_kind:
                items.append(item)
                counts[kind] += 1
        if len(items) == per_kind * len(KINDS):
            return items
    raise ValueError(f"{len(scenes):,} scenes have no {per_kind} questions of every kind; ask for fewer.")


def one_question_each(scenes: range) -> Iterator[Item]:
    """An item of each scene (seeds, a range of splits.py), so that all are independent; kinds come equally often."""
    counts = dict.fromkeys(KINDS, 0)
    for seed in scenes:
        by_kind = one_of_each_kind(seed)
        kind = min(by_kind, key=counts.__getitem__)
        counts[kind] += 1
        yield by_kind[kind]


def user_questions(per_kind: int) -> list[Item]:
    """As `held_out`, in users' own words (user_phrasings.py), about scenes of their own."""
    with in_words_of(USERS):
        return held_out(per_kind, splits.USER_QUESTIONS)


def majority_answers(scenes: int = 500) -> dict[str, str]:
    """The most frequent answer of each kind among training scenes: the best guess from the kind alone."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for seed in splits.TRAINING[:scenes]:
        for question in sample_questions(random.Random(seed), make_scene(seed), 12):
            counts[question.kind][question.answer] += 1
    return {kind: counter.most_common(1)[0][0] for kind, counter in counts.items()}
