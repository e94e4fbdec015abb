"""FastV: one early cut that keeps the tokens most attended by the last text token. No region, no training.

Source: Chen et al., An Image is Worth 1/2 Tokens After Layer 2, ECCV 2024, arXiv 2403.06764. The paper's rule: before
layer K = 2 (0-based) keep the visual tokens with the highest attention from the prompt's last token in layer K - 1,
mean over heads; R = 50 % of them go. OURS: K is 1 below 24 layers, as ILP's early cut is (`fastv@paper`: 2 at any
depth); with a budget the count follows from it, and if unpruned layers before K exceed the budget, the cut is earlier.
The code's label counts otherwise: its "64" are 64 tokens left after layer 2, a mean of 96 over 32 layers. Kept tokens
keep their positions, as in the code.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from crop_core.prune.ilp import best
from crop_core.prune.protocol import Decision, PruneContext, ScheduledPruner
from crop_core.prune.schedule import early_cut, latest_cut
from crop_core.records.config import IlpConfig

LAYER = 2  # K of the paper
SHARE = 0.5  # 1 - R, where no budget is set
ROWS = 1  # the last text token only


@dataclass(frozen=True, eq=False)
class FastvPruner(ScheduledPruner):
    """Does not read the region. layer: K; 0 for that of the depth."""

    layer: ClassVar[int] = 0

    def decide(self, context: PruneContext) -> list[Decision]:
        """Per sample the tokens with the most attention, ties by index; scores (M,)."""
        count = self.count(context)
        return [
            Decision(best(alive, score, tokens, count, by_region=False), score)
            for alive, score, tokens in zip(context.alive, context.attention(ROWS), self.tokens, strict=True)
        ]

    @classmethod
    def schedule(
        cls, layers: int, count: int, budget: float | None, first_prunable_layer: int = 1, min_count: int = 1
    ) -> IlpConfig:
        """FastV's own cut and scoring, for `count` visual tokens and a mean `budget` or None."""
        latest = cls.layer or early_cut(layers)
        at = latest_cut(latest, layers, count, budget, first_prunable_layer, min_count)
        return IlpConfig(((at, SHARE),), query_rows=ROWS)


class PublishedFastv(FastvPruner):
    """K as published, at any depth."""

    layer = LAYER
