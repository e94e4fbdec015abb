"""The bundled models' own world: held-out questions with the regions that they need
(crop_core/train/world/held_out.py)."""

from __future__ import annotations

from dataclasses import dataclass

from PIL import Image

from crop_core.evaluate.datasets.protocol import Dataset, Example
from crop_core.evaluate.metrics.text_match import Exact
from crop_core.train.world.held_out import Item, held_out
from crop_core.train.world.questions import KINDS
from crop_core.train.world.scenes import make_scene

QUESTIONS = 600  # when nothing else is said
LONGEST = 8  # tokens of an answer, its end included


@dataclass(frozen=True)
class Drawn:
    """Draws the held-out scene of a seed."""

    seed: int

    def __call__(self) -> Image.Image:
        """The image, RGB."""
        return make_scene(self.seed, held_out=True).image


def world(limit: int | None = None) -> Dataset:
    """The first `limit` questions, as many of each kind where the limit is a multiple of their number."""
    wanted = QUESTIONS if limit is None else limit
    items = held_out(-(-wanted // len(KINDS)))
    return Dataset("world", [example(item) for item in items[:wanted]], Exact(), LONGEST)


def example(item: Item) -> Example:
    """A held-out item as an example."""
    question = item.question
    return Example(
        id=f"{item.seed} {question.kind}",
        question=question.text,
        answers=(question.answer,),
        image=Drawn(item.seed),
        kind=question.kind,
        group=str(item.seed),
        needed=item.region.grid,
        everything=question.needs_everything,
    )
