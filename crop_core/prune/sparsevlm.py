"""SparseVLM: text tokens related to the image rate its tokens, at three early cuts.

Source: Zhang et al., SparseVLM, ICML 2025, arXiv 2410.04417. The paper's rule: text raters are the text tokens after
the image whose softmax similarity (dot product, over the text), mean over the visual tokens, is above the average; a
visual token's score is the raters' attention to it, mean over heads; cuts at layers 2, 6 and 15 of 32, 300, 200 and 110
of 576 tokens left. OURS: raters and attention are read before each cut (the raters from the hidden states there,
the attention from the layer before), where the public code finds raters once among the embeddings and scores in the
layer that it cuts behind. Counts are fixed, not by the rank of the attention. Nothing is recycled: the paper merges
some of the dropped tokens into new ones, our hooks only remove tokens. The layers are scaled to the depth, the first
comes earlier where it must for a budget, and the shares are scaled to it. Of an image's tokens at least one stays.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from crop_core.measure.flops import scoring_flops
from crop_core.prune.ilp import best
from crop_core.prune.protocol import CutSize, Decision, PruneContext, ScheduledPruner
from crop_core.prune.schedule import latest_cut, rising
from crop_core.records.config import IlpConfig

DEPTHS = (2 / 32, 6 / 32, 15 / 32)
SHARES = (300 / 576, 200 / 576, 110 / 576)


@dataclass(frozen=True, eq=False)
class SparseVlmPruner(ScheduledPruner):
    """Does not read the region."""

    def decide(self, context: PruneContext) -> list[Decision]:
        """Per sample the tokens with the most attention from its raters, ties by index; scores (M,)."""
        count = self.count(context)
        scores = [
            rated(rows, raters(*states))
            for rows, states in zip(context.text_attention(), context.states(), strict=True)
        ]
        return [
            Decision(best(alive, score, tokens, count, by_region=False), score)
            for alive, score, tokens in zip(context.alive, scores, self.tokens, strict=True)
        ]

    @classmethod
    def schedule(
        cls, layers: int, count: int, budget: float | None, first_prunable_layer: int = 1, min_count: int = 1
    ) -> IlpConfig:
        """The method's cuts, the first where it can meet a mean `budget` of `count` visual tokens."""
        own = rising([depth * layers for depth in DEPTHS], layers, first_prunable_layer)
        places = (latest_cut(own[0], layers, count, budget, first_prunable_layer, min_count), *own[1:])
        return IlpConfig(tuple(zip(places, SHARES, strict=False)))

    @classmethod
    def flops(cls, config: Any, query_rows: int, size: CutSize) -> int:
        """Of scoring at one cut: a row of attention for each text token, and its similarity to every visual token."""
        similarity = 2 * size.text * size.visual * config.text_config.hidden_size
        return scoring_flops(config, size.text, size.tokens) + similarity


def raters(visual: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
    """(T,) bool, text tokens (T, D) that rate the visual tokens (K, D); all if none is above the average."""
    similarity = (visual.float() @ text.float().T).softmax(1).mean(0)  # (T,)
    above = similarity > similarity.mean()
    return above | ~above.any()


def rated(attention: torch.Tensor, raters: torch.Tensor) -> torch.Tensor:
    """(M,) the mean of the raters' rows of (T, M)."""
    return (attention * raters[:, None]).sum(0) / raters.sum()
