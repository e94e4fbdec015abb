"""PyramidDrop: three cuts over the depth, each keeping the half most attended by the end of the question.

Source: Xing et al., PyramidDrop, CVPR 2025, arXiv 2410.17247. The paper's rule: at 1/4, 1/2 and 3/4 of the depth half
of the visual tokens go, those with the least attention from the last token of the prompt, from the norm and the q and k
projections of the layer after the cut, applied to its input; mean over heads. OURS: for a budget the shares are scaled
together; only if the layers before the first cut exceed it, this one moves earlier, as little as needed.
`pyramiddrop@paper` keeps halving, and moves the three cuts earlier together as little as that needs. Of an image's
tokens at least one stays. Kept tokens keep their positions, where the code closes the gaps, so that its later cuts see
other positions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from crop_core.measure.flops import keys_flops, scoring_flops
from crop_core.prune.ilp import best
from crop_core.prune.protocol import CutSize, Decision, PruneContext, ScheduledPruner
from crop_core.prune.schedule import latest_cut, meets, rising
from crop_core.records.config import IlpConfig

STAGES = ((1 / 4, 1 / 2), (1 / 2, 1 / 4), (3 / 4, 1 / 8))
ROWS = 1  # the last text token only


@dataclass(frozen=True, eq=False)
class PyramidDropPruner(ScheduledPruner):
    """Does not read the region. stages: (depth, share left) of the cuts."""

    stages: ClassVar[tuple[tuple[float, float], ...]] = STAGES

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
        """The method's cuts, the first where it can meet a mean `budget` of `count` visual tokens."""
        own, shares = cls.own_cuts(layers, first_prunable_layer)
        first = latest_cut(own[0], layers, count, budget, first_prunable_layer, min_count)
        return IlpConfig(tuple(zip((first, *own[1:]), shares, strict=False)), query_rows=ROWS)

    @classmethod
    def own_cuts(cls, layers: int, first_prunable_layer: int) -> tuple[tuple[int, ...], tuple[float, ...]]:
        """Layers and shares of the cuts of `layers` decoder layers without a budget."""
        depths, shares = zip(*cls.stages, strict=True)
        return rising([depth * layers for depth in depths], layers, first_prunable_layer), shares

    @classmethod
    def flops(cls, config: Any, query_rows: int, size: CutSize) -> int:
        """Of scoring at one cut: the keys of every token in the layer ahead, and one row of attention."""
        return keys_flops(config, size.tokens) + scoring_flops(config, ROWS, size.tokens)


class PublishedPyramidDrop(PyramidDropPruner):
    """Halves whatever the budget; it is met by moving all cuts."""

    @classmethod
    def schedule(
        cls, layers: int, count: int, budget: float | None, first_prunable_layer: int = 1, min_count: int = 1
    ) -> IlpConfig:
        """The latest cuts at which halving `count` visual tokens meets a mean `budget` or None."""
        own, shares = cls.own_cuts(layers, first_prunable_layer)
        for at in range(own[0], first_prunable_layer - 1, -1):
            places = rising([place * at / own[0] for place in own], layers, at)
            config = IlpConfig(tuple(zip(places, shares, strict=False)), query_rows=ROWS)
            if budget is None or meets(config, layers, count, budget, first_prunable_layer, min_count):
                break
        return config
