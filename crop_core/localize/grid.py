"""The paper's localizer: a small VLM that answers with the region as four grid numbers.

Source: Guo et al., CROP, EMNLP 2025 (arXiv 2505.21233), stage 1: four 0-based inclusive block coordinates
[xmin, ymin, xmax, ymax] on an 8x8 grid. OURS: decoding is constrained to the numbers that keep the region valid, and
the confidence is the product of the four probabilities among those numbers. The checkpoint's own chat template is what
asks for a region.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from PIL import Image

from crop_core.localize.protocol import Finding
from crop_core.measure.flops import decode_flops, prefill_flops, vision_flops
from crop_core.measure.memory import weights_bytes
from crop_core.models.protocol import Adapter, ModelError, PreparedInputs
from crop_core.region import GRID, Region

NUMBERS = 4


@dataclass(eq=False)
class GridLocalizer:
    """One prefill and three single-token steps on the locator's KV cache.

    prompt: what goes into the chat template as the user's text; "{question}" stands for the question.
    Raises ModelError when the locator's tokenizer has no token of its own for each of "0" to "7".
    """

    adapter: Adapter
    prompt: str = "{question}"

    def __post_init__(self) -> None:
        self._ids = number_ids(self.adapter.tokenizer, self.adapter.name)
        self.weights_bytes = weights_bytes(self.adapter.model)

    def locate(self, image: Image.Image, question: str) -> Region:
        """The most likely region of an RGB image, source "predicted", with its confidence in (0, 1]."""
        return self.find(image, question).region

    def find(self, image: Image.Image, question: str) -> Finding:
        """The region, and the FLOPs of the locator's vision tower, prefill and three decode steps."""
        inputs = self.adapter.prepare(image, self.prompt.replace("{question}", question))
        with torch.no_grad():
            numbers, confidence = self._decode(inputs)
        x0, y0, x1, y1 = numbers
        region = Region(x0, y0, x1, y1, *image.size, source="predicted", confidence=confidence)
        return Finding(region, self._flops(inputs.input_ids.shape[1]))

    def _decode(self, inputs: PreparedInputs) -> tuple[list[int], float]:
        """xmin, ymin, xmax, ymax, each the most likely number of those that are still valid."""
        step: dict[str, Any] = {
            "input_ids": inputs.input_ids,
            "mm_encoder_outputs": {"image": self.adapter.encode(inputs)},
        }
        numbers: list[int] = []
        confidence = torch.ones((), dtype=torch.float64)
        for index in range(NUMBERS):
            out = self.adapter.model(**step, use_cache=True, logits_to_keep=1)
            lowest = numbers[index - 2] if index >= 2 else 0
            allowed = self._ids[lowest:].to(self.adapter.device)
            probabilities = out.logits[0, -1, allowed].double().softmax(-1).cpu()  # (GRID - lowest,)
            best = int(probabilities.argmax())
            confidence = confidence * probabilities[best]
            numbers.append(lowest + best)
            step = {"input_ids": allowed[None, best : best + 1], "past_key_values": out.past_key_values}
        return numbers, float(confidence)

    def _flops(self, length: int) -> int:
        config = self.adapter.model.config
        layers = [length] * self.adapter.layers
        later = sum(decode_flops(config, layers, step) for step in range(1, NUMBERS))
        return vision_flops(config) + prefill_flops(config, layers) + later


def number_ids(tokenizer: Any, name: str) -> torch.Tensor:
    """Token ids (8,) of "0" to "7"; the last piece counts, so that a word-start mark before the digit is allowed."""
    ids = []
    for number in range(GRID):
        pieces = tokenizer.encode(str(number), add_special_tokens=False)
        if not pieces or tokenizer.decode(pieces[-1:]).strip() != str(number):
            raise ModelError(
                f"{name} cannot be a grid localizer: its tokenizer has no token for {number}; "
                f"it needs one for each of 0 to {GRID - 1}."
            )
        ids.append(pieces[-1])
    return torch.tensor(ids)
