"""A user's own questions: JSON, CSV or TSV, or Parquet (crop_core/io/row_reader.py), or a folder with one such file.

A row holds "image" (or "file_name", as Hugging Face's imagefolder has it: a path relative to the file, or to the folder
of images), "question", and "answer" or "answers" (a text or a list; a list in JSON within a CSV file); optionally
"id", "kind", and "boxes" of the evidence, with "width" and "height", as in crop_core/train/localizer/row_layouts.py.
Chat rows are read too (crop_core/io/chat_rows.py). Questions are asked verbatim. Rows that cannot be used are skipped.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from PIL import Image

from crop_core.evaluate.datasets.local_copy import LocalCopy
from crop_core.evaluate.datasets.protocol import Cells, DatasetError, Example, question_lines
from crop_core.io.chat_rows import image_of, unfolded
from crop_core.io.images import open_image
from crop_core.io.paths import find_image, visible
from crop_core.io.row_reader import JSON_ENDINGS, PARQUET, TABLE_ENDINGS, RowsError, usable
from crop_core.io.tables import value_in
from crop_core.records.formatting import truncated_repr
from crop_core.train.localizer.boxes import BoxReader
from crop_core.train.localizer.data import agreed_size
from crop_core.train.localizer.row_layouts import boxes_in, size_in
from crop_core.train.localizer.settings import TuneError

_METADATA_FILES = ("metadata.jsonl", "metadata.csv", "metadata.parquet")
_ENDINGS = (".jsonl", ".json", ".csv")  # then the others, where there is none of these
_OTHER_ENDINGS = (*JSON_ENDINGS, *TABLE_ENDINGS, PARQUET, ".txt", ".xlsx", ".xls", ".ods", ".numbers", ".gz")
_VQA_ANSWERS = 10  # of a question, one a person


@dataclass(frozen=True)
class EmbeddedImage:
    """An image whose file is inside a row; opened when called."""

    content: bytes

    def __call__(self) -> Image.Image:
        """The image, RGB; ImageError for one that cannot be read."""
        return open_image(self.content)

    @property
    def name(self) -> str:
        """The same for the same image."""
        return sha256(self.content).hexdigest()[:16]


def load(copy: LocalCopy) -> list[Example]:
    """Every usable row; DatasetError for a folder without rows or with several files of them."""
    file = copy.path if copy.path.is_file() else _file_in(copy.path)
    root, boxes = copy.images or file.parent, BoxReader(copy.boxes)
    try:
        stated = ("bbox", "box") if boxes.form else ()
        examples = list(usable(file, lambda where, row: _example(where, row, root, boxes, copy), copy.skipped, stated))
        boxes.check(file)
    except (RowsError, TuneError) as error:
        raise DatasetError(str(error)) from error
    return examples


def default_metric(examples: Sequence[Example]) -> str:
    """Default metric: agreement with people where every question has ten answers, else exact match of any."""
    return "vqa" if all(len(each.answers) == _VQA_ANSWERS for each in examples) else "exact"


def _file_in(folder: Path) -> Path:
    metadata = [folder / name for name in _METADATA_FILES if (folder / name).is_file()]
    entries = visible(folder)
    found = ([each for each in entries if each.suffix.lower() in ends] for ends in (_ENDINGS, _OTHER_ENDINGS))
    files = metadata[:1] or next(filter(None, found), [])
    if len(files) != 1:
        names = " and ".join(f"'{each.name}'" for each in files[:3]) or "no file of questions"
        raise DatasetError(
            f"'{folder}' holds {names}; give one .jsonl, .json or .csv file of image, question and answers."
        )
    return files[0]


def _example(where: str, row: Any, root: Path, boxes: BoxReader, copy: LocalCopy) -> Example:
    if not isinstance(row, dict):
        raise DatasetError(f"a row is an object, not {str(row)[:60]!r}")
    row = unfolded(row)
    if row.get("turns", 1) > 1:
        copy.skipped.note("of conversations, the first question alone")
    image = image_of(row)
    source = EmbeddedImage(image) if isinstance(image, bytes) else find_image(root, image)
    return Example(
        id=next((str(row[name]) for name in ("id", "question_id") if row.get(name) not in (None, "")), where),
        question=question_lines(row.get("question")),
        answers=_answers(row),
        image=source,
        kind=str(row.get("kind") or ""),
        group=source.name if isinstance(source, EmbeddedImage) else _relative(source, root),
        needed=_needed(where, row, source, boxes),
    )


def _relative(image: Path, root: Path) -> str:
    """One name for an image, however its rows spell it."""
    return image.relative_to(root).as_posix() if image.is_relative_to(root) else str(image)


def _answers(row: dict[str, Any]) -> tuple[str, ...]:
    """The answers as texts; none where they are hidden or missing."""
    answers = next((row[name] for name in ("answers", "answer") if not _is_blank(row.get(name))), None)
    if isinstance(answers, str) and answers.lstrip().startswith("["):
        answers = value_in(answers)
    answers = answers if isinstance(answers, list) else [answers]
    answers = [each.get("answer", each) if isinstance(each, dict) else each for each in answers]  # as VQA v2 has them
    if all(map(_is_blank, answers)):
        return ()
    if not all(type(each) in (str, int, float) and not _is_blank(each) for each in answers):
        raise DatasetError(f"answers {truncated_repr(answers)} are not texts; write each as one, such as yes or no")
    return tuple(map(_answer_text, answers))


def _is_blank(value: Any) -> bool:
    """Whether a value is no answer: null, an empty text or list, or not a number."""
    return value is None or value == [] or (isinstance(value, str) and not value.strip()) or value != value


def _answer_text(value: str | float) -> str:
    whole = isinstance(value, float) and math.isfinite(value) and value.is_integer()
    return str(int(value)) if whole else str(value).strip()


def _needed(where: str, row: dict[str, Any], image: Path | EmbeddedImage, boxes: BoxReader) -> Cells | None:
    given = boxes_in(row, boxes.form is not None)
    if not given:
        return None
    if isinstance(image, EmbeddedImage):
        return boxes.cells(where, given, size_in(row) or image().size)
    return boxes.cells(where, given, agreed_size(size_in(row), image))
