"""Gemma 3 and PaliGemma: one SigLIP view of the whole image, resized to a square, with non-causal prompt attention.

Sources: Gemma Team, Gemma 3, arXiv 2503.19786; Beyer et al., PaliGemma, arXiv 2407.07726.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

from crop_core.models.adapter import ModelError, PreparedInputs, TokenLayout, TowerAttention
from crop_core.models.base_adapter import BaseAdapter
from crop_core.models.chat_template import PublishedChat
from crop_core.models.families.published_chats import GEMMA
from crop_core.models.geometry import Framing, grid_layout
from crop_core.models.tower_attention import TowerRecorder


class Gemma3Adapter(BaseAdapter):
    """Patches pooled to image_seq_length tokens; image tokens attend to each other."""

    token_keys = ("token_type_ids",)
    text_types: ClassVar[tuple[str, ...]] = ("gemma3_text",)
    causal = False

    def __post_init__(self) -> None:
        if getattr(self.processor.image_processor, "do_pan_and_scan", None):
            raise ModelError(
                f"{self.name} pans and scans its images, which is not supported; set do_pan_and_scan to false."
            )

    @classmethod
    def published_chat(cls, config: Any, tokenizer: Any) -> PublishedChat | None:
        """That of the instruction-tuned models."""
        return GEMMA

    @property
    def tokens(self) -> int:
        """Number of visual tokens per image."""
        return int(self.processor.image_seq_length)

    def _layout(self, size: tuple[int, int]) -> TokenLayout:
        """A row-major square grid over the whole image."""
        side = math.isqrt(self.tokens)
        return grid_layout(size, Framing(pad_square=False, shortest_edge=None, resize=(side, side), crop=None), 1)


class PaliGemmaAdapter(Gemma3Adapter):
    """One token per patch; image and question attend to each other. The prompt is its task "answer en", which asks for
    a short answer; each question is read by itself.
    """

    text_types = ("gemma", "gemma2")
    written_type = 1  # 0 is for the prompt, whose attention is bidirectional
    short_request = ""  # "answer en" asks for it

    def record_tower(self) -> TowerRecorder:
        """Context manager that records the SigLIP tower's attention in its last layer."""
        return TowerRecorder(self.model.model.vision_tower, self.model.config)

    def tower_attention(self, recorder: TowerRecorder, inputs: PreparedInputs) -> list[TowerAttention]:
        """Per image, what its patches pay to each."""
        read = recorder.read()
        return [TowerAttention(own, keys, own) for own, keys in zip(read.attention, read.keys, strict=True)]

    @classmethod
    def published_chat(cls, config: Any, tokenizer: Any) -> None:
        """None: PaliGemma's prompt is a prefix."""

    def _chat(self, texts: Sequence[str], images: int) -> str:
        """The images side by side, then the last question, without a request for a short answer."""
        if self.processor.chat_template:
            return super()._chat(texts, images)
        question = texts[-1].removesuffix(BaseAdapter.short_request).rstrip()
        return f"{self.processor.image_token * images}answer en {question}"
