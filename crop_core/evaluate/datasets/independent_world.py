"""Dataset of an independent world, for evaluation alone: 1000 questions with their regions, drawn from seeds.

Nothing is trained on it, fitted to it or chosen by it: its grounds, pictograms, fonts, sizes, layouts and phrasings are
other than those of `crop_core/train/world/`, of which it shares the words that the bundled models know. How hard it is
to read was decided by the accuracy of `crop-tiny`'s baseline alone, see docs/benchmark.md. The drawing is ours
(Apache-2.0), the letters are of matplotlib's fonts.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import lru_cache

from PIL import Image

from crop_core.evaluate.datasets.independent.questions import KINDS, Question, questions_of
from crop_core.evaluate.datasets.independent.scenes import Scene, make_scene
from crop_core.evaluate.datasets.protocol import Dataset, Example
from crop_core.evaluate.metrics.text_match import Exact
from crop_core.records.region import Region
from crop_core.train.world import splits

QUESTIONS = 1000  # by default
MAX_NEW_TOKENS = 8  # of an answer, its end token included


@dataclass(frozen=True)
class Item:
    """One question with its scene."""

    scene: Scene
    question: Question

    @property
    def region(self) -> Region:
        """The smallest region of grid cells that contains the needed box."""
        return Region.from_box(self.question.box(self.scene), *self.scene.size)


@dataclass(frozen=True)
class DrawnScene:
    """Draws the scene of a seed when called."""

    seed: int

    def __call__(self) -> Image.Image:
        """The image, RGB."""
        return make_scene(self.seed).image()


def independent(limit: int | None = None) -> Dataset:
    """The first `limit` questions, as many of each kind where the limit is a multiple of their number."""
    count = QUESTIONS if limit is None else limit
    examples = [example(item) for item in items(-(-count // len(KINDS)))[:count]]
    return Dataset("world_independent", examples, Exact(), MAX_NEW_TOKENS, short_answer=False)


@lru_cache(maxsize=4)
def items(per_kind: int) -> tuple[Item, ...]:
    """`per_kind` items of every kind, in the order of the scenes, at most one of a kind from each. Raises ValueError
    where the scenes have fewer.
    """
    counts: Counter[str] = Counter()
    found: list[Item] = []
    for seed in splits.INDEPENDENT:
        scene = make_scene(seed)
        for kind, question in questions_of(scene).items():
            if counts[kind] < per_kind:
                found.append(Item(scene, question))
                counts[kind] += 1
        if len(found) == per_kind * len(KINDS):
            return tuple(found)
    raise ValueError(f"{len(splits.INDEPENDENT):,} scenes have no {per_kind} questions of every kind; ask for fewer.")


def example(item: Item) -> Example:
    """An item as an example."""
    seed, question = item.scene.seed, item.question
    return Example(
        id=f"{seed} {question.kind}",
        question=question.text,
        answers=(question.answer,),
        image=DrawnScene(seed),
        kind=question.kind,
        group=str(seed),
        needed=item.region.grid,
        everything=not question.needed,
    )
