"""Cross-attention of the learned PLC: a query per input token attends to the tokens in or outside the region.

Source: Guo et al., CROP, EMNLP 2025, arXiv 2505.21233: learnable queries compress the region and the rest apart, and
tokens of the region, the anchors, are retained. OURS: how the queries are built (the paper does not say): each has a
window of tokens, which gives it a position in the image; before training it returns their mean, which is pooling PLC.
Knows nothing of regions, budgets and language models.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from crop_core.models.adapter import TokenLayout
from crop_core.records.compression_plan import CompressionPlan
from crop_core.records.region import GRID


@dataclass(frozen=True, eq=False)
class QueryWindows:
    """Windows of the queries of one image, or of a batch (...) of images with equally many tokens.

    mean: (..., M, N) float32, rows that average each query's window. far: (..., M, N) float32, distance from the centre
    of a window to each token in grid cells, the larger of across and down; infinite for tokens of the other side, 0
    where one of the two has no position. region: (..., M) long, 1 for queries of the region. anchor: (..., M) bool,
    tokens kept unchanged.
    """

    mean: Tensor
    far: Tensor
    region: Tensor
    anchor: Tensor

    @classmethod
    def of(cls, plan: CompressionPlan, layout: TokenLayout, anchors: bool) -> QueryWindows:
        """From groups of tokens, each on the side where most of it lies; anchors: whether tokens of the region that
        share their group with none stay.
        """
        mean, inside = plan.weights, plan.ring == 0
        region = mean @ inside > 0.5
        place = (layout.boxes[:, :2] + layout.boxes[:, 2:]) / 2 * GRID / np.array(layout.image_size)  # (N, 2) cells
        middle = np.where(mean @ np.isnan(place) > 0, np.nan, mean @ np.nan_to_num(place))  # (M, 2)
        away = np.abs(middle[:, None] - place).max(-1)
        far = np.where(region[:, None] == inside, np.nan_to_num(away), np.inf)
        anchor = region & (mean.max(1) == 1) & anchors
        return cls(*map(torch.from_numpy, (mean.astype("f"), far.astype("f"), region.astype(np.int64), anchor)))

    @classmethod
    def stack(cls, homes: Sequence[QueryWindows]) -> QueryWindows:
        """Batch of images with equally many tokens and queries."""
        return cls(*(torch.stack([getattr(each, item.name) for each in homes]) for item in fields(cls)))

    def to(self, device: torch.device) -> QueryWindows:
        """The same on a device."""
        return QueryWindows(*(getattr(self, item.name).to(device) for item in fields(self)))


class RegionResampler(nn.Module):
    """For tokens of width D: H heads of size S read all tokens on the query's side, near ones first, and one more
    head weights those of the window.

    A query is a learned vector of its side plus a projection of its window's mean. The window's tokens are averaged by
    that head's weights without projection; the output of the other heads is projected and added. Before training the
    weights are uniform, and nothing is added.
    """

    def __init__(self, width: int, heads: int = 3, size: int = 16) -> None:
        super().__init__()
        self.size = size
        self.side = nn.Parameter(torch.zeros(2, (1 + heads) * size))  # outside, region
        self.ask = nn.Linear(width, (1 + heads) * size, bias=False)
        self.key = nn.Linear(width, (1 + heads) * size, bias=False)
        self.value = nn.Linear(width, heads * size, bias=False)
        self.out = nn.Linear(heads * size, width, bias=False)
        self.steepness = nn.Parameter(torch.linspace(1, -1, heads))  # log of the score penalty per grid cell
        nn.init.zeros_(self.ask.weight)
        nn.init.zeros_(self.out.weight)

    def forward(self, tokens: Tensor, homes: QueryWindows) -> Tensor:
        """(..., N, D) visual tokens to (..., M, D) input tokens, in the tokens' precision; computed in float32."""
        wide = tokens.float()
        unit = F.rms_norm(wide, wide.shape[-1:])
        query = self._by_head(self.side[homes.region] + self.ask(homes.mean @ unit))  # (..., 1 + H, M, S)
        scores = query @ self._by_head(self.key(unit)).mT / self.size**0.5  # (..., 1 + H, M, N)
        own = scores[..., 0, :, :].masked_fill(homes.mean == 0, -torch.inf).softmax(-1) @ wide  # (..., M, D)
        far = homes.far[..., None, :, :]
        prior = self.steepness.exp()[:, None, None] * far.where(far.isfinite(), 0.0)  # no gradient through infinity
        shares = (scores[..., 1:, :, :] - prior).masked_fill(far.isinf(), -torch.inf).softmax(-1)  # (..., H, M, N)
        read = (shares @ self._by_head(self.value(unit))).transpose(-3, -2).flatten(-2)  # (..., M, H * S)
        return torch.where(homes.anchor[..., None], homes.mean @ wide, own + self.out(read)).to(tokens.dtype)

    def _by_head(self, rows: Tensor) -> Tensor:
        """(..., R, heads * S) to (..., heads, R, S)."""
        return rows.unflatten(-1, (-1, self.size)).transpose(-3, -2)
