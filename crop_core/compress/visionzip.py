"""VisionZip: keep the tokens most attended by the class token, pool the others by their keys in the vision tower.

Source: Yang et al., VisionZip, CVPR 2025, arXiv 2412.04467. Differs from its code: tokens are averaged after the
projector instead of before it, and a pooled token is the mean of all its members, where the code adds the mean of the
others to the target; keys are compared with all heads side by side, where the code compares their mean over heads; the
class token itself enters the LLM only for checkpoints that keep it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from crop_core.compress.protocol import CompressionInput, Compressor, by_attention, directions, wanted
from crop_core.models.adapter import TowerAttention
from crop_core.records.compression_plan import CompressionPlan


@dataclass(frozen=True)
class VisionZipCompressor(Compressor):
    """Dominant tokens, the most attended ones, to contextual ones as 54 to 10, rounded to whole tokens.

    Contextual targets are evenly spaced in the rest, by index from its first token on; every other token of the rest
    joins the target whose key has the largest cosine with its own, ties the first. Of less than 4 tokens none is
    contextual, and the rest is dropped. share: kept without a count, 64 of LLaVA-1.5's 576 as in the paper.
    """

    dominant: int = 54
    contextual: int = 10
    share: float = 1 / 9

    def plan(self, image: CompressionInput, count: int | None = None) -> CompressionPlan:
        """Exactly `count` (1..N) groups of the N tokens, all in ring 0; the region is not read.

        Raises CompressionError for a count outside 1..N, ModelError for a vision tower without a class token.
        """
        total = len(image.layout.row)
        number = wanted(count, int(self.share * total), total)
        parts = self.dominant + self.contextual
        targets = (2 * number * self.contextual + parts) // (2 * parts)  # the nearest whole number
        label = zipped(image.tower(), number - targets, targets)
        return CompressionPlan.of(label.cpu().numpy(), np.zeros(total, dtype=np.int64))


def zipped(tower: TowerAttention, dominant: int, targets: int) -> torch.Tensor:
    """(N,) long: index of the dominant token or target that each token is or joins, -1 for none."""
    order = by_attention(tower.attention)
    first, rest = order[:dominant], order[dominant:].sort().values
    label = torch.full_like(order, -1)
    label[first] = first
    if targets:
        step = len(rest) // targets
        target = rest[: targets * step : step]
        keys = directions(tower.keys)
        label[rest] = target[(keys[rest] @ keys[target].mT).argmax(1)]
        label[target] = target  # two targets may have equal keys
    return label
