"""Questions with the grid cells that hold their answers, from a JSON Lines file or a JSON list.

Images are read on demand. A row that cannot be used is skipped, counted and reported.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from pathlib import Path

from PIL import Image

from crop_core.io.images import check_question, image_size, open_image
from crop_core.io.row_reader import RowsError, Skipped, usable
from crop_core.records.region import Region
from crop_core.train.localizer.row_layouts import Box, Row, parse_row
from crop_core.train.localizer.settings import TuneError

MAX_HELD_OUT = 1000  # questions: enough for figures of a percent or two


@dataclass(frozen=True)
class Example:
    """A question and the inclusive cells (x0, y0, x1, y1) of the fewest that cover all of its boxes."""

    image: Path
    question: str
    grid: tuple[int, int, int, int]
    kind: str = ""

    def open(self) -> Image.Image:
        """The image, upright and RGB; ImageError for one that cannot be read."""
        return open_image(self.image)


def read(file: Path, images: Path | None = None, limit: int | None = None) -> tuple[list[Example], Skipped]:
    """The usable rows of a file, at most the first `limit` of them, and the skipped rows.

    images: the folder that the rows' paths are relative to, by default the file's own. Raises TuneError for a file
    that cannot be read and for one without a usable row.
    """
    skipped = Skipped()
    root = images or file.parent
    try:
        examples = list(islice(usable(file, lambda where, row: _example(parse_row(row), root), skipped), limit))
    except RowsError as error:
        raise TuneError(str(error)) from error
    if not examples:
        raise TuneError(f"No row of '{file}' can be used: {skipped if skipped.count else 'there is none'}.")
    return examples, skipped


def _example(row: Row, root: Path) -> Example:
    image = next((root / name for name in row.images if (root / name).is_file()), None)
    if image is None:
        raise TuneError(f"there is no image '{root / row.images[0]}'")
    question = check_question(row.question)
    return Example(image, question, cells(row.boxes, row.size or image_size(image)), row.kind)


def cells(boxes: Sequence[Box], size: tuple[int, int]) -> tuple[int, int, int, int]:
    """Grid cells of the smallest box around all of `boxes`, clipped to a (width, height) image.

    Raises TuneError for boxes outside the image.
    """
    width, height = size
    left, top = (max(0.0, min(box[edge] for box in boxes)) for edge in (0, 1))
    right, bottom = (min(side, max(box[edge] for box in boxes)) for side, edge in ((width, 2), (height, 3)))
    if left >= right or top >= bottom:
        raise TuneError(f"boxes {[list(box) for box in boxes]} lie outside the image, which is {width} x {height}")
    return Region.from_box((left, top, right, bottom), width, height).grid


def split(examples: Sequence[Example], share: float, seed: int) -> tuple[list[Example], list[Example]]:
    """(for training, held out): images sampled at random until their questions are `share` of all, at least two and at
    most MAX_HELD_OUT; no image is in both.

    Raises TuneError where either would be too small.
    """
    images = sorted({example.image for example in examples})
    random.Random(f"held out {seed}").shuffle(images)
    target = max(2, min(round(share * len(examples)), MAX_HELD_OUT))
    by_image: dict[Path, list[Example]] = {}
    for example in examples:
        by_image.setdefault(example.image, []).append(example)
    held: list[Example] = []
    while len(held) < target and images:
        held += by_image.pop(images.pop())
    kept = [example for example in examples if example.image in by_image]
    if not kept or len(held) < 2:
        raise TuneError(
            f"{len(examples)} usable questions about {len(by_image) + len({each.image for each in held})} images "
            "are too few: some images are held out for the calibration and others are trained on; give more."
        )
    return kept, held


def fingerprint(examples: Sequence[Example]) -> str:
    """A short hash of the examples and their order."""
    digest = hashlib.sha256()
    for each in examples:
        digest.update(repr((str(each.image), each.question, each.grid)).encode())
    return digest.hexdigest()[:12]


def batches(examples: int, size: int, step: int, seed: int) -> list[int]:
    """Indices of the `size` examples of a step: every epoch has each once, in its own order."""
    places = range(step * size, (step + 1) * size)
    return [_order(examples, place // examples, seed)[place % examples] for place in places]


@lru_cache(maxsize=2)
def _order(examples: int, epoch: int, seed: int) -> list[int]:
    order = list(range(examples))
    random.Random(f"order {seed} {epoch}").shuffle(order)
    return order
