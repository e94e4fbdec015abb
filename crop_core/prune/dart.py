"""DART: one early cut that keeps a few pivots and the tokens least similar to them, without attention.

Source: Wen et al., Stop Looking for Important Tokens in Multimodal Language Models: Duplication Matters More, EMNLP
2025, arXiv 2502.11494. The paper's rule: after layer 2, the pivots are the 4 visual and the 4 text tokens with the
largest L1 norm of their key; in turn, each keeps an equal quota of the visual tokens that are least cosine-similar to
it in hidden states; 77.8 % of the visual tokens go. OURS: the layer is 1 below 24 layers, as for FastV here
(`dart@paper`: 2 at any depth); keys are those in the cache, of the layer before the cut, and
text pivots come from after the image; visual pivots take their turn before text ones, largest first; the remainder
goes to the first of them, so that counts are exact; hidden states are compared without norm, where the public
code applies the model's last norm; of equal tokens the first is taken. If unpruned layers exceed the budget, the cut
is earlier, as for FastV here. An image without kept tokens keeps the one with the largest key.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
import torch.nn.functional as F

from crop_core.prune.ilp import best
from crop_core.prune.protocol import CutSize, Decision, PruneContext, ScheduledPruner
from crop_core.prune.schedule import early_cut, latest_cut
from crop_core.records.config import IlpConfig

LAYER = 2
SHARE = 1 - 0.778
PIVOTS = 4  # of the visual tokens, and as many of the text


@dataclass(frozen=True, eq=False)
class DartPruner(ScheduledPruner):
    """Does not read the region. layer: of the cut; 0 for that of the depth."""

    layer: ClassVar[int] = 0

    def decide(self, context: PruneContext) -> list[Decision]:
        """Per sample the visual pivots and the tokens that the pivots select, without scores."""
        count = self.count(context)
        read = zip(context.alive, context.total, context.states(), context.keys(), self.tokens, strict=True)
        decisions = []
        for alive, total, states, keys, tokens in read:
            norm, text_norm = (part.float().abs().sum(1) for part in keys)  # (K,), (T,)
            number = min(len(alive), max(tokens.images, count))
            order = norm / (1 + norm.max()) + chosen(*states, norm, text_norm, number)  # selected tokens: from 1 on
            full = order.new_zeros(total).index_copy(0, alive, order)
            decisions.append(Decision(best(alive, full, tokens, count, by_region=False)))
        return decisions

    @classmethod
    def schedule(
        cls, layers: int, count: int, budget: float | None, first_prunable_layer: int = 1, min_count: int = 1
    ) -> IlpConfig:
        """DART's own cut, not before `first_prunable_layer`, for `count` visual tokens and a mean `budget` or None."""
        latest = cls.layer or early_cut(layers)
        return IlpConfig(((latest_cut(latest, layers, count, budget, first_prunable_layer, min_count), SHARE),))

    @classmethod
    def flops(cls, config: Any, query_rows: int, size: CutSize) -> int:
        """Of deciding at one cut: the similarity of every pivot to every visual token."""
        pivots = min(PIVOTS, size.kept) + min(PIVOTS, size.text)
        return 2 * pivots * size.visual * int(config.text_config.hidden_size)


class PublishedDart(DartPruner):
    """The layer as published, at any depth."""

    layer = LAYER


def chosen(
    visual: torch.Tensor, text: torch.Tensor, visual_norm: torch.Tensor, text_norm: torch.Tensor, count: int
) -> torch.Tensor:
    """(K,) bool, the `count` visual tokens to keep; of hidden states (K, D) and (T, D), and norms (K,) and (T,)."""
    own, other = largest(visual_norm, min(PIVOTS, count)), largest(text_norm, PIVOTS)
    pivots = F.normalize(torch.cat([visual[own], text[other]]).float(), dim=1)  # (V, D)
    similarity = pivots @ F.normalize(visual.float(), dim=1).T  # (V, K)
    taken = torch.zeros_like(visual_norm, dtype=torch.bool).index_fill(0, own, True)
    quota, remainder = divmod(count - len(own), len(pivots))
    for number, row in enumerate(similarity):
        selected = row.masked_fill(taken, torch.inf).argsort(stable=True)[: quota + (number < remainder)]
        taken = taken.index_fill(0, selected, True)
    return taken


def largest(values: torch.Tensor, count: int) -> torch.Tensor:
    """Indices of the `count` largest of (K,), ties by index; all if there are fewer."""
    return values.argsort(descending=True, stable=True)[:count]
