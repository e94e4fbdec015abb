"""Questions with the grid cells that hold their answers, from a file of any layout of crop_core/io/row_reader.py.

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

from crop_core.io.images import check_question, image_size, open_row
from crop_core.io.paths import find_image, is_file
from crop_core.io.row_reader import RowsError, Skipped, usable
from crop_core.train.localizer.boxes import BoxReader
from crop_core.train.localizer.row_layouts import Row, parse_row
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
        return open_row(self.image)


def read(
    file: Path, images: Path | None = None, limit: int | None = None, boxes: str | None = None
) -> tuple[list[Example], Skipped]:
    """The usable rows of a file, at most the first `limit` of them, and the skipped rows.

    images: the folder that the rows' paths are relative to, by default the file's own. boxes: what they mean, as the
    form of a `BoxReader`. Raises TuneError for a file that cannot be read, one without a usable row, and one whose
    boxes cannot be what they are taken for.
    """
    skipped, reader, root = Skipped(), BoxReader(boxes), images or file.parent

    def example(position: str, row: object) -> Example:
        return _example(position, parse_row(row, boxes is not None), root, reader)

    try:
        examples = list(islice(usable(file, example, skipped), limit))
    except RowsError as error:
        raise TuneError(str(error)) from error
    reader.check(file)
    if not examples:
        raise TuneError(f"No row of '{file}' can be used: {skipped if skipped.count else 'there is none'}.")
    return examples, skipped


def _example(position: str, row: Row, root: Path, reader: BoxReader) -> Example:
    found = (find_image(root, name) for name in row.images)
    image = next(filter(is_file, found), None)
    if image is None:
        raise TuneError(f"there is no image '{root / row.images[0]}'")
    question = check_question(row.question)
    return Example(image, question, reader.cells(position, row.boxes, agreed_size(row.size, image)), row.kind)


def agreed_size(stated: tuple[int, int] | None, image: Path) -> tuple[int, int]:
    """The (width, height) in which a row's boxes are drawn: the one that it states, or the upright image's.

    Raises TuneError where the stated one has another shape than the image: the boxes would be elsewhere.
    """
    actual = image_size(image)
    if stated is None or _same_shape(stated, actual):
        return stated or actual
    turned = ", the wrong way round" if _same_shape(stated[::-1], actual) else ""
    raise TuneError(
        f"width and height are {stated[0]} x {stated[1]}, and the upright image is {actual[0]} x {actual[1]}{turned}; "
        "give the size that the boxes are drawn in, or leave it out"
    )


def _same_shape(size: tuple[int, int], other: tuple[int, int]) -> bool:
    """Whether one is the other resized, with its sides rounded to whole pixels."""
    return abs(size[0] * other[1] - size[1] * other[0]) <= max(sum(size), sum(other))


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
