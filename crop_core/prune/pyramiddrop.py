"""PyramidDrop: three cuts over the depth, each keeping the half most attended by the end of the question.

Source: Xing et al., PyramidDrop, CVPR 2025, arXiv 2410.17247. The paper's rule: at 1/4, 1/2 and 3/4 of the depth half
of the visual tokens go, those with the least attention from the last instruction token, from the norm and the q and k
projections of the layer after the cut, applied to its input; mean over heads. OURS: the last token of the prompt stands
for that of the instruction. If halving misses a budget, the three cuts are moved earlier together, as little as needed;
if it misses it at the earliest layers too, and to meet a budget exactly, the shares are scaled. Of an image's tokens at
least one stays. Kept tokens keep their positions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from crop_core.measure.flops import keys_flops, scoring_flops
from crop_core.prune.ilp import best
from crop_core.prune.protocol import CutSize, Decision, PruneContext, ScheduledPruner
from crop_core.prune.schedule import meets, rising
from crop_core.records.config import IlpConfig

DEPTHS = (1 / 4, 1 / 2, 3 / 4)
SHARES = (1 / 2, 1 / 4, 1 / 8)
ROWS = 1  # the last text token only


@dataclass(frozen=True, eq=False)
class PyramidDropPruner(ScheduledPruner):
    """Does not read the region."""

    def decide(self, context: PruneContext) -> list[Decision]:
        """Per sample the tokens with the most attention in the next layer, ties by index; scores (M,)."""
        count = self.count(context)
        return [
            Decision(best(alive, score, tokens, count, by_region=False), score)
            for alive, score, tokens in zip(context.alive, context.ahead(ROWS), self.tokens, strict=True)
        ]

    @classmethod
    def schedule(
        cls, layers: int, count: int, budget: float | None, first_prunable_layer: int = 1, min_count: int = 1
    ) -> IlpConfig:
        """The latest cuts at which halving `count` visual tokens meets a mean `budget` or None."""
        own = rising([depth * layers for depth in DEPTHS], layers, first_prunable_layer)
        for at in range(own[0], first_prunable_layer - 1, -1):
            places = rising([place * at / own[0] for place in own], layers, at)
            config = IlpConfig(tuple(zip(places, SHARES, strict=False)), query_rows=ROWS)
            if budget is None or meets(config, layers, count, budget, first_prunable_layer, min_count):
                break
        return config

    @classmethod
    def flops(cls, config: Any, query_rows: int, size: CutSize) -> int:
        """Of scoring at one cut: the keys of every token in the layer ahead, and one row of attention."""
        return keys_flops(config, size.tokens) + scoring_flops(config, ROWS, size.tokens)
