"""Dataset of the bundled models' world: held-out questions with their regions (crop_core/train/world/held_out.py)."""

from __future__ import annotations

from dataclasses import dataclass

from PIL import Image

from crop_core.evaluate.datasets.protocol import Dataset, Example
from crop_core.evaluate.metrics.text_match import Exact
from crop_core.train.world.held_out import Item, held_out, user_questions
from crop_core.train.world.questions import KINDS
from crop_core.train.world.scenes import make_scene

QUESTIONS, USER_QUESTIONS = 600, 300  # by default
MAX_NEW_TOKENS = 8  # of an answer, its end token included


@dataclass(frozen=True)
class SceneImage:
    """Draws the held-out scene of a seed when called."""

    seed: int

    def __call__(self) -> Image.Image:
        """The image, RGB."""
        return make_scene(self.seed, held_out=True).image


def world(limit: int | None = None) -> Dataset:
    """The first `limit` questions, as many of each kind where the limit is a multiple of their number."""
    count = QUESTIONS if limit is None else limit
    items = held_out(-(-count // len(KINDS)))
    return Dataset("world", [example(item) for item in items[:count]], Exact(), MAX_NEW_TOKENS, short_answer=False)


def users(limit: int | None = None) -> Dataset:
    """As `world`, put in users' own words: USER_QUESTIONS by default."""
    count = USER_QUESTIONS if limit is None else limit
    items = user_questions(-(-count // len(KINDS)))
    return Dataset(
        "world_users", [example(item) for item in items[:count]], Exact(), MAX_NEW_TOKENS, short_answer=False
    )


def example(item: Item) -> Example:
    """A held-out item as an example."""
    question = item.question
    return Example(
        id=f"{item.seed} {question.kind}",
        question=question.text,
        answers=(question.answer,),
        image=SceneImage(item.seed),
        kind=question.kind,
        group=str(item.seed),
        needed=item.region.grid,
        everything=question.needs_everything,
    )
