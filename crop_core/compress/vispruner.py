"""VisPruner: keep half by class-token attention, the other half from the rest without duplicates.

Source: Zhang et al., VisPruner, ICCV 2025, arXiv 2412.01818. Differs from its code: features are compared after the
projector instead of before it.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from crop_core.compress.protocol import CompressionInput, Compressor, by_attention, directions, kept, wanted
from crop_core.records.compression_plan import CompressionPlan


@dataclass(frozen=True)
class VisPrunerCompressor(Compressor):
    """Keeps the most attended tokens, a share `important` (less than 1) of the count, rounded down; thins the others.

    In a round the others, by falling attention at first, are dealt in turn to two halves; of the first half go the
    tokens with the largest cosine to any of the second, at most `dropped` a round, ties by order; what is left of the
    first half comes before the second. share: kept without a count, 64 of LLaVA-1.5's 576 as in the paper.
    """

    important: float = 0.5
    dropped: int = 8
    share: float = 1 / 9

    def plan(self, image: CompressionInput, count: int | None = None) -> CompressionPlan:
        """Exactly `count` (1..N) of the N tokens, each as it is and all in ring 0; the region is not read.

        Raises CompressionError for a count outside 1..N, ModelError for a vision tower without a class token.
        """
        total = len(image.layout.row)
        number = wanted(count, int(self.share * total), total)
        first = int(self.important * number)
        order, features = by_attention(image.tower().attention), image.features()
        others = thinned(directions(features), order[first:].to(features.device), number - first, self.dropped)
        return kept(torch.cat([order[:first].to(features.device), others]).cpu().numpy(), total)


def thinned(rows: torch.Tensor, others: torch.Tensor, count: int, dropped: int) -> torch.Tensor:
    """(count,) long: the remaining ones of the indices `others` (R,) into unit rows (N, D)."""
    cosines = rows @ rows.mT  # (N, N)
    while len(others) > count:
        half, second = others[::2], others[1::2]
        alike = cosines[half[:, None], second].amax(1)
        number = min(dropped, len(others) - count)
        others = torch.cat([half[alike.argsort(descending=True, stable=True)[number:]], second])
    return others
