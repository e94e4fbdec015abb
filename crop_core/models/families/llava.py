"""LLaVA-1.5 and everything that loads as LlavaForConditionalGeneration: a CLIP tower, a projector, a Llama-like LLM."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

from crop_core.io.images import reduced
from crop_core.models.adapter import Images, ModelError, PreparedInputs, TokenLayout, TowerAttention, Turn, as_list
from crop_core.models.base_adapter import BaseAdapter
from crop_core.models.cls_attention import ClsAttentionRecorder
from crop_core.models.fast_preprocess import BYTES, normalized
from crop_core.models.geometry import Framing, grid_layout


class LlavaAdapter(BaseAdapter):
    """Source: Liu et al., Improved Baselines with Visual Instruction Tuning, arXiv 2310.03744."""

    vision_types = ("clip_vision_model",)
    fallback_prompt = "USER: {image}\n{question} ASSISTANT:"

    def __post_init__(self) -> None:
        fill_processor(self.processor, self.model.config)
        self.framing = Framing.of(self.processor.image_processor)

    def prepare(self, images: Images, question: str, history: Sequence[Turn] = ()) -> PreparedInputs:
        """As the processor does it; its checks, and its slow last steps, are done here."""
        images = as_list(images)
        processor = self.processor.image_processor
        pixels = torch.stack([_bytes(processor, reduced(image)) for image in images])
        tokens = [self._placeholders(each.shape) for each in pixels]
        ids = self.placed(self.prompt(question, len(images), history), tokens)
        found = normalized(pixels.flatten(2).to(self.device), processor, self.dtype).reshape(pixels.shape)
        return self._prepared(ids, {"pixel_values": found}, images, {})

    def record_tower(self) -> ClsAttentionRecorder:
        """The class token of the CLIP tower."""
        return ClsAttentionRecorder(self.model.model.vision_tower)

    def tower_attention(self, watched: ClsAttentionRecorder, inputs: PreparedInputs) -> list[TowerAttention]:
        """A token a patch; the class token, where it is kept, is none."""
        attention, keys = watched.looked()
        leading = self.layout(inputs.image_sizes[0]).count - attention.shape[1]
        return [
            TowerAttention(F.pad(own, (leading, 0), value=torch.nan), F.pad(key, (0, 0, leading, 0)))
            for own, key in zip(attention, keys, strict=True)
        ]

    def _placeholders(self, pixels: Sequence[int]) -> int:
        """Visual tokens of an image of pixels (3, H, W), by the processor's own arithmetic."""
        patch = self.processor.patch_size
        patches = (pixels[1] // patch) * (pixels[2] // patch)
        without_class = self.processor.vision_feature_select_strategy == "default"
        return patches + self.processor.num_additional_image_tokens - without_class

    def _layout(self, size: tuple[int, int]) -> TokenLayout:
        """A row-major grid, after a class token where it is kept."""
        full = self.processor.vision_feature_select_strategy == "full"
        leading = self.processor.num_additional_image_tokens if full else 0
        return grid_layout(size, self.framing, self.processor.patch_size, leading)


def _bytes(processor: Any, image: Image.Image) -> torch.Tensor:
    """(3, H, W) uint8 as the image processor makes them before its last steps."""
    told = processor(image, **BYTES)["pixel_values"][0]
    return torch.from_numpy(np.ascontiguousarray(told))  # often a view of (H, W, 3)


def fill_processor(processor: Any, config: Any) -> None:
    """Older checkpoints keep these three in the model's config alone; config.vision_feature_select_strategy rules."""
    processor.patch_size = processor.patch_size or config.vision_config.patch_size
    if processor.vision_feature_select_strategy is None:
        processor.vision_feature_select_strategy = config.vision_feature_select_strategy
        processor.num_additional_image_tokens = 1  # CLIP's class token
    if processor.vision_feature_select_strategy != config.vision_feature_select_strategy:
        raise ModelError(
            f"vision_feature_select_strategy is {processor.vision_feature_select_strategy!r} in the processor and "
            f"{config.vision_feature_select_strategy!r} in the model; correct processor_config.json."
        )
