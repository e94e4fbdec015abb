"""LLaVA-1.5 and everything that loads as LlavaForConditionalGeneration: CLIP tower, projector, Llama-like LLM.

Source: Liu et al., Improved Baselines with Visual Instruction Tuning, arXiv 2310.03744.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

from crop_core.models.adapter import Images, ModelError, PreparedInputs, TokenLayout, TowerAttention, Turn, as_list
from crop_core.models.base_adapter import BaseAdapter
from crop_core.models.chat_template import PublishedChat
from crop_core.models.familiar_images import FamiliarImages
from crop_core.models.families.published_chats import VICUNA, of_llava
from crop_core.models.fast_preprocess import BYTES, normalized
from crop_core.models.geometry import Framing, grid_layout
from crop_core.models.tower_attention import TowerRecorder

PADDED_SIDE = 4096  # pixels, far above a tower's input: a larger square takes seconds and gigabytes


class LlavaAdapter(BaseAdapter):
    """CLIP tower with or without its class token, one view of the image."""

    vision_types = ("clip_vision_model",)

    @classmethod
    def published_chat(cls, config: Any, tokenizer: Any) -> PublishedChat:
        """That of its language model, Vicuna's unless the vocabulary is another one's."""
        return of_llava(tokenizer, VICUNA)

    def __post_init__(self) -> None:
        fill_processor(self.processor, self.model.config)
        self.framing = Framing.of(self.processor.image_processor)
        if self.framing.pad_square:
            self.max_side = PADDED_SIDE
        self.familiar = FamiliarImages.load(self.folder)

    def prepare(self, images: Images, question: str, history: Sequence[Turn] = ()) -> PreparedInputs:
        """Input tensors (1, L) and pixels, equal to the processor's; its checks and slow last steps are done here."""
        images = as_list(images)
        processor = self.processor.image_processor
        pixels = torch.stack([_bytes(processor, self.fitted(image)) for image in images])
        tokens = [self._placeholders(each.shape) for each in pixels]
        ids = self.placed(self.prompt(question, len(images), history), tokens)
        values = normalized(pixels.flatten(2).to(self.device), processor, self.dtype).reshape(pixels.shape)
        return self._prepared(ids, {"pixel_values": values}, images, {})

    def unfamiliar(self, images: Images) -> str:
        """What the model was trained on, where one of these images is unlike that; "" for a checkpoint that does not
        say.
        """
        if self.familiar is None or all(self.familiar.knows(self.tower_states(image)) for image in as_list(images)):
            return ""
        return self.familiar.known

    @torch.no_grad()
    def tower_states(self, image: Image.Image) -> list[torch.Tensor]:
        """By layer, from the embedding on: features (T, W) of the T tokens in the visible part of an image."""
        pixels = self.prepare(image, "?").vision["pixel_values"]
        states = self.model.model.vision_tower(pixels, output_hidden_states=True).hidden_states
        visible = torch.from_numpy(self.layout(image.size).in_sight)
        return [state[0, -len(visible) :][visible.to(state.device)] for state in states]

    def record_tower(self) -> TowerRecorder:
        """Context manager that records the CLIP tower's attention in the layer that the projector reads."""
        return TowerRecorder(self.model.model.vision_tower, self.model.config)

    def tower_attention(self, recorder: TowerRecorder, inputs: PreparedInputs) -> list[TowerAttention]:
        """Per image; NaN attention and zero keys for the class token where it is kept."""
        read = recorder.read()
        leading = self.layout(inputs.image_sizes[0]).count - read.attention.shape[1]
        attention, published = (F.pad(each, (leading, 0), value=torch.nan) for each in (read.attention, read.published))
        keys = F.pad(read.keys, (0, 0, leading, 0))
        return [TowerAttention(*each) for each in zip(attention, keys, published, strict=True)]

    def _placeholders(self, pixels: Sequence[int]) -> int:
        """Number of visual tokens of an image of pixels (3, H, W), by the processor's arithmetic."""
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
    """(3, H, W) uint8 of the image processor, before rescaling and normalization."""
    pixels = processor(image, **BYTES)["pixel_values"][0]
    return torch.from_numpy(np.ascontiguousarray(pixels))  # often a view of (H, W, 3)


def fill_processor(processor: Any, config: Any) -> None:
    """Fill processor settings that older checkpoints have in the model's config only; ModelError if the two differ."""
    processor.patch_size = processor.patch_size or config.vision_config.patch_size
    if processor.vision_feature_select_strategy is None:
        processor.vision_feature_select_strategy = config.vision_feature_select_strategy
        processor.num_additional_image_tokens = 1  # CLIP's class token
    if processor.vision_feature_select_strategy != config.vision_feature_select_strategy:
        raise ModelError(
            f"vision_feature_select_strategy is {processor.vision_feature_select_strategy!r} in the processor and "
            f"{config.vision_feature_select_strategy!r} in the model; correct processor_config.json."
        )
