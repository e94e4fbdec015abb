"""Boxes in what a model wrote, whatever it wrote: a tolerant reader of text. Knows nothing of images, grids or models.

Accepted, in this order: four numbers in square brackets, wherever they stand (JSON that is fenced, quoted otherwise,
cut off or followed by words), two corners in brackets of their own, four numbers alone. Of several boxes the union.
"""

from __future__ import annotations

import math
import re
import unicodedata
from dataclasses import dataclass

_NUMBER = r"[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?"
_THEN = r"(?:\s*[,;]\s*|\s+)"
_RUN = rf"(?<![\w.]){_NUMBER}(?:{_THEN}{_NUMBER})*(?![\w.])"
_CORNER = rf"[(\[]\s*{_NUMBER}{_THEN}{_NUMBER}\s*[)\]]"
_PATTERNS = [re.compile(each) for each in (rf"\[\s*{_RUN}", rf"{_CORNER}\s*[,;]?\s*{_CORNER}", _RUN)]
_NUMBERS = re.compile(_NUMBER)
QWEN2_MARK = "<|box_start|>"


@dataclass(frozen=True)
class ParsedBox:
    """numbers: left, top, right, bottom as they were written, finite, with left <= right and top <= bottom.

    marked: they stand in Qwen2-VL's own marks, whose numbers are thousandths of the image's sides (Wang et al.,
    Qwen2-VL, arXiv 2409.12191).
    """

    numbers: tuple[float, float, float, float]
    marked: bool


def parse_boxes(text: str) -> ParsedBox | None:
    """The union of the boxes in a text, None where there is none; never raises."""
    plain = unicodedata.normalize("NFKC", text)  # full-width digits, brackets and commas
    for pattern in _PATTERNS:
        runs = [[float(number) for number in _NUMBERS.findall(found)] for found in pattern.findall(plain)]
        boxes = [run for run in runs if len(run) == 4 and all(map(math.isfinite, run))]
        if boxes:
            x, y = ([value for box in boxes for value in box[axis::2]] for axis in (0, 1))
            return ParsedBox((min(x), min(y), max(x), max(y)), QWEN2_MARK in plain)
    return None
