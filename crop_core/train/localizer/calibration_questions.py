"""Questions that an attention rule is fitted to and measured on: rows with boxes, or scenes that are drawn here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from crop_core.train.localizer.data import Example
from crop_core.train.localizer.settings import TuneError
from crop_core.train.world import splits
from crop_core.train.world.held_out import Item, held_out
from crop_core.train.world.question import KINDS

SCENES, ROWS = "drawn scenes", "the rows given"  # what the questions are about
FIT, CALIBRATE, MEASURE = range(3)
PARTS = (FIT, FIT, CALIBRATE, FIT, FIT, MEASURE, FIT, CALIBRATE, FIT, MEASURE)  # of ten images in turn
FEWEST, FEWEST_IMAGES = 40, len(PARTS)


@dataclass(frozen=True)
class CalibrationQuestion:
    """A question whose region is known. image: equal for questions about the same one. grid: the inclusive cells
    (x0, y0, x1, y1) of the region. open: gives the RGB image; ImageError for one that cannot be read.
    """

    image: str
    question: str
    grid: tuple[int, int, int, int]
    kind: str
    open: Callable[[], Image.Image]

    @classmethod
    def of_row(cls, row: Example) -> CalibrationQuestion:
        """A row of a file."""
        return cls(str(row.image), row.question, row.grid, row.kind, row.open)

    @classmethod
    def of_scene(cls, item: Item) -> CalibrationQuestion:
        """A drawn scene."""
        question, grid = item.question, item.region.grid
        return cls(str(item.seed), question.text, grid, question.kind, partial(getattr, item.scene, "image"))


def drawn_questions(count: int) -> tuple[list[CalibrationQuestion], str]:
    """At least so many about scenes of the bundled world, always the same, and what they are about; as many of each
    kind. TuneError for too few.
    """
    check_count(count)
    try:
        items = held_out(-(-count // len(KINDS)), splits.ATTENTION_RULE)
    except ValueError as error:
        raise TuneError(f"--questions is {count}: {error}") from error
    questions = [CalibrationQuestion.of_scene(item) for item in items]
    parts_of(questions)
    return questions, SCENES


def questions_of_rows(rows: Sequence[Example]) -> tuple[list[CalibrationQuestion], str]:
    """Those of a file, and what they are about. TuneError for too few."""
    questions = [CalibrationQuestion.of_row(each) for each in rows]
    parts_of(questions)
    return questions, ROWS


def check_count(count: int, images: int = FEWEST_IMAGES) -> None:
    """TuneError for too few questions, or about too few images."""
    if count < FEWEST or images < FEWEST_IMAGES:
        raise TuneError(
            f"{count} usable questions about {images} images are too few to calibrate on: three in five images are "
            f"fitted to, and the others measured; give at least {FEWEST} about {FEWEST_IMAGES}."
        )


def parts_of(questions: Sequence[CalibrationQuestion]) -> NDArray[np.int64]:
    """(Q,) FIT, CALIBRATE or MEASURE for each question; all about one image are in one part. TuneError for too few."""
    images = list(dict.fromkeys(each.image for each in questions))
    check_count(len(questions), len(images))
    part = {image: PARTS[number % len(PARTS)] for number, image in enumerate(images)}
    return np.array([part[each.image] for each in questions])
