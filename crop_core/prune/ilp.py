"""ILP, CROP's inner-LLM pruning: tokens outside the region go first, those with the least attention from the text.

Source: Guo et al., CROP, EMNLP 2025, arXiv 2505.21233. The paper states that non-region tokens are pruned in early
layers, guided by the region, without training. OURS: rule and schedule, which it does not give.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from crop_core.prune.protocol import Decision, PruneContext, PruneError, ScheduledPruner, VisualTokens


@dataclass(frozen=True, eq=False)
class IlpPruner(ScheduledPruner):
    """Tokens of the region go last; the attention of `query_rows` text tokens scores the others."""

    def decide(self, context: PruneContext) -> list[Decision]:
        """Prune tokens outside the region first, by least attention; region tokens only if no others are left."""
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
    """The `count` tokens of `alive` (K,) to keep, sorted: the first of every image, then region tokens before others
    (if `by_region`), then by score, then by index.

    scores: (M,). All of `alive` if there are at most `count`; at least one per image.
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
    """Indices of a stable ascending sort of (K,) keys."""
    return keys.to(torch.uint8 if keys.dtype == torch.bool else keys.dtype).argsort(stable=True)


def _first_of_image(image: torch.Tensor, images: int) -> torch.Tensor:
    """(K,) bool: whether it is the first of its image in (K,) image indices."""
    same = image[:, None] == torch.arange(images, device=image.device)  # (K, images)
    return (same & (same.cumsum(0) == 1)).any(1)
