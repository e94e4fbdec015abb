"""The text localizer: reads the image's text, and chooses the lines that the question is about.

OURS. For questions about signs, pages, receipts and screens. The networks are those of a package that is not installed
by default (reader.py); what a question asks is told by tables (rules.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Protocol

import numpy as np
from PIL import Image

from crop_core.localize.protocol import LocalizationResult, not_counted
from crop_core.localize.text.colours import Plate, plate_of
from crop_core.localize.text.lines import Line
from crop_core.localize.text.matching import MIN_READ, Match, match
from crop_core.localize.text.page import Page
from crop_core.localize.text.reader import TextReader
from crop_core.localize.text.rules import asked
from crop_core.records.explanation import ExplainedItem, Explanation
from crop_core.records.formatting import counted
from crop_core.records.localizers import TEXT
from crop_core.records.region import Region

TRUST = (
    "The region was found by reading the image's text, which is proven here on drawn pages, forms, receipts and signs, "
    "not on photographs."
)
NO_TEXT = "No text was found in the image, so the region is the whole image."
UNREADABLE = (
    "The image has text that could not be read (the reader knows Latin and Chinese letters), so the region is the "
    "whole image."
)
OTHER_SCRIPT = (
    "The question has letters that the reader does not know (it knows Latin and Chinese ones), so the region is the "
    "whole image."
)
NO_MATCH = "None of the {lines} read in the image fits the question, so the region is the whole image."
SHRUNK = 0.05  # heights of a line by which its box is narrower than the reader's, which is generous
Box = tuple[float, float, float, float]


class Reader(Protocol):
    """Reads the lines of an RGB image; weights_bytes is the size of its networks."""

    @property
    def weights_bytes(self) -> int:
        """Bytes of its networks."""

    def read(self, image: Image.Image) -> list[Line]:
        """The lines, in no order; quads in the image's pixels."""

    def knows(self, letters: str) -> bool:
        """Whether it can read every one of these letters."""


@cache
def shared_reader() -> Reader:
    """The reader of this process, which has no state: its networks are loaded once."""
    return TextReader()


@dataclass(eq=False)
class TextLocalizer:
    """Reads on the CPU, whatever the answering model runs on. Raises ModelError without the reader's packages."""

    reader: Reader = field(default_factory=shared_reader)

    @property
    def weights_bytes(self) -> int:
        """Bytes of the reader's networks."""
        return self.reader.weights_bytes

    def localize_region(self, image: Image.Image, question: str) -> Region:
        """The region of an RGB image: source "predicted" with a confidence, or "whole" where nothing fits."""
        return self.localize(image, question).region

    def localize(self, image: Image.Image, question: str) -> LocalizationResult:
        """The region, the lines that led to it, and a notice of how far it can be trusted."""
        lines = self.reader.read(image)
        pixels = np.asarray(image.convert("RGB"))
        plates: dict[int, Plate] = {}

        def plate(number: int) -> Plate:
            if number not in plates:
                plates[number] = plate_of(pixels, lines[number])
            return plates[number]

        matches = match(asked(question), Page(lines), plate)
        if not matches:
            region, notice = Region.whole(*image.size), self._reason(question, lines)
        else:
            boxes = [_box(lines[each.line], plate(each.line) if each.on_plate else None) for each in matches]
            region, notice = _region(boxes, image.size, _confidence(lines, matches)), TRUST
        return LocalizationResult(region, not_counted, (notice,), lambda: _explanation(lines, matches))

    def _reason(self, question: str, lines: Sequence[Line]) -> str:
        """Why no line was chosen."""
        if not lines:
            return NO_TEXT
        if not self.reader.knows("".join(filter(str.isalpha, question))):
            return OTHER_SCRIPT
        readable = [line for line in lines if line.score >= MIN_READ]
        return NO_MATCH.format(lines=counted(len(readable), "line")) if readable else UNREADABLE


def _box(line: Line, plate: Plate | None) -> Box:
    left, top, right, bottom = line.box
    inset = SHRUNK * line.height
    own = (left + inset, top + inset, right - inset, bottom - inset)
    return own if plate is None or plate.box is None else _around([own, plate.box])


def _around(boxes: Sequence[Box]) -> Box:
    left, top, right, bottom = zip(*boxes, strict=True)
    return min(left), min(top), max(right), max(bottom)


def _region(boxes: Sequence[Box], size: tuple[int, int], confidence: float) -> Region:
    """The fewest cells around all boxes, clipped to the image."""
    left, top, right, bottom = _around(boxes)
    width, height = size
    left, top = max(0.0, min(left, width - 1.0)), max(0.0, min(top, height - 1.0))
    box = (left, top, min(width, max(right, left + 1e-3)), min(height, max(bottom, top + 1e-3)))
    return Region.from_box(box, width, height, "predicted", confidence)


def _confidence(lines: Sequence[Line], matches: Sequence[Match]) -> float:
    """Of the weakest line: how surely it was read, and how well the question fits it."""
    return min(1.0, min(lines[each.line].score * each.likeness for each in matches))


def _explanation(lines: Sequence[Line], matches: Sequence[Match]) -> Explanation:
    reasons = {each.line: each.reason for each in matches}
    items = [_item(line, n in reasons, reasons.get(n, "")) for n, line in enumerate(lines)]
    chosen = f"{len(matches)} of them chosen" if matches else "none of them chosen"
    return Explanation(TEXT, f"{counted(len(lines), 'line')} of text read, {chosen}.", items)


def _item(line: Line, chosen: bool, reason: str) -> ExplainedItem:
    first, second, third, fourth = ((x, y) for x, y in line.quad.tolist())
    return ExplainedItem((first, second, third, fourth), line.text, line.score, chosen, reason)
