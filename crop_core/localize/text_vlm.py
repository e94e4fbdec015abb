"""A localizer by free decoding and a tolerant parser of boxes in text. OURS.

For models without constrained decoding: one forward pass per token of the answer.
"""

from __future__ import annotations

import math
import re
import unicodedata
from dataclasses import dataclass, replace

import torch
from PIL import Image

from crop_core.localize.decoding.answer_formats import CELLS, PIXELS, THOUSANDTHS, AnswerFormat, format_of
from crop_core.localize.protocol import LocalizationResult
from crop_core.measure.flops import decode_flops, prefill_flops
from crop_core.measure.memory import weights_bytes
from crop_core.models.adapter import Adapter, PreparedInputs
from crop_core.models.generation import generate
from crop_core.records.explanation import ExplainedItem, Explanation
from crop_core.records.region import Region

NO_BOX = "The localizer's answer holds no box, so the region is the whole image."
MIN_SIDE = 1e-3  # of the image's side: boxes without area are widened to it
_NUMBER = r"[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?"
_SEPARATOR = r"(?:\s*[,;]\s*|\s+)"
_RUN = rf"(?<![\w.]){_NUMBER}(?:{_SEPARATOR}{_NUMBER})*(?![\w.])"
_CORNER = rf"[(\[]\s*{_NUMBER}{_SEPARATOR}{_NUMBER}\s*[)\]]"
_PATTERNS = [re.compile(each) for each in (rf"\[\s*{_RUN}", rf"{_CORNER}\s*[,;]?\s*{_CORNER}", _RUN)]
_NUMBERS = re.compile(_NUMBER)
QWEN2_MARK = "<|box_start|>"


@dataclass(eq=False)
class TextVlmLocalizer:
    """Greedy decoding of at most max_new_tokens; the region has no confidence.

    form: its prompt and the unit of its numbers.
    """

    adapter: Adapter
    form: AnswerFormat
    max_new_tokens: int = 128

    def __post_init__(self) -> None:
        self.weights_bytes = weights_bytes(self.adapter.model)

    @classmethod
    def from_checkpoint(cls, adapter: Adapter) -> TextVlmLocalizer | None:
        """None for a checkpoint without an answer format; ModelError for a config that cannot be read."""
        form = format_of(adapter.model.config, adapter.name)
        return cls(adapter, form) if form else None

    def localize_region(self, image: Image.Image, question: str) -> Region:
        """The region of an RGB image: the fewest cells around the written box, source "predicted", else "whole"."""
        return self.localize(image, question).region

    @torch.inference_mode()
    def localize(self, image: Image.Image, question: str) -> LocalizationResult:
        """The region, a notice if no box was written, and the FLOPs."""
        inputs = self.adapter.prepare(image, self.form.ask(question))
        kwargs = inputs.kwargs(self.adapter.encode(inputs))
        ids = generate(self.adapter, kwargs, self.max_new_tokens, keep_logits=False).ids
        text = self.adapter.tokenizer.decode(ids)
        region = self.read(text, image.size)
        notices = [*self.adapter.notices, *([] if region else [NO_BOX])]
        return LocalizationResult(
            region or Region.whole(*image.size),
            lambda: self._flops(inputs, len(ids)),
            notices,
            lambda: self._explanation(text, region),
        )

    def read(self, text: str, image_size: tuple[int, int]) -> Region | None:
        """The region written in a text about an image of (width, height) pixels; None without a box."""
        box = parse_boxes(text)
        if box is None:
            return None
        unit = THOUSANDTHS if box.marked and self.form.unit == CELLS else self.form.unit
        size = self.adapter.input_size(image_size) if unit == PIXELS else image_size
        return snapped(replace(self.form, unit=unit).fractions(box.numbers, size), *image_size)

    def _explanation(self, text: str, region: Region | None) -> Explanation:
        items = [] if region is None else [ExplainedItem.of_box(region.box, text.strip(), None)]
        return Explanation("written", f"{self.adapter.name} wrote its answer, in which the box is found.", items)

    def _flops(self, inputs: PreparedInputs, tokens: int) -> int:
        """Of all passes; the last written token is not fed back."""
        config, layers = self.adapter.model.config, [inputs.input_ids.shape[1]] * self.adapter.layers
        later = sum(decode_flops(config, layers, step) for step in range(1, tokens))
        return self.adapter.vision_flops(inputs) + prefill_flops(config, layers) + later


def snapped(fractions: tuple[float, float, float, float], width: int, height: int) -> Region:
    """The fewest grid cells around a box (left, top, right, bottom) in fractions of the sides, clipped to the image; a
    box outside it becomes the nearest border cell.
    """
    left, right = _inside(fractions[0], fractions[2])
    top, bottom = _inside(fractions[1], fractions[3])
    return Region.from_box((left * width, top * height, right * width, bottom * height), width, height, "predicted")


def _inside(low: float, high: float) -> tuple[float, float]:
    low = min(max(low, 0.0), 1.0 - MIN_SIDE)
    return low, max(min(high, 1.0), low + MIN_SIDE)


@dataclass(frozen=True)
class ParsedBox:
    """numbers: left, top, right, bottom as written, finite, with left <= right and top <= bottom.

    marked: in Qwen2-VL's special tokens, whose numbers are thousandths of the sides (Wang et al., arXiv 2409.12191).
    """

    numbers: tuple[float, float, float, float]
    marked: bool


def parse_boxes(text: str) -> ParsedBox | None:
    """The union of the boxes in a text, None without one; never raises.

    Accepted, in this order: four numbers in square brackets (JSON that is fenced, quoted otherwise, truncated or
    followed by text), two corners in brackets of their own, four numbers alone.
    """
    plain = unicodedata.normalize("NFKC", text)  # full-width digits, brackets and commas
    for pattern in _PATTERNS:
        runs = [[float(number) for number in _NUMBERS.findall(match)] for match in pattern.findall(plain)]
        boxes = [run for run in runs if len(run) == 4 and all(map(math.isfinite, run))]
        if boxes:
            x, y = ([value for box in boxes for value in box[axis::2]] for axis in (0, 1))
            return ParsedBox((min(x), min(y), max(x), max(y)), QWEN2_MARK in plain)
    return None
