"""A localizer that writes its answer freely, token by token, and is read by a tolerant parser. OURS.

For models whose answers cannot be fed in pieces: it takes as many forward passes as the answer has tokens.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from PIL import Image

from crop_core.localize.decoding.answer_formats import CELLS, PIXELS, THOUSANDTHS, AnswerFormat, format_of
from crop_core.localize.decoding.box_parser import parse_boxes
from crop_core.localize.protocol import LocalizationResult
from crop_core.measure.flops import decode_flops, prefill_flops
from crop_core.measure.memory import weights_bytes
from crop_core.models.adapter import Adapter, PreparedInputs
from crop_core.models.generation import generate
from crop_core.records.region import Region

NOTHING = "The localizer's answer holds no box, so the region is the whole image."
THINNEST = 1e-3  # of a side: what a box without an inside is widened to


@dataclass(eq=False)
class TextVlmLocalizer:
    """Greedy decoding of at most max_new_tokens; a region without a confidence, since the text tells none.

    form: in what words it is asked, and what its numbers count.
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
        """The region of an RGB image: the fewest cells around what was written, source "predicted", else "whole"."""
        return self.localize(image, question).region

    @torch.inference_mode()
    def localize(self, image: Image.Image, question: str) -> LocalizationResult:
        """The region, a notice where no box was written, and the FLOPs of what ran."""
        inputs = self.adapter.prepare(image, self.form.ask(question))
        ids = generate(self.adapter, self._arguments(inputs), self.max_new_tokens, keep_logits=False).ids
        region = self.read(self.adapter.tokenizer.decode(ids), image.size)
        notices = [] if region else [NOTHING]
        return LocalizationResult(region or Region.whole(*image.size), lambda: self._flops(inputs, len(ids)), notices)

    def read(self, text: str, image_size: tuple[int, int]) -> Region | None:
        """The region that a text says of an image of (width, height) pixels; None where it says none."""
        box = parse_boxes(text)
        if box is None:
            return None
        unit = THOUSANDTHS if box.marked and self.form.unit == CELLS else self.form.unit
        size = self.adapter.input_size(image_size) if unit == PIXELS else image_size
        return snapped(replace(self.form, unit=unit).fractions(box.numbers, size), *image_size)

    def _arguments(self, inputs: PreparedInputs) -> dict[str, Any]:
        given = {"input_ids": inputs.input_ids, "attention_mask": inputs.attention_mask, **inputs.tokens}
        if inputs.positions is not None:
            given["position_ids"] = inputs.positions
        return {**given, "mm_encoder_outputs": {"image": self.adapter.encode(inputs)}}

    def _flops(self, inputs: PreparedInputs, tokens: int) -> int:
        """The last token written is not read."""
        config, layers = self.adapter.model.config, [inputs.input_ids.shape[1]] * self.adapter.layers
        later = sum(decode_flops(config, layers, step) for step in range(1, tokens))
        return self.adapter.vision_flops(inputs) + prefill_flops(config, layers) + later


def snapped(fractions: tuple[float, float, float, float], width: int, height: int) -> Region:
    """The fewest grid cells around a box (left, top, right, bottom) in parts of the sides, of what of it is inside the
    image; a box beyond the image becomes the cell of the border that is nearest.
    """
    left, right = _inside(fractions[0], fractions[2])
    top, bottom = _inside(fractions[1], fractions[3])
    return Region.from_box((left * width, top * height, right * width, bottom * height), width, height, "predicted")


def _inside(low: float, high: float) -> tuple[float, float]:
    low = min(max(low, 0.0), 1.0 - THINNEST)
    return low, max(min(high, 1.0), low + THINNEST)
