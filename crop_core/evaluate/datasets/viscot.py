"""Visual-CoT's benchmark (Shao et al., arXiv 2403.16999): questions with the box that holds the answer.

The files of `viscot_benchmark/benchmark/` (see crop_core/train/localizer/row_layouts.py) and the images in
`cot/DATASET/`, as its README lays them out. The last turn is the answer, the box becomes the needed region, and kinds
are the datasets that it was made of. The original shows the model the box's part of the image as a second one; here
it does not, and the request for a short answer is ours. Rows with impossible boxes are skipped.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from crop_core.evaluate.datasets.local_copy import LocalCopy
from crop_core.evaluate.datasets.protocol import DatasetError, Example, question_lines, texts
from crop_core.io.paths import find_image, is_file, visible
from crop_core.io.row_reader import RowsError, usable
from crop_core.train.localizer.boxes import PIXELS, BoxReader
from crop_core.train.localizer.data import agreed_size
from crop_core.train.localizer.row_layouts import parse_row

_FILES = ("*.json", "benchmark/*.json", "viscot_benchmark/benchmark/*.json")
_IMAGES = ("cot", "playground/data/cot", "data/cot", "../playground/data/cot")


def load(copy: LocalCopy) -> list[Example]:
    """Every usable row of every file; DatasetError without files."""
    images = copy.images or copy.image_folder(*_IMAGES).parent
    found = (visible(copy.path, pattern) for pattern in _FILES)
    files = [copy.path] if copy.path.is_file() else next(filter(None, found), [])
    if not files:
        tried = " or ".join(f"'{each}'" for each in _FILES)
        raise DatasetError(f"There is no file {tried} in '{copy.path}'; give the folder of Visual-CoT's benchmark.")
    try:
        return [
            example
            for file in files
            for example in usable(file, lambda where, row: _example(row, images), copy.skipped)
        ]
    except RowsError as error:
        raise DatasetError(str(error)) from error


def _example(row: Any, images: Path) -> Example:
    parsed = parse_row(row)
    image = find_image(images, parsed.images[0])
    try:
        answer, number = row["conversations"][-1]["value"], row["question_id"]
    except (LookupError, TypeError) as error:
        raise DatasetError("the row has no answer or no question_id") from error
    size = agreed_size(parsed.size, image) if is_file(image) else parsed.size
    return Example(
        id=f"{parsed.kind} {number}",
        question=question_lines(parsed.question),
        answers=texts(answer),
        image=image,
        kind=parsed.kind,
        group=parsed.images[0],
        needed=BoxReader(PIXELS).cells("", parsed.boxes, size) if size else None,
    )
