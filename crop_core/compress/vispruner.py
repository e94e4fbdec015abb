"""VisPruner: keep half by attention in the vision tower, the other half from the rest without duplicates.

Source: Zhang et al., VisPruner, ICCV 2025, arXiv 2412.01818. The attention is the class token's; where a tower has
none, or one that was never trained, it is what all patches pay to a token, as in its code for SigLIP; both are of the
layer that the projector reads. `vispruner@paper` reads the class token wherever there is one. Differs from its code:
features are compared after the projector instead of before it, by cosines in hundredths, ties by order: the code
compares floats, and as each round deals the tokens anew, one that is rounded otherwise moves half of the kept set (on
the bundled model 0.54 of it was the same in float32 and float64, and 0.99 is with hundredths); kept tokens keep their
places, where the code closes the gaps.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from crop_core.compress.protocol import CompressionInput, Compressor, by_attention, directions, kept, wanted
from crop_core.records.compression_plan import CompressionPlan

STEP = 0.01  # of a cosine


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
    published: ClassVar[bool] = False

    def plan(self, image: CompressionInput, count: int | None = None) -> CompressionPlan:
        """Exactly `count` (1..N) of the N tokens, each as it is and all in ring 0; the region is not read.

        Raises CompressionError for a count outside 1..N, ModelError for a vision tower that merges patches.
        """
        total = len(image.layout.row)
        number = wanted(count, int(self.share * total), total)
        first = int(self.important * number)
        tower, features = image.tower(), image.features()
        order = by_attention(tower.published if self.published else tower.attention)
        others = thinned(directions(features), order[first:].to(features.device), number - first, self.dropped)
        return kept(torch.cat([order[:first].to(features.device), others]).cpu().numpy(), total)


class PublishedVisPruner(VisPrunerCompressor):
    """By the class token, trained or not."""

    published = True


def thinned(rows: torch.Tensor, others: torch.Tensor, count: int, dropped: int) -> torch.Tensor:
    """(count,) long: the remaining ones of the indices `others` (R,) into unit rows (N, D)."""
    cosines = (rows @ rows.mT / STEP).round()  # (N, N)
    while len(others) > count:
        half, second = others[::2], others[1::2]
        alike = cosines[half[:, None], second].amax(1)
        number = min(dropped, len(others) - count)
        others = torch.cat([half[alike.argsort(descending=True, stable=True)[number:]], second])
    return others
