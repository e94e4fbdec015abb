"""SparseVLM: text tokens related to the image rate its tokens, at three cuts; some of what goes is recycled.

Source: Zhang et al., SparseVLM, ICML 2025, arXiv 2410.04417. As in its code: text raters are the text tokens after the
image whose softmax similarity (dot product, over the text), mean over the visual tokens, is above the average, found
once, among the embeddings; a visual token's score is the raters' attention to it, mean over heads; layers 2, 6 and 15
of 32 score, and behind them tokens go, down to 300, 200 and 110 of 576; of those that go, the best-rated 30 % are
clustered about ten to one (density peaks, Rodriguez and Laio, 2014), and a cluster's mean state goes on as one token.
DIFFERENT: that token has the place of its cluster's centre, where the code appends it; all kept tokens keep their
places, where the code closes the gaps, so that its later layers see other positions. Counts are of a budget, recycled
tokens included: the paper's shares, scaled together (the code has a list for each of three sizes); layers are scaled to
the depth, and the first cut comes earlier where it must. OURS: below 24 layers every cut comes one layer earlier, as
ILP's early cut does (`sparsevlm@paper`: behind the layers as published, at any depth). Of an image's tokens at least
one stays, and where that leaves no room, nothing is recycled.
SparseVLM+ ("2_0" in the code, not done here) keeps the places, recycles nothing, divides the attention by what rotary
embeddings alone would give, and lets half of the heads vote.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch

from crop_core.measure.flops import scoring_flops
from crop_core.prune.ilp import best
from crop_core.prune.protocol import CutSize, Decision, PruneContext, ScheduledPruner, VisualTokens
from crop_core.prune.schedule import DEEP, latest_cut, rising
from crop_core.records.config import IlpConfig

DEPTHS = (2 / 32, 6 / 32, 15 / 32)  # of the layers that score
SHARES = (300 / 576, 200 / 576, 110 / 576)
RECYCLED, CLUSTER = 0.3, 10  # share of the tokens that go, and about how many of them make one


@dataclass(frozen=True, eq=False)
class SparseVlmPruner(ScheduledPruner):
    """Does not read the region. recycles: whether some of what goes is merged. depths, shares: of the cuts.

    earlier: how many layers before that; None: as the depth says.
    """

    recycles: ClassVar[bool] = True
    depths: ClassVar[tuple[float, ...]] = DEPTHS
    shares: ClassVar[tuple[float, ...]] = SHARES
    earlier: ClassVar[int | None] = None

    def decide(self, context: PruneContext) -> list[Decision]:
        """Per sample the tokens with the most attention from its raters, ties by index, and the recycled ones; scores
        (M,).
        """
        count = self.count(context)
        read = zip(context.alive, context.text_attention(), context.embedded(), self.tokens, strict=True)
        states = context.states() if self.recycles else [(None, None)] * len(context.alive)
        return [
            self._decided(alive, rated(rows, raters(*words)), tokens, count, own)
            for (alive, rows, words, tokens), (own, _) in zip(read, states, strict=True)
        ]

    def _decided(
        self,
        alive: torch.Tensor,
        score: torch.Tensor,
        tokens: VisualTokens,
        count: int,
        states: torch.Tensor | None,
    ) -> Decision:
        """Of one sample: alive (K,), score (M,), states (K, D) of the alive ones, None to recycle nothing."""
        chosen, tokens = selected(len(alive), count), tokens.to(alive.device)
        if states is None or chosen < tokens.images or count >= len(alive):
            return Decision(best(alive, score, tokens, count, by_region=False), score)
        kept = best(alive, score, tokens, chosen, by_region=False)
        place = torch.zeros_like(tokens.image).index_copy(
            0, alive, torch.arange(len(alive), device=alive.device)
        )  # (M,)
        rest = score[alive].index_fill(0, place[kept], -torch.inf)
        ranked = rest.argsort(descending=True, stable=True)[: recycled(len(alive) - chosen)]
        centres, means = merged(states[ranked], count - chosen)
        places = torch.cat([kept, alive[ranked[centres]]])
        order = places.argsort()
        return Decision(places[order], score, torch.cat([states[place[kept]].float(), means])[order])

    @classmethod
    def schedule(
        cls, layers: int, count: int, budget: float | None, first_prunable_layer: int = 1, min_count: int = 1
    ) -> IlpConfig:
        """The method's cuts, the first where it can meet a mean `budget` of `count` visual tokens."""
        earlier = int(layers < DEEP) if cls.earlier is None else cls.earlier
        own = rising([depth * layers + 1 - earlier for depth in cls.depths], layers, first_prunable_layer)
        places = (latest_cut(own[0], layers, count, budget, first_prunable_layer, min_count), *own[1:])
        return IlpConfig(tuple(zip(places, cls.shares, strict=False)))

    @classmethod
    def flops(cls, config: Any, query_rows: int, size: CutSize) -> int:
        """Of scoring at one cut: a row of attention for each text token, and the embeddings' similarity."""
        similarity = 2 * size.text * size.entered * config.text_config.hidden_size
        return scoring_flops(config, size.text, size.tokens) + similarity


class PublishedSparseVlm(SparseVlmPruner):
    """The layers as published, at any depth."""

    earlier = 0


def raters(visual: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
    """(T,) bool, text tokens (T, D) that rate the visual tokens (K, D); all if none is above the average."""
    similarity = (visual.float() @ text.float().T).softmax(1).mean(0)  # (T,)
    above = similarity > similarity.mean()
    return above | ~above.any()


def rated(attention: torch.Tensor, raters: torch.Tensor) -> torch.Tensor:
    """(M,) the mean of the raters' rows of (T, M)."""
    return (attention * raters[:, None]).sum(0) / raters.sum()


def recycled(gone: int) -> int:
    """How many of `gone` tokens are clustered."""
    return min(gone, int(RECYCLED * gone) + 1)


def selected(alive: int, count: int) -> int:
    """How many of `alive` tokens stay by their score, so that with one token a cluster `count` go on; 0 if none can."""
    return next((own for own in range(count, 0, -1) if own + recycled(alive - own) // CLUSTER + 1 == count), 0)


def merged(states: torch.Tensor, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """(C,) long: centres of `count` = C clusters among states (R, D); (C, D) float32: the mean of each cluster.

    A centre is dense and far from denser tokens: density is exp(-mean squared distance) to the C nearest tokens, itself
    among them, of equal ones the first is denser; distances are divided by sqrt(D).
    """
    wide = states.float()
    apart = torch.cdist(wide, wide, compute_mode="donot_use_mm_for_euclid_dist") / wide.shape[1] ** 0.5  # (R, R)
    density = (-apart.sort(dim=1).values[:, :count].square().mean(1)).exp()
    place = torch.arange(len(wide), device=wide.device)
    denser = (density > density[:, None]) | ((density == density[:, None]) & (place < place[:, None]))
    isolation = torch.where(denser, apart, apart.max()).amin(1)
    centres = (isolation * density).argsort(descending=True, stable=True)[:count]
    cluster = apart[:, centres].argmin(1).index_copy(0, centres, torch.arange(count, device=wide.device))  # (R,)
    members = wide.new_zeros(count).index_add(0, cluster, wide.new_ones(len(wide)))
    return centres, wide.new_zeros(count, wide.shape[1]).index_add(0, cluster, wide) / members[:, None]
