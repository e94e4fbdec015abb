"""LLaVA-1.5 and everything that loads as LlavaForConditionalGeneration: a CLIP tower, a projector, a Llama-like LLM."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image

from crop_core.images import reduced
from crop_core.models.geometry import Framing, grid_layout
from crop_core.models.hf import HfAdapter
from crop_core.models.protocol import ModelError, PreparedInputs, TokenLayout


class LlavaAdapter(HfAdapter):
    """Source: Liu et al., Improved Baselines with Visual Instruction Tuning, arXiv 2310.03744."""

    vision_types = ("clip_vision_model",)
    fallback_prompt = "USER: {image}\n{question} ASSISTANT:"

    def __post_init__(self) -> None:
        fill_processor(self.processor, self.model.config)
        self.framing = Framing.of(self.processor.image_processor)

    def prepare(self, image: Image.Image, question: str) -> PreparedInputs:
        """As the processor does it; its checks, and its slow last steps, are done here."""
        pixels = _pixels(self.processor.image_processor, reduced(image))
        ids = self._ids(self.prompt(question), pixels.shape, self.layout(image.size).count).to(self.device)
        return PreparedInputs(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            visual=ids == self.image_token_id,
            vision={"pixel_values": pixels[None].to(self.device, self.dtype)},
            image_size=image.size,
        )

    def _ids(self, prompt: str, pixels: Sequence[int], tokens: int) -> torch.Tensor:
        """(1, L) ids of a prompt, its image token repeated for each visual token of pixels (3, H, W)."""
        patch = self.processor.patch_size
        placeholders = (pixels[1] // patch) * (pixels[2] // patch) + self.processor.num_additional_image_tokens
        placeholders -= self.processor.vision_feature_select_strategy == "default"  # the processor's own arithmetic
        if placeholders != tokens:
            raise ModelError(
                f"The processor of {self.name} makes {placeholders} placeholders for {tokens} visual tokens; "
                "correct patch_size and num_additional_image_tokens in processor_config.json."
            )
        return self.placed(prompt, tokens)

    def _layout(self, size: tuple[int, int]) -> TokenLayout:
        """A row-major grid, after a class token where it is kept."""
        full = self.processor.vision_feature_select_strategy == "full"
        leading = self.processor.num_additional_image_tokens if full else 0
        return grid_layout(size, self.framing, self.processor.patch_size, leading)


def _pixels(processor: Any, image: Image.Image) -> torch.Tensor:
    """(3, H, W) float32 exactly as the image processor makes them; its slow last steps are done by torch."""
    told = processor(image, do_rescale=False, do_normalize=False)["pixel_values"][0]  # (3, H, W) uint8
    pixels = torch.from_numpy(np.ascontiguousarray(told)).double()  # often a view of (H, W, 3)
    if processor.do_rescale:
        pixels *= processor.rescale_factor
    pixels = pixels.float()
    if processor.do_normalize:
        mean, std = (torch.tensor(values).reshape(-1, 1, 1) for values in (processor.image_mean, processor.image_std))
        pixels.sub_(mean).div_(std)
    return pixels


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
