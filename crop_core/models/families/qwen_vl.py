"""Qwen2-VL, Qwen2.5-VL and Qwen3-VL: native resolution, 2 x 2 patches per token, multimodal rotary positions.

Sources: Wang et al., Qwen2-VL, arXiv 2409.12191; Bai et al., Qwen2.5-VL, arXiv 2502.13923; Bai et al., Qwen3-VL, arXiv
2511.21631.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import smart_resize

from crop_core.models.adapter import TokenLayout
from crop_core.models.chat_template import PublishedChat
from crop_core.models.families.published_chats import QWEN2, QWEN3
from crop_core.models.fast_preprocess import FastPreprocessAdapter
from crop_core.models.geometry import Framing, grid_layout


class QwenVlAdapter(FastPreprocessAdapter):
    """Any number of visual tokens between the processor's minimum and maximum pixels."""

    vision_keys = ("pixel_values", "image_grid_thw")
    text_types: ClassVar[tuple[str, ...]] = ("qwen2_vl_text", "qwen2_5_vl_text")

    @classmethod
    def published_chat(cls, config: Any, tokenizer: Any) -> PublishedChat:
        """With the system turn of Qwen2-VL and Qwen2.5-VL."""
        return QWEN2

    def input_size(self, image_size: tuple[int, int]) -> tuple[int, int]:
        """(width, height) in whole tokens."""
        width, height = super().input_size(image_size)
        images = self.processor.image_processor
        pixels = images.size["shortest_edge"], images.size["longest_edge"]  # minimum and maximum, of the whole image
        resized = smart_resize(height, width, self._token, *pixels)
        return resized[1], resized[0]

    @property
    def _token(self) -> int:
        """Pixels a side of one visual token."""
        return self.processor.image_processor.patch_size * self.processor.image_processor.merge_size

    def _channels(self, pixels: torch.Tensor) -> torch.Tensor:
        """(patches, channels, frames times rows times columns)."""
        return pixels.unflatten(1, (len(self.processor.image_processor.image_mean), -1))

    def _layout(self, size: tuple[int, int]) -> TokenLayout:
        """A row-major grid over the whole image, resized to whole tokens."""
        resized = self.input_size(size)[::-1]
        return grid_layout(size, Framing(pad_square=False, shortest_edge=None, resize=resized, crop=None), self._token)

    def _positions(self, ids: torch.Tensor, vision: dict[str, torch.Tensor]) -> torch.Tensor | None:
        """(4, 1, L): the sequence index, then the three multimodal positions of `get_rope_index`."""
        kinds = (ids == self.image_token_id).int()
        multimodal, _ = self.model.model.get_rope_index(ids, kinds, image_grid_thw=vision["image_grid_thw"].cpu())
        count = torch.arange(ids.shape[1])
        return torch.cat([count.expand(1, 1, -1), multimodal])


class Qwen3VlAdapter(QwenVlAdapter):
    """DeepStack: features of lower tower layers are added to the visual tokens after the first decoder layers, which
    therefore cannot be pruned.
    """

    text_types = ("qwen3_vl_text",)

    @classmethod
    def published_chat(cls, config: Any, tokenizer: Any) -> PublishedChat:
        """Without a system turn."""
        return QWEN3

    def __post_init__(self) -> None:
        self.first_prunable = len(self.model.config.vision_config.deepstack_visual_indexes)
