"""SCOPE: keep salient tokens that cover the others, by the gain in coverage times the attention of the vision tower.

Source: Deng et al., SCOPE, NeurIPS 2025, arXiv 2510.24214; its code's defaults (the product, attention to the power 1).
Differs from its code: features are compared after the projector instead of before it; every image has its own count,
where the code shares one out evenly to the crops of an image; a class token among the visual tokens, which the code
leaves out, counts as much as the most attended token; kept tokens keep their places.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from crop_core.compress.protocol import CompressionInput, Compressor, directions, kept, saliency, wanted
from crop_core.records.compression_plan import CompressionPlan


@dataclass(frozen=True)
class ScopeCompressor(Compressor):
    """Greedy: the token of the largest gain in the coverage of all tokens by cosine, times its attention, ties by
    index. share: kept without a count, 64 of LLaVA-1.5's 576 as in the paper.
    """

    share: float = 1 / 9

    def plan(self, image: CompressionInput, count: int | None = None) -> CompressionPlan:
        """Exactly `count` (1..N) of the N tokens, each as it is and all in ring 0; the region is not read.

        Raises CompressionError for a count outside 1..N, ModelError for a vision tower that merges patches.
        """
        total = len(image.layout.row)
        number = wanted(count, int(self.share * total), total)
        rows = directions(image.features())
        weight = saliency(image.tower().attention).to(rows.device)
        return kept(max_coverage(rows @ rows.mT, number, weight).cpu().numpy(), total)


def max_coverage(similar: torch.Tensor, count: int, weight: torch.Tensor | float = 1.0) -> torch.Tensor:
    """(count,) long: greedily chosen columns of similarities (R, N), in the order of selection, ties by index.

    A row is covered by its largest similarity to a chosen column, at least 0; a column's gain is how much all rows
    would be covered more, times its weight (N,).
    """
    more, free = similar.clamp(min=0), similar.new_zeros(similar.shape[1])  # (R, N): what a column would add to a row
    chosen = []
    for _ in range(count):
        at = (more.sum(0) * weight + free).argmax(keepdim=True)
        chosen.append(at)
        rows = more.index_select(1, at)[:, 0].nonzero()[:, 0]  # few after the first steps
        own = similar[rows]
        more[rows] = (own - own.index_select(1, at)).clamp_(min=0)
        free.index_fill_(0, at, -torch.inf)
    return torch.cat(chosen)
