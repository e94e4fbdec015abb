"""Layouts of a row: image, question and boxes. Knows nothing of files.

Ours: {"image": path, "question": text, "boxes": [[left, top, right, bottom], ...]} in pixels of the original image, or
in another form of crop_core/train/localizer/boxes.py, and optionally "width" and "height" of it and a "kind". Chat rows
(crop_core/io/chat_rows.py) with boxes are read as well.

Visual-CoT's two (Shao et al., arXiv 2403.16999), as read in github.com/deepcs233/Visual-CoT, its training files
viscot_dataset/*.jsonl, its benchmark viscot_benchmark/benchmark/*.json and tools/convert_data_to_llava_format.py, which
writes the second from the first:
- rows of "question", "image" (a bare file name), "width", "height", "bboxs" (pixels, now and then beyond the image)
  and "dataset", whose images lie in a folder of the dataset's name (textcap's in textvqa);
- conversations: "image" is [path, "path###[left, top, right, bottom]"] in whole pixels, and the first turn is
  "<image>\\n", the question and a fixed request for a box. The reply of "gpt" is the same box in shares of the
  image padded to a square, and is not read. viscot_363k.json, which the README names, is in this layout.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from crop_core.io.chat_rows import image_of, unfolded
from crop_core.records.formatting import truncated_repr
from crop_core.train.localizer.settings import TuneError

_BOX = re.compile(r"###\s*\[([^\]]*)\]")
_REQUEST = re.compile(r"\s*Please (?:think step by step and )?provide the bounding box.*", re.DOTALL)
_FOLDERS = {"textcap": "textvqa"}


@dataclass(frozen=True)
class Row:
    """images: candidate paths, relative to the folder of images, likeliest first. boxes: as the row has them, for
    `BoxReader`. size: (width, height) in pixels if the row has it. kind: what results are grouped by, "" for nothing.
    """

    images: tuple[str, ...]
    question: str
    boxes: Any
    size: tuple[int, int] | None
    kind: str


def parse_row(row: Any, stated: bool = False) -> Row:
    """Parse a JSON value in any of the layouts; ValueError that names the invalid value. stated: whether somebody says
    what the boxes mean, without which those called "bbox" or "box" are not taken for ours.
    """
    if not isinstance(row, dict):
        raise TuneError(f"a row is an object, not {truncated_repr(row)}")
    boxes = boxes_in(row, stated)
    if boxes is None and ("bbox" in row or "box" in row):
        raise TuneError(
            "its 'bbox' or 'box' may be left, top, right, bottom or x, y, width, height; say which with --boxes pixels "
            "or --boxes xywh"
        )
    if "conversations" in row and boxes is None:
        name, question, boxes = _conversation(row)
    else:
        row = unfolded(row)
        name, question = image_of(row), row.get("question")
    if not isinstance(name, str):
        raise TuneError("its image is inside the row; save it as a file, and give its path")
    if not boxes:
        raise TuneError(f"boxes {truncated_repr(boxes)} are not a list of at least one [left, top, right, bottom]")
    dataset = str(row.get("dataset", ""))
    folder = _FOLDERS.get(dataset, dataset)
    images = (name, f"{folder}/{name}") if folder else (name,)
    return Row(images, question or "", boxes, size_in(row), str(row.get("kind", dataset)))


def boxes_in(row: dict[str, Any], stated: bool) -> Any:
    """The boxes of a row, None without. stated: whether "bbox" and "box" count, which others use for other numbers."""
    names = ("boxes", "bboxs", "bbox", "box") if stated else ("boxes", "bboxs")
    return next((row[name] for name in names if name in row), None)


def _conversation(row: dict[str, Any]) -> tuple[Any, str, list[Any]]:
    """Path, question and boxes of a LLaVA-style row."""
    images, turns = row.get("image"), row["conversations"]
    if not isinstance(images, list) or not images or not all(isinstance(each, str) for each in images):
        raise TuneError(
            f"image {truncated_repr(images)} is not a list of a path and a path with ###[left, top, right, bottom]"
        )
    try:
        first = next(turn["value"] for turn in turns if turn["from"] == "human")
        question = _REQUEST.sub("", first.replace("<image>", " "))
    except (StopIteration, KeyError, TypeError, AttributeError):
        raise TuneError(f"conversations {truncated_repr(turns)} hold no question") from None
    texts = [match[1].split(",") for match in map(_BOX.search, images) if match]
    if not texts:
        raise TuneError(f"image {truncated_repr(images)} holds no ###[left, top, right, bottom]")
    return images[0].partition("###")[0], question, [[_number(value) for value in box] for box in texts]


def _number(text: str) -> Any:
    """The text as a number, or unchanged where it is none."""
    try:
        return float(text)
    except ValueError:
        return text


def size_in(row: dict[str, Any]) -> tuple[int, int] | None:
    """The (width, height) that a row gives, None without; TuneError for what is no size."""
    if row.get("width") in (None, "") and row.get("height") in (None, ""):
        return None
    width, height = (_whole(row.get(name)) for name in ("width", "height"))
    if not (type(width) is int and type(height) is int and width > 0 and height > 0):
        raise TuneError(
            f"width {truncated_repr(width)} and height {truncated_repr(height)} are not whole numbers above 0"
        )
    return width, height


def _whole(value: Any) -> Any:
    """A whole number, also of a CSV file's text or a float as pandas writes it; else the value unchanged."""
    number = _number(value) if isinstance(value, str) else value
    return int(number) if isinstance(number, float) and number.is_integer() else number
