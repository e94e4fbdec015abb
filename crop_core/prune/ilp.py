"""ILP, CROP's inner-LLM pruning: outside the region first, by how little the question looks at a token.

Source: Guo et al., CROP, EMNLP 2025, arXiv 2505.21233. The paper states that non-region tokens are pruned in early
layers, guided by the region, without training. Ours: the rule and the schedule, since it does not give them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from crop_core.prune.protocol import PruneContext, PruneError
from crop_core.trace import PruneStep


@dataclass(frozen=True, eq=False)
class IlpPruner:
    """cuts: (layer, visual tokens alive from it on). region: per sample (M,) bool, the tokens that go last.
    query_rows: how many last text tokens of the prompt score, by their attention.
    """

    cuts: tuple[tuple[int, int], ...]
    region: Sequence[NDArray[np.bool_]]
    query_rows: int = 4

    @property
    def layers(self) -> tuple[int, ...]:
        """The layers of the cuts."""
        return tuple(layer for layer, _ in self.cuts)

    def decide(self, context: PruneContext) -> list[PruneStep]:
        """Tokens outside the region go first, least attention first; region tokens only when no other is left."""
        if [len(region) for region in self.region] != context.total:
            raise PruneError(
                f"The region masks cover {[len(region) for region in self.region]} visual tokens, the prompts have "
                f"{context.total}."
            )
        count = dict(self.cuts)[context.layer]
        scores = context.attention(self.query_rows)
        return [
            PruneStep(context.layer, best(alive, score, region, count), score)
            for alive, score, region in zip(context.alive, scores, self.region, strict=True)
        ]


def best(
    alive: NDArray[np.int64], scores: NDArray[np.float64], region: NDArray[np.bool_], count: int
) -> NDArray[np.int64]:
    """The `count` tokens of `alive` (K,) that stay, sorted: region tokens before others, then by score, then by place.

    scores, region: (M,). All of `alive` when there are no more than `count`; at least one.
    """
    order = np.lexsort((alive, -scores[alive], ~region[alive]))  # stable: two runs agree
    return np.sort(alive[order[: max(1, count)]])
