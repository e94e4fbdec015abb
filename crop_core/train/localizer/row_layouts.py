"""Layouts of a row: image, question and boxes. Knows nothing of files.

Ours: {"image": path, "question": text, "boxes": [[left, top, right, bottom], ...]} in pixels of the original image,
and optionally "width" and "height" of it and a "kind".

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

import math
import re
from dataclasses import dataclass
from typing import Any

from crop_core.train.localizer.settings import TuneError

Box = tuple[float, float, float, float]
_BOX = re.compile(r"###\s*\[([^\]]*)\]")
_REQUEST = re.compile(r"\s*Please (?:think step by step and )?provide the bounding box.*", re.DOTALL)
_FOLDERS = {"textcap": "textvqa"}


@dataclass(frozen=True)
class Row:
    """images: candidate paths, relative to the folder of images, likeliest first. boxes: at least one, in
    pixels. size: (width, height) in pixels if the row has it. kind: what results are grouped by, "" for nothing.
    """

    images: tuple[str, ...]
    question: str
    boxes: tuple[Box, ...]
    size: tuple[int, int] | None
    kind: str


def parse_row(row: Any) -> Row:
    """Parse a JSON value in any of the layouts; TuneError that names the invalid value."""
    if not isinstance(row, dict):
        raise TuneError(f"a row is an object, not {_repr(row)}")
    name: Any = row.get("image")
    question, boxes = row.get("question"), row.get("boxes", row.get("bboxs"))
    if "conversations" in row:
        name, question, boxes = _conversation(row)
    if not isinstance(name, str) or not name:
        raise TuneError(f"image {_repr(name)} is not the path of an image")
    if not isinstance(boxes, list) or not boxes:
        raise TuneError(f"boxes {_repr(boxes)} are not a list of at least one [left, top, right, bottom]")
    dataset = str(row.get("dataset", ""))
    folder = _FOLDERS.get(dataset, dataset)
    images = (name, f"{folder}/{name}") if folder else (name,)
    return Row(images, question or "", tuple(_box(box) for box in boxes), _size(row), str(row.get("kind", dataset)))


def _conversation(row: dict[str, Any]) -> tuple[Any, str, list[Any]]:
    """Path, question and boxes of a LLaVA-style row."""
    images, turns = row.get("image"), row["conversations"]
    if not isinstance(images, list) or not images or not all(isinstance(each, str) for each in images):
        raise TuneError(f"image {_repr(images)} is not a list of a path and a path with ###[left, top, right, bottom]")
    try:
        first = next(turn["value"] for turn in turns if turn["from"] == "human")
        question = _REQUEST.sub("", first.replace("<image>", " "))
    except (StopIteration, KeyError, TypeError, AttributeError):
        raise TuneError(f"conversations {_repr(turns)} hold no question") from None
    texts = [match[1].split(",") for match in map(_BOX.search, images) if match]
    if not texts:
        raise TuneError(f"image {_repr(images)} holds no ###[left, top, right, bottom]")
    return images[0].partition("###")[0], question, [[_number(value) for value in box] for box in texts]


def _number(text: str) -> Any:
    """The text as a number, or unchanged where it is none."""
    try:
        return float(text)
    except ValueError:
        return text


def _box(value: Any) -> Box:
    numbers = value if isinstance(value, (list, tuple)) else []
    if len(numbers) != 4 or not all(type(each) in (int, float) and math.isfinite(each) for each in numbers):
        raise TuneError(f"box {_repr(value)} is not four numbers, left, top, right and bottom in pixels")
    left, top, right, bottom = (float(each) for each in numbers)
    if left >= right or top >= bottom:
        raise TuneError(f"box {_repr(value)} is upside down or empty")
    return left, top, right, bottom


def _size(row: dict[str, Any]) -> tuple[int, int] | None:
    if "width" not in row and "height" not in row:
        return None
    width, height = row.get("width"), row.get("height")
    if not (type(width) is int and type(height) is int and width > 0 and height > 0):
        raise TuneError(f"width {_repr(width)} and height {_repr(height)} are not whole numbers above 0")
    return width, height


def _repr(value: Any) -> str:
    """A value for a message, truncated."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
