"""DivPrune: the tokens that are least alike stay, by max-min diversity of their features.

Source: Alvar et al., DivPrune, CVPR 2025, arXiv 2503.02175. OURS: every image has its own count, and tokens without a
place (newlines, a class token) take part like all others.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from crop_core.compress.picture import Picture
from crop_core.compress.protocol import CompressionPlan
from crop_core.compress.subset import directions, kept, wanted


@dataclass(frozen=True)
class DivPruneCompressor:
    """Greedy: first the token farthest from its own nearest neighbour, then always the one farthest from the nearest
    that is kept; distance is 1 - cosine, ties by place. share: where no count is given, the paper's 9.8 %.
    """

    share: float = 0.098

    def plan(self, picture: Picture, count: int | None = None) -> CompressionPlan:
        """Exactly `count` (1..N) of the N tokens, each as it is and all in ring 0; the region is not read.

        Raises CompressionError for a count outside 1..N.
        """
        total = len(picture.layout.row)
        number = wanted(count, int(self.share * total), total)
        return kept(least_alike(picture.features(), number).cpu().numpy(), total)


def least_alike(features: torch.Tensor, count: int) -> torch.Tensor:
    """(count,) long: places in (N, D) features, in the order in which they are chosen."""
    rows = directions(features)
    apart = 1 - rows @ rows.mT  # (N, N)
    score = apart.clone().fill_diagonal_(torch.inf).amin(1)  # of the first
    nearest = torch.full_like(score, torch.inf)
    chosen = []
    for _ in range(count):
        at = score.argmax(keepdim=True)  # a tensor: the device is not waited for
        chosen.append(at)
        nearest = nearest.minimum(apart.index_select(0, at)[0]).index_fill(0, at, -torch.inf)
        score = nearest
    return torch.cat(chosen)
