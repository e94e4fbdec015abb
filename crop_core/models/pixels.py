"""Preparing an image as its processor does, faster: the last steps are done by torch on the model's device, from bytes,
and the prompt is tokenized before the placeholders are repeated in it.

What comes out equals the processor's own to the last bit; tests/test_pixels.py holds both together.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch

from crop_core.images import reduced
from crop_core.models.hf import HfAdapter
from crop_core.models.protocol import Images, PreparedInputs, Turn, several

BYTES = {"do_rescale": False, "do_normalize": False}


class FromBytes(HfAdapter):
    """A family whose processor repeats its image token for every visual token, and adds nothing else to the prompt."""

    behind_channels: ClassVar[int] = 2  # dimensions of pixel_values behind the channels, rows and columns

    def prepare(self, images: Images, question: str, history: Sequence[Turn] = ()) -> PreparedInputs:
        """Input tensors (1, L) and what the tower reads, as the checkpoint's own processor makes them."""
        images = several(images)
        processor = self.processor.image_processor
        told = processor([[reduced(each) for each in images]], return_tensors="pt", **BYTES)
        vision = {key: told[key].to(self.device) for key in self.vision_keys}
        found = vision["pixel_values"]
        pixels = normalized(self._channels(found), processor, self.dtype, self.behind_channels)
        vision["pixel_values"] = pixels.reshape(found.shape)
        tokens = [self.layout(image.size, len(images)).count for image in images]
        ids = self.placed(self.prompt(question, len(images), history), tokens)
        return self._prepared(ids, vision, images, {})

    def _channels(self, pixels: torch.Tensor) -> torch.Tensor:
        """The same with the channels as a dimension of their own."""
        return pixels


def normalized(pixels: torch.Tensor, processor: Any, dtype: torch.dtype, behind: int = 2) -> torch.Tensor:
    """What an image processor makes of bytes (..., channels, and `behind` dimensions more), then cast to `dtype`.

    Each of the 256 values of a byte is rescaled and normalized once per channel, in float64 and float32 as NumPy does.
    """
    values = torch.arange(256, dtype=torch.float64)
    if processor.do_rescale:
        values *= processor.rescale_factor
    channels = pixels.shape[-1 - behind]
    table = values.float().repeat(channels, 1)  # (channels, 256)
    if processor.do_normalize:
        mean, std = (torch.tensor(each)[:, None] for each in (processor.image_mean, processor.image_std))
        table = (table - mean) / std
    first = 256 * torch.arange(channels, dtype=torch.int32).reshape(-1, *[1] * behind)
    rows = (pixels.int() + first.to(pixels.device)).flatten()
    return table.to(pixels.device, dtype).flatten().index_select(0, rows).reshape(pixels.shape)
