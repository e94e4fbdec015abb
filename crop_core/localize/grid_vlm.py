"""The paper's localizer: a VLM that answers with the region as four grid numbers, decoded from its probabilities.

Source: Guo et al., CROP, EMNLP 2025 (arXiv 2505.21233), stage 1: four 0-based inclusive block coordinates
[xmin, ymin, xmax, ymax] on an 8x8 grid. OURS: only numbers of valid regions are decoded; the confidence; one forward
pass if the prompt ends with one slot token per number, else four, since the text around the numbers is fed. Grounding
models answer in their own format, in which several numbers map to one grid cell.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from PIL import Image

from crop_core.localize.calibration import Calibration
from crop_core.localize.decoding.answer_formats import DIGITS, PIXELS, AnswerFormat, format_of
from crop_core.localize.decoding.answer_tokens import (
    AnswerTokenization,
    ConstrainedDecodingError,
    bare_tokenizer,
    tokenize_answers,
)
from crop_core.localize.decoding.constrained_decoding import ConstrainedDecoder, DecodingStep
from crop_core.localize.decoding.region_decoding import Floats, cells_of_edges, decode_region
from crop_core.localize.protocol import LocalizationResult
from crop_core.measure.flops import step_flops
from crop_core.measure.memory import weights_bytes
from crop_core.models.adapter import Adapter, PreparedInputs
from crop_core.models.finite import check_values
from crop_core.records.explanation import Explanation, ExplanationMap
from crop_core.records.region import Region

SLOTS = ("<xmin>", "<ymin>", "<xmax>", "<ymax>")
NUMBERS = len(SLOTS)


@dataclass(eq=False)
class GridVlmLocalizer:
    """One forward pass if the prompt ends with the four SLOTS, else four on a KV cache.

    form: answer format; None for that of the checkpoint's config, else four bare digits. calibration: from
    probabilities to region and confidence; None for that of the config. Raises ModelError for an invalid config and for
    a tokenizer without a token for one of "0" to "7", and ConstrainedDecodingError, a ModelError, for a model that
    cannot decode this format constrained.
    """

    adapter: Adapter
    form: AnswerFormat | None = None
    calibration: Calibration | None = None

    def __post_init__(self) -> None:
        config, name = self.adapter.model.config, self.adapter.name
        self._slots = slot_ids(self.adapter.tokenizer)
        self._form = self.form or format_of(config, name, self._slots is not None) or DIGITS
        self._calibration = self.calibration or Calibration.of(config, name)
        self._tokenization = lru_cache(maxsize=16)(self._tokenize)
        _check_constrained(self.adapter, self._tokenization((1000, 1000)))
        self.weights_bytes = weights_bytes(self.adapter.model)

    @classmethod
    def from_checkpoint(cls, adapter: Adapter) -> GridVlmLocalizer | None:
        """None for a checkpoint without an answer format, or without constrained decoding; ModelError for a config
        that cannot be read.
        """
        form = format_of(adapter.model.config, adapter.name, slot_ids(adapter.tokenizer) is not None)
        try:
            return cls(adapter, form) if form else None
        except ConstrainedDecodingError:
            return None

    def localize_region(self, image: Image.Image, question: str) -> Region:
        """The region of an RGB image, source "predicted", with its confidence in (0, 1]."""
        return self.localize(image, question).region

    def localize(self, image: Image.Image, question: str) -> LocalizationResult:
        """The region, and the FLOPs of all forward passes."""
        inputs = self._prepare(image, question)
        probabilities, steps = self._probabilities(inputs)
        decoded = decode_region(probabilities, self._calibration.doubt)
        confidence = self._calibration.confidence(decoded.log_covered)
        region = Region(*decoded.numbers, *image.size, source="predicted", confidence=confidence)
        return LocalizationResult(
            region, lambda: self._flops(inputs, steps), self.adapter.notices, lambda: self._explanation(probabilities)
        )

    def probabilities(self, image: Image.Image, question: str) -> Floats:
        """(4, 8): probabilities of each number for xmin, ymin, xmax and ymax."""
        return self._probabilities(self._prepare(image, question))[0]

    def _prepare(self, image: Image.Image, question: str) -> PreparedInputs:
        for slot in SLOTS:
            question = question.replace(slot, " ")  # slots in the user's text have no meaning
        return self.adapter.prepare(image, self._form.ask(question))

    @torch.inference_mode()
    def _probabilities(self, inputs: PreparedInputs) -> tuple[Floats, list[DecodingStep]]:
        if self._form == DIGITS and inputs.input_ids[0, -NUMBERS:].tolist() == self._slots:
            logits, steps = self._from_slots(inputs)
        else:
            decoder = ConstrainedDecoder(self.adapter, inputs, self._tokenization(self._size(inputs.image_sizes[0])))
            logits, steps = decoder.logits(), decoder.steps
        return logits.softmax(-1).cpu().numpy(), steps

    def _from_slots(self, inputs: PreparedInputs) -> tuple[torch.Tensor, list[DecodingStep]]:
        """(4, 8) float64 logits, each row at its slot's position."""
        prompt = {"input_ids": inputs.input_ids, "mm_encoder_outputs": {"image": self.adapter.encode(inputs)}}
        out = self.adapter.model(**prompt, use_cache=False, logits_to_keep=NUMBERS)
        check_values(self.adapter, out.logits, lambda: prompt)
        digits = [tokens[0] for tokens in self._tokenization((0, 0)).numbers[0].numbers]
        length = inputs.input_ids.shape[1]
        return out.logits[0][:, digits].double(), [DecodingStep(length, length, NUMBERS)]

    def _size(self, image_size: tuple[int, int]) -> tuple[int, int]:
        """Image size that the tokenization depends on."""
        return self.adapter.input_size(image_size) if self._form.unit == PIXELS else (0, 0)

    def _tokenize(self, size: tuple[int, int]) -> AnswerTokenization:
        if self._form == DIGITS:
            return bare_tokenizer(self.adapter.tokenizer, self.adapter.name)
        return tokenize_answers(self.adapter.tokenizer, self._form, size, self.adapter.name)

    def _explanation(self, probabilities: Floats) -> Explanation:
        cells = ExplanationMap("Probability of each cell", cells_of_edges(probabilities))
        summary = f"{self.adapter.name} answered with four grid numbers; the map is the probability of each cell."
        return Explanation("grid", summary, maps=[cells])

    def _flops(self, inputs: PreparedInputs, steps: list[DecodingStep]) -> int:
        config, layers = self.adapter.model.config, self.adapter.layers
        return self.adapter.vision_flops(inputs) + sum(step_flops(config, layers, *step) for step in steps)


def slot_ids(tokenizer: Any) -> list[int] | None:
    """Token ids of the four SLOTS, None for a tokenizer that lacks one of them."""
    vocabulary = tokenizer.get_vocab()
    return [vocabulary[slot] for slot in SLOTS] if all(slot in vocabulary for slot in SLOTS) else None


def _check_constrained(adapter: Adapter, tokenization: AnswerTokenization) -> None:
    """ConstrainedDecodingError for models whose attention does not allow tree masks."""
    if tokenization.single_token:
        return
    if adapter.token_keys:
        reason = "it treats prompt and generated tokens differently"
    elif adapter.stack.window is not None:
        reason = "it has a sliding window"
    else:
        return
    raise ConstrainedDecodingError(
        f"{adapter.name} cannot decode constrained answers: {reason}, and its numbers take several tokens; use free "
        "decoding."
    )
