"""The paper's localizer: a small VLM that answers with the region as four grid numbers.

Source: Guo et al., CROP, EMNLP 2025 (arXiv 2505.21233), stage 1: four 0-based inclusive block coordinates
[xmin, ymin, xmax, ymax] on an 8x8 grid. OURS: decoding is constrained to the numbers that keep the region valid, the
confidence, and a second, faster way to read the numbers: a prompt that ends with one slot token for each of them needs
one forward pass instead of four. The checkpoint's own chat template is what asks for a region, with slots or without.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from PIL import Image

from crop_core.localize.calibration import Calibration
from crop_core.localize.protocol import Finding
from crop_core.localize.reading import Floats, read
from crop_core.measure.flops import decode_flops, prefill_flops
from crop_core.measure.memory import weights_bytes
from crop_core.models.protocol import Adapter, ModelError, PreparedInputs
from crop_core.region import GRID, Region

SLOTS = ("<xmin>", "<ymin>", "<xmax>", "<ymax>")
NUMBERS = len(SLOTS)


@dataclass(eq=False)
class GridLocalizer:
    """One prefill where the prompt ends with the four SLOTS, else one and three single-token steps on its KV cache.

    prompt: what goes into the chat template as the user's text; "{question}" stands for the question. calibration: how
    numbers and confidence follow from the locator's probabilities; None means as the checkpoint's config says.
    Raises ModelError when the locator's tokenizer has no token of its own for each of "0" to "7", and for a
    calibration in the config that cannot be read.
    """

    adapter: Adapter
    prompt: str = "{question}"
    calibration: Calibration | None = None

    def __post_init__(self) -> None:
        self._ids = number_ids(self.adapter.tokenizer, self.adapter.name).to(self.adapter.device)
        self._slots = slot_ids(self.adapter.tokenizer)
        self._rule = self.calibration or Calibration.of(self.adapter.model.config, self.adapter.name)
        self.weights_bytes = weights_bytes(self.adapter.model)

    def locate(self, image: Image.Image, question: str) -> Region:
        """The region of an RGB image, source "predicted", with its confidence in (0, 1]."""
        return self.find(image, question).region

    def find(self, image: Image.Image, question: str) -> Finding:
        """The region, and the FLOPs of everything that the locator ran for it."""
        inputs = self._prepare(image, question)
        reading = read(self._probabilities(inputs), self._rule.doubt)
        confidence = self._rule.confidence(reading.log_covered)
        region = Region(*reading.numbers, *image.size, source="predicted", confidence=confidence)
        return Finding(region, lambda: self._flops(inputs))

    def probabilities(self, image: Image.Image, question: str) -> Floats:
        """(4, 8): what the locator thinks of each number for xmin, ymin, xmax and ymax."""
        return self._probabilities(self._prepare(image, question))

    def _prepare(self, image: Image.Image, question: str) -> PreparedInputs:
        for slot in SLOTS:
            question = question.replace(slot, " ")  # in the user's words they are nothing
        return self.adapter.prepare(image, self.prompt.replace("{question}", question))

    def _has_slots(self, inputs: PreparedInputs) -> bool:
        return self._slots is not None and inputs.input_ids[0, -NUMBERS:].tolist() == self._slots

    @torch.inference_mode()
    def _probabilities(self, inputs: PreparedInputs) -> Floats:
        step = {"input_ids": inputs.input_ids, "mm_encoder_outputs": {"image": self.adapter.encode(inputs)}}
        logits = self._from_slots(step) if self._has_slots(inputs) else self._from_steps(step)
        return logits.softmax(-1).cpu().numpy()

    def _from_slots(self, step: dict[str, Any]) -> torch.Tensor:
        """(4, 8) float64 logits, each row read at its slot's own position."""
        out = self.adapter.model(**step, use_cache=False, logits_to_keep=NUMBERS)
        return out.logits[0][:, self._ids].double()

    def _from_steps(self, step: dict[str, Any]) -> torch.Tensor:
        """(4, 8) float64 logits along the most likely numbers; minus infinity for those below the axis' first one."""
        rows: list[torch.Tensor] = []
        for index in range(NUMBERS):
            out = self.adapter.model(**step, use_cache=True, logits_to_keep=1)
            row = out.logits[0, -1, self._ids].double()  # (8,)
            if index >= 2:
                row[: int(rows[index - 2].argmax())] = -torch.inf
            rows.append(row)
            step = {"input_ids": self._ids[None, None, row.argmax()], "past_key_values": out.past_key_values}
        return torch.stack(rows)

    def _flops(self, inputs: PreparedInputs) -> int:
        config = self.adapter.model.config
        layers = [inputs.input_ids.shape[1]] * self.adapter.layers
        if self._has_slots(inputs):
            later = (NUMBERS - 1) * prefill_flops(config, [])  # the head alone, on three more rows
        else:
            later = sum(decode_flops(config, layers, step) for step in range(1, NUMBERS))
        return self.adapter.vision_flops(inputs) + prefill_flops(config, layers) + later


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


def slot_ids(tokenizer: Any) -> list[int] | None:
    """Token ids of the four SLOTS, None for a tokenizer that lacks one of them."""
    vocabulary = tokenizer.get_vocab()
    return [vocabulary[slot] for slot in SLOTS] if all(slot in vocabulary for slot in SLOTS) else None
