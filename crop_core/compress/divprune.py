"""DivPrune: keep diverse tokens, by max-min diversity of their features.

Source: Alvar et al., DivPrune, CVPR 2025, arXiv 2503.02175. OURS: every image has its own count, tokens without a
position (newlines, a class token) are treated like all others, and kept tokens keep their places, where the code closes
the gaps. The code runs in half precision, whose rounding alone changes 3 of 10 tokens.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from crop_core.compress.protocol import CompressionInput, Compressor, directions, kept, wanted
from crop_core.records.compression_plan import CompressionPlan


@dataclass(frozen=True)
class DivPruneCompressor(Compressor):
    """Greedy: first the token farthest from its own nearest neighbour, then always the one farthest from the nearest
    that is kept; distance is 1 - cosine, ties by index. share: kept without a count, the paper's 9.8 %.
    """

    share: float = 0.098

    def plan(self, image: CompressionInput, count: int | None = None) -> CompressionPlan:
        """Exactly `count` (1..N) of the N tokens, each as it is and all in ring 0; the region is not read.

        Raises CompressionError for a count outside 1..N.
        """
        total = len(image.layout.row)
        number = wanted(count, int(self.share * total), total)
        return kept(max_min_diversity(image.features(), number), total)


def max_min_diversity(
    features: torch.Tensor, count: int, weight: NDArray[np.float32] | None = None
) -> NDArray[np.int64]:
    """(count,) indices into (N, D) features, in the order of selection; count is 1..N.

    weight: (N,) above 0, factor of each token's distances before it is selected; None for 1.
    """
    rows = directions(features)
    apart = 1 - rows @ rows.mT  # (N, N)
    if weight is not None:
        apart *= torch.from_numpy(weight).to(apart.device)
    lonely = apart.fill_diagonal_(torch.inf).amin(0).cpu().numpy()
    rest = apart.fill_diagonal_(-torch.inf).cpu().numpy()  # small steps are faster on the host
    nearest, at = np.full_like(lonely, np.inf), int(lonely.argmax())
    chosen = []
    for _ in range(count):
        chosen.append(at)
        np.minimum(nearest, rest[at], out=nearest)
        at = int(nearest.argmax())
    return np.array(chosen)
