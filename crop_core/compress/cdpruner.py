"""CDPruner: keep relevant and diverse tokens, by a determinantal point process conditioned on the question.

Source: Zhang et al., CDPruner, NeurIPS 2025, arXiv 2506.10967; greedy MAP by Chen et al., 2018, arXiv 1709.05135.
Differs from its code: relevance to the question is by the LLM's own embeddings, the mean cosine of a token's feature to
those of the question's tokens, since LLaVA checkpoints do not hold CLIP's text tower, of which the code takes the
negated cosine. This stand-in has half of the weight by default, which was best on 120 development questions of the
bundled model (`python -m benchmarks.peer_search`); `cdpruner@paper` gives it the full weight. Tokens without a position
(newlines), which the code always keeps, are treated like all others; several views of an image (LLaVA-NeXT) share one
choice, where the code chooses in each. Kept tokens keep their places, where the code closes the gaps.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from crop_core.compress.protocol import CompressionInput, Compressor, directions, kept, wanted
from crop_core.records.compression_plan import CompressionPlan

TINY = 1e-6  # gains up to this are rounding


@dataclass(frozen=True)
class CdPrunerCompressor(Compressor):
    """Greedy: the token that adds most to the determinant of the kept tokens' kernel r_i cos(v_i, v_j) r_j, ties by
    index; r is 1 - weight + weight times the relevance, scaled to 0..1. Once none adds any (such as more tokens than
    dimensions), the most relevant. share: kept without a count, 64 of LLaVA-1.5's 576 as in the paper.
    """

    share: float = 1 / 9
    weight: ClassVar[float] = 0.5

    def plan(self, image: CompressionInput, count: int | None = None) -> CompressionPlan:
        """Exactly `count` (1..N) of the N tokens, each as it is and all in ring 0; the region is not read.

        Raises CompressionError for a count outside 1..N.
        """
        total = len(image.layout.row)
        number = wanted(count, int(self.share * total), total)
        rows = directions(image.features())
        relevant = 1 - self.weight + self.weight * relevance(rows, directions(image.question()).to(rows.device))
        return kept(greedy_dpp(rows, relevant, number).cpu().numpy(), total)


class PublishedCdPruner(CdPrunerCompressor):
    """With the full weight of the relevance."""

    weight = 1.0


def relevance(rows: torch.Tensor, question: torch.Tensor) -> torch.Tensor:
    """(N,) in 0..1 from directions (N, D) and (T, D): mean cosines, scaled; 1 where all are the same or T is 0."""
    mean = (rows @ question.mT).sum(1) / max(1, len(question))
    above, spread = mean - mean.min(), mean.max() - mean.min()
    return torch.where(spread > TINY, above / spread.clamp(min=TINY), 1.0)


def greedy_dpp(rows: torch.Tensor, relevant: torch.Tensor, count: int) -> torch.Tensor:
    """(count,) long: indices into unit rows (N, D) of relevance (N,), in the order of selection.

    A Cholesky factor of the kernel grows by a row per token; gain: the remaining diagonal of the kernel.
    """
    kernel = relevant[:, None] * (rows @ rows.mT) * relevant  # (N, N)
    gain, free = relevant.square(), torch.zeros_like(relevant)  # exactly, so that ties are ties
    factor = kernel.new_zeros(count, len(kernel))
    chosen = []
    for step in range(count):
        at = (torch.where(gain > TINY, gain, TINY * relevant) + free).argmax(keepdim=True)
        chosen.append(at)
        known = factor[:step].index_select(1, at)[:, 0] @ factor[:step]  # (N,)
        factor[step] = (kernel.index_select(0, at)[0] - known) / gain[at].clamp(min=TINY).sqrt()
        gain -= factor[step].square()
        free.index_fill_(0, at, -torch.inf)
    return torch.cat(chosen)
