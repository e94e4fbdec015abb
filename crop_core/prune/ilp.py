"""ILP, CROP's inner-LLM pruning: outside the region first, by how little the question looks at a token.

Source: Guo et al., CROP, EMNLP 2025, arXiv 2505.21233. The paper states that non-region tokens are pruned in early
layers, guided by the region, without training. Ours: the rule and the schedule, since it does not give them.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from crop_core.prune.protocol import Decision, PruneContext, PruneError, ScheduledPruner, VisualTokens


@dataclass(frozen=True, eq=False)
class IlpPruner(ScheduledPruner):
    """Tokens of the region go last; the attention of `query_rows` text tokens scores the others."""

    def decide(self, context: PruneContext) -> list[Decision]:
        """Tokens outside the region go first, least attention first; region tokens only when no other is left."""
        if [len(each.inside) for each in self.tokens] != context.total:
            raise PruneError(
                f"The region masks cover {[len(each.inside) for each in self.tokens]} visual tokens, the prompts have "
                f"{context.total}."
            )
        count = self.count(context)
        scores = context.attention(self.query_rows)
        return [
            Decision(best(alive, score, tokens, count), score)
            for alive, score, tokens in zip(context.alive, scores, self.tokens, strict=True)
        ]


def best(
    alive: torch.Tensor, scores: torch.Tensor, tokens: VisualTokens, count: int, by_region: bool = True
) -> torch.Tensor:
    """The `count` tokens of `alive` (K,) that stay, sorted: of every image its first, then region tokens before others
    (unless told otherwise), then by score, then by place.

    scores: (M,). All of `alive` when there are no more than `count`; at least one an image.
    """
    count, tokens = max(tokens.images, count), tokens.to(alive.device)
    if len(alive) <= count:
        return alive
    order = alive[_rising(-scores[alive])]
    if by_region:
        order = order[_rising(~tokens.inside[order])]
    if tokens.images > 1:
        order = order[_rising(~_first_of_image(tokens.image[order], tokens.images))]
    return order[:count].sort().values


def _rising(keys: torch.Tensor) -> torch.Tensor:
    """Indices that sort (K,) keys, equal ones in the order in which they are."""
    return keys.to(torch.uint8 if keys.dtype == torch.bool else keys.dtype).argsort(stable=True)


def _first_of_image(image: torch.Tensor, images: int) -> torch.Tensor:
    """(K,) bool: is it the first of its image in (K,) image numbers?"""
    same = image[:, None] == torch.arange(images, device=image.device)  # (K, images)
    return (same & (same.cumsum(0) == 1)).any(1)
