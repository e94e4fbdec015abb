"""A user's own questions: a JSON Lines file, a JSON list or a CSV file, or a folder with one of them and its images.

A row holds "image" (or "file_name", as Hugging Face's imagefolder has it: a path relative to the file, or to the folder
of images), "question", and "answer" or "answers" (a text or a list; a list in JSON within a CSV file); optionally
"id", "kind", and "boxes" of the evidence, with "width" and "height", as in crop_core/train/localizer/row_layouts.py.
Questions are asked verbatim. Rows that cannot be used are skipped.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from crop_core.evaluate.datasets.local_copy import LocalCopy
from crop_core.evaluate.datasets.protocol import Cells, DatasetError, Example, with_request
from crop_core.io.images import image_size
from crop_core.io.row_reader import RowsError, usable
from crop_core.train.localizer.data import cells
from crop_core.train.localizer.row_layouts import parse_row

_METADATA_FILES = ("metadata.jsonl", "metadata.csv")
_ENDINGS = (".jsonl", ".json", ".csv")
_VQA_ANSWERS = 10  # of a question, one a person
_NUMBERS = ("boxes", "width", "height")


def load(copy: LocalCopy) -> list[Example]:
    """Every usable row; DatasetError for a folder without rows or with several files of them."""
    file = copy.path if copy.path.is_file() else _file_in(copy.path)
    root = copy.images or file.parent
    try:
        return list(usable(file, lambda where, row: _example(where, row, root), copy.skipped))
    except RowsError as error:
        raise DatasetError(str(error)) from error


def default_metric(examples: Sequence[Example]) -> str:
    """Default metric: agreement with people where every question has ten answers, else exact match of any."""
    return "vqa" if all(len(each.answers) == _VQA_ANSWERS for each in examples) else "exact"


def _file_in(folder: Path) -> Path:
    metadata = [folder / name for name in _METADATA_FILES if (folder / name).is_file()]
    files = metadata[:1] or [each for each in sorted(folder.iterdir()) if each.suffix.lower() in _ENDINGS]
    if len(files) != 1:
        names = " and ".join(f"'{each.name}'" for each in files[:3]) or "no file of questions"
        raise DatasetError(
            f"'{folder}' holds {names}; give one .jsonl, .json or .csv file of image, question and answers."
        )
    return files[0]


def _example(where: str, row: Any, root: Path) -> Example:
    if not isinstance(row, dict):
        raise DatasetError(f"a row is an object, not {str(row)[:60]!r}")
    name = row.get("image", row.get("file_name"))
    if not isinstance(name, str) or not name:
        raise DatasetError(f"image {str(name)[:60]!r} is not the path of an image")
    return Example(
        id=where if row.get("id") in (None, "") else str(row["id"]),
        question=with_request(row.get("question"), request=""),
        answers=_answers(row),
        image=root / name,
        kind=str(row.get("kind") or ""),
        group=name,
        needed=_needed(row, name, root / name),
    )


def _answers(row: dict[str, Any]) -> tuple[str, ...]:
    answers = row.get("answers") or row.get("answer")
    if isinstance(answers, str) and answers.lstrip().startswith("["):
        answers = _decoded(answers)
    answers = answers if isinstance(answers, list) else [answers]
    if not answers or not all(type(each) in (str, int, float) and str(each).strip() for each in answers):
        raise DatasetError(f"answers {str(answers)[:60]!r} are not texts")
    return tuple(str(each).strip() for each in answers)


def _needed(row: dict[str, Any], name: str, image: Path) -> Cells | None:
    if not row.get("boxes"):
        return None
    parsed = parse_row({"image": name} | {key: _decoded(row[key]) for key in _NUMBERS if row.get(key)})
    return cells(parsed.boxes, parsed.size or image_size(image))


def _decoded(value: Any) -> Any:
    """The value of a JSON text, as CSV cells hold it; anything else unchanged."""
    try:
        return json.loads(value) if isinstance(value, str) else value
    except (ValueError, RecursionError):
        return value
