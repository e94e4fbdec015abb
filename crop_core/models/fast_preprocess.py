"""Preparing an image as its processor does, faster: the last steps are done by torch on the model's device, from bytes,
and the prompt is tokenized before the placeholders are repeated in it.

What comes out equals the processor's own to the last bit; tests/core/models/test_fast_preprocess.py holds both
together.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from crop_core.io.images import reduced
from crop_core.models.adapter import Images, PreparedInputs, Turn, as_list
from crop_core.models.base_adapter import BaseAdapter

PART = 2**18
BYTES = {"do_rescale": False, "do_normalize": False}


class FastPreprocessAdapter(BaseAdapter):
    """A family whose processor repeats its image token for every visual token, and adds nothing else to the prompt."""

    def prepare(self, images: Images, question: str, history: Sequence[Turn] = ()) -> PreparedInputs:
        """Input tensors (1, L) and what the tower reads, as the checkpoint's own processor makes them."""
        images = as_list(images)
        processor = self.processor.image_processor
        told = processor([[reduced(each) for each in images]], return_tensors="pt", **BYTES)
        told["pixel_values"] = told["pixel_values"].to(torch.uint8)  # some make float32 of bytes
        vision = {key: told[key].to(self.device) for key in self.vision_keys}
        found = vision["pixel_values"]
        vision["pixel_values"] = normalized(self._channels(found), processor, self.dtype).reshape(found.shape)
        tokens = [self.layout(image.size, len(images)).count for image in images]
        ids = self.placed(self.prompt(question, len(images), history), tokens)
        return self._prepared(ids, vision, images, {})

    def _channels(self, pixels: torch.Tensor) -> torch.Tensor:
        """pixel_values as (tiles or patches, channels, pixels of one of them)."""
        return pixels.reshape(-1, *pixels.shape[-3:]).flatten(2)


def normalized(pixels: torch.Tensor, processor: Any, dtype: torch.dtype) -> torch.Tensor:
    """What an image processor makes of bytes (K, channels, P), then cast to `dtype`.

    Each of the 256 values of a byte is rescaled and normalized once per channel, in float64 and float32 as NumPy does;
    pixels look theirs up, PART at a time, so that their places in the table stay in the cache of a CPU.
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
    step = max(1, PART // (channels * size))
    for part, into in zip(pixels.split(step), out.split(step), strict=True):
        into.copy_(table.index_select(0, (part.int() + first).flatten()).view(part.shape))
    return out
