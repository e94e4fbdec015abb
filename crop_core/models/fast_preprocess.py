"""Faster image preprocessing: rescaling and normalization by torch on the model's device, from bytes, and the prompt
tokenized before its placeholders are repeated.

Bit-identical to the processor's output (tests/core/models/test_fast_preprocess.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from crop_core.models.adapter import Images, PreparedInputs, Turn, as_list
from crop_core.models.base_adapter import LAYOUT, BaseAdapter

CHUNK = 2**18  # values looked up at a time
BYTES = {"do_rescale": False, "do_normalize": False, **LAYOUT}


class FastPreprocessAdapter(BaseAdapter):
    """Base of families whose processor only repeats the image token once per visual token."""

    def prepare(self, images: Images, question: str, history: Sequence[Turn] = ()) -> PreparedInputs:
        """Input tensors (1, L) and pixel tensors, equal to those of the checkpoint's own processor."""
        images = as_list(images)
        processor = self.processor.image_processor
        output = processor([[self.fitted(each) for each in images]], return_tensors="pt", **BYTES)
        output["pixel_values"] = output["pixel_values"].to(torch.uint8)  # some processors return float32
        vision = {key: output[key].to(self.device) for key in self.vision_keys}
        pixels = vision["pixel_values"]
        vision["pixel_values"] = normalized(self._channels(pixels), processor, self.dtype).reshape(pixels.shape)
        tokens = [self.layout(image.size, len(images)).count for image in images]
        ids = self.placed(self.prompt(question, len(images), history), tokens)
        return self._prepared(ids, vision, images, {})

    def _channels(self, pixels: torch.Tensor) -> torch.Tensor:
        """pixel_values as (tiles or patches, channels, pixels of each)."""
        return pixels.reshape(-1, *pixels.shape[-3:]).flatten(2)


def normalized(pixels: torch.Tensor, processor: Any, dtype: torch.dtype) -> torch.Tensor:
    """Rescaled and normalized bytes (K, channels, P) in `dtype`, equal to the image processor's.

    A table of the 256 byte values per channel is computed in float64 and float32 as NumPy does; pixels are looked up,
    CHUNK at a time for the CPU cache.
    """
    values = torch.arange(256, dtype=torch.float64)
    if processor.do_rescale:
        values *= processor.rescale_factor
    channels, size = pixels.shape[1:]
    table = values.float().repeat(channels, 1)  # (channels, 256)
    if processor.do_normalize:
        mean, std = (torch.tensor(each)[:, None] for each in (processor.image_mean, processor.image_std))
        table = (table - mean) / std
    table = table.to(pixels.device, dtype).flatten()
    first = 256 * torch.arange(channels, dtype=torch.int32)[:, None].to(pixels.device)
    out = torch.empty(pixels.shape, dtype=dtype, device=pixels.device)
    step = max(1, CHUNK // (channels * size))
    for part, into in zip(pixels.split(step), out.split(step), strict=True):
        into.copy_(table.index_select(0, (part.int() + first).flatten()).view(part.shape))
    return out
