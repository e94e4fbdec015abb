"""VisionZip: keep the tokens most attended in the vision tower, pool the others by their keys there.

Source: Yang et al., VisionZip, CVPR 2025, arXiv 2412.04467. The attention is the class token's; where a tower has none,
or one that was never trained, it is what all patches pay to a token, as the paper has it for such towers; both are of
the layer that the projector reads. `visionzip@paper` reads the class token wherever there is one. Differs from the
code: tokens are averaged after the projector instead of before it, and a pooled token is the mean of all its members,
where the code adds the mean of the others to the target; keys are compared with all heads side by side, where the code
compares their mean over heads; the class token itself enters the LLM only for checkpoints that keep it; kept tokens
keep their places, where the code closes the gaps and appends the pooled ones; several views of an image (LLaVA-NeXT)
share one count, where the code gives each its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch

from crop_core.compress.protocol import CompressionInput, Compressor, by_attention, directions, wanted
from crop_core.records.compression_plan import CompressionPlan


@dataclass(frozen=True)
class VisionZipCompressor(Compressor):
    """Dominant tokens, the most attended ones, to contextual ones as 54 to 10, rounded to whole tokens.

    Contextual targets are evenly spaced in the rest, by index from its first token on; every other token of the rest
    joins the target whose key has the largest cosine with its own, ties the first. Of less than 4 tokens none is
    contextual, and the rest is dropped; tokens without a key (newlines) join none. share: kept without a count, 64 of
    LLaVA-1.5's 576 as in the paper.
    """

    dominant: int = 54
    contextual: int = 10
    share: float = 1 / 9
    published: ClassVar[bool] = False

    def plan(self, image: CompressionInput, count: int | None = None) -> CompressionPlan:
        """Exactly `count` (1..N) groups of the N tokens, all in ring 0; the region is not read.

        Raises CompressionError for a count outside 1..N, ModelError for a vision tower that merges patches.
        """
        total = len(image.layout.row)
        number = wanted(count, int(self.share * total), total)
        parts = self.dominant + self.contextual
        targets = (2 * number * self.contextual + parts) // (2 * parts)  # the nearest whole number
        tower = image.tower()
        order = by_attention(tower.published if self.published else tower.attention)
        label = zipped(order, tower.keys, number - targets, targets)
        return CompressionPlan.of(label.cpu().numpy(), np.zeros(total, dtype=np.int64))


class PublishedVisionZip(VisionZipCompressor):
    """By the class token, trained or not."""

    published = True


def zipped(order: torch.Tensor, keys: torch.Tensor, dominant: int, targets: int) -> torch.Tensor:
    """(N,) long: index of the dominant token or target that each token is or joins, -1 for none; order: (N,) by falling
    attention; keys: (N, W).
    """
    first, rest = order[:dominant], order[dominant:].sort().values
    label = torch.full_like(order, -1)
    label[first] = first
    if targets:
        step = len(rest) // targets
        target = rest[: targets * step : step]
        own = directions(keys[rest])
        nearest = target[(own @ directions(keys[target]).mT).argmax(1)]
        label[rest] = torch.where(own.any(1), nearest, -1)
        label[target] = target  # two targets may have equal keys
    return label
