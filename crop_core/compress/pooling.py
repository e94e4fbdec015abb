"""Training-free pre-LLM compression: keep the region, average-pool the rest in windows that grow outwards.

Differs from PLC in the paper (Guo et al., arXiv 2505.21233), where learnable queries, trained with the model, compress.
Where the region is the whole image there is no rest to pool: its windows leave their most distinct tokens instead of
the mean, in which small things blend with the background.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from crop_core.compress.protocol import CompressionInput, Compressor, directions
from crop_core.records.compression_plan import CompressionError, CompressionPlan
from crop_core.records.config import CropConfig, PlcConfig
from crop_core.records.region import GRID, Region

if TYPE_CHECKING:
    from crop_core.models.adapter import TokenLayout

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class PoolingCompressor(Compressor):
    """Ring 0 is the region, the config's rings follow outwards; tokens without a position are in the last.

    Every ring starts as one window over its view's token grid. Windows of the region are halved first, down to
    `region_ratio` tokens (1: all of them stay); then always the window with the most tokens for its ring's ratio, at
    the middle of its longer side. A split adds one token, so that a count is met exactly; rings are pooled together
    only when there are fewer tokens than rings. Windows leave the mean of their tokens, and their most distinct token
    in a region that is the whole image.
    """

    config: PlcConfig = field(default_factory=PlcConfig)
    region_ratio: float = 1.0

    @classmethod
    def from_config(cls, config: CropConfig) -> PoolingCompressor:
        """Its rings."""
        return cls(config.plc)

    def plan(self, image: CompressionInput, count: int | None = None) -> CompressionPlan:
        """The N tokens by `windows`; features are read only of a whole image whose tokens do not fit.

        Raises CompressionError for a count outside 1..N.
        """
        plan = self.windows(image, count)
        thinned = plan.inside(plan.ring == 0)[plan.group] & (np.bincount(plan.group)[plan.group] > 1)
        if not (image.region.is_whole and thinned.any()):
            return plan
        by_window = np.lexsort((-distinctness(image), plan.group))
        first = by_window[np.unique(plan.group[by_window], return_index=True)[1]]  # (M,) the most distinct of each
        thinned[first] = False
        return CompressionPlan.of(np.where(thinned, -1, plan.group), plan.ring)

    def windows(self, image: CompressionInput, count: int | None = None) -> CompressionPlan:
        """The windows by position alone, all pooled: exactly `count` (1..N), or, for None, as many as leave at most the
        rings' ratios in each.

        Raises CompressionError for a count outside 1..N.
        """
        layout, region = image.layout, image.region
        total = len(layout.row)
        if count is not None and not 1 <= count <= total:
            raise CompressionError(f"{total} visual tokens cannot be pooled into {count}; give 1 to {total}.")
        ring = rings(layout, region, self.config)
        windows = _first_windows(layout, ring)
        if count is None:
            windows = _split_until(windows, total, lambda window: len(window.tokens) > self._ratio(window.ring))
        elif len(windows) > count:
            windows = _merged(windows, count)
        else:
            windows = _split_until(windows, count, self._large_in_region)
            windows = _split_until(windows, count, lambda window: True, self._ratio)
        label = np.empty(total, dtype=np.int64)
        for number, window in enumerate(windows):
            label[window.tokens] = number
        return CompressionPlan.of(label, ring)

    def _large_in_region(self, window: _Window) -> bool:
        return window.ring == 0 and len(window.tokens) > self.region_ratio

    def _ratio(self, ring: int) -> float:
        return self.region_ratio if ring == 0 else self.config.rings[ring - 1].ratio


def rings(layout: TokenLayout, region: Region, config: PlcConfig) -> Ints:
    """(N,) ring of every token: 0 in the region, then by the distance of its centre from the region in grid cells (the
    larger of across and down); the last ring for tokens without a position or outside the visible part."""
    visible = layout.in_sight
    edges = np.cumsum([ring.width for ring in config.rings])
    ring = 1 + np.searchsorted(edges[:-1], distance(layout, region))
    return np.where(region.mask(layout.boxes) & visible, 0, ring).astype(np.int64)


def distance(layout: TokenLayout, region: Region) -> NDArray[np.float64]:
    """(N,) from the region to every token's centre in grid cells, the larger of across and down; infinite for tokens
    that are not in sight.
    """
    centre = (layout.boxes[:, :2] + layout.boxes[:, 2:]) / 2  # (N, 2) px
    box, cell = np.array(region.box), np.array([region.width, region.height]) / GRID
    away = np.maximum(box[:2] - centre, centre - box[2:]) / cell  # (N, 2) cells
    return np.where(layout.in_sight, away.max(axis=1, initial=0.0), np.inf)


def distinctness(image: CompressionInput) -> NDArray[np.float32]:
    """(N,) how far the direction of every token's features is from the median direction of those in sight: plain
    background is near 0.
    """
    rows = directions(image.features())
    typical = rows[torch.from_numpy(image.layout.in_sight).to(rows.device)].median(0).values
    return (rows - typical).norm(dim=-1).cpu().numpy()


class _Window(NamedTuple):
    """Tokens of one ring and view inside rows top..bottom and columns left..right (ends excluded) of the token grid.

    A tuple for speed, since a plan creates hundreds. row, col: (N,) of all tokens, shared.
    """

    ring: int
    tokens: Ints
    row: Ints
    col: Ints
    top: int
    left: int
    bottom: int
    right: int

    def halves(self) -> list[_Window]:
        """Both halves of the longer side; empty halves are cut off until there are two."""
        ring, tokens, row, col, top, left, bottom, right = self
        if bottom - top >= right - left:
            middle = (top + bottom) // 2
            before, ends = row[tokens] < middle, ((top, left, middle, right), (middle, left, bottom, right))
        else:
            middle = (left + right) // 2
            before, ends = col[tokens] < middle, ((top, left, bottom, middle), (top, middle, bottom, right))
        shares = (tokens[before], tokens[~before])
        parts = [_Window(ring, own, row, col, *end) for own, end in zip(shares, ends, strict=True) if len(own)]
        return parts if len(parts) == 2 else parts[0].halves()


def _first_windows(layout: TokenLayout, ring: Ints) -> list[_Window]:
    """One window per ring, view and side of the image's border, near to far; tokens without a position form a row."""
    placed, visible = layout.row >= 0, layout.in_sight
    row = np.where(placed, layout.row, 0)
    col = np.where(placed, layout.col, np.arange(len(ring)))
    keys = sorted(set(zip(ring.tolist(), (~visible).tolist(), layout.view.tolist(), strict=True)))
    windows = []
    for number, hidden, view in keys:
        at = np.flatnonzero((ring == number) & (visible != hidden) & (layout.view == view))
        same = layout.view == view  # the window spans the view's whole grid, so that all rings share their borders
        windows.append(_Window(number, at, row, col, 0, 0, int(row[same].max()) + 1, int(col[same].max()) + 1))
    return windows


def _split_until(
    windows: list[_Window],
    count: int,
    splittable: Callable[[_Window], bool],
    ratio: Callable[[int], float] = lambda ring: 1.0,
) -> list[_Window]:
    """Halve the `splittable` window with the most tokens for its ratio until there are `count` or none is left."""

    def entry(window: _Window) -> tuple[float, int, _Window]:
        return (-len(window.tokens) / ratio(window.ring), next(tie), window)

    tie = itertools.count()  # equal windows are split in order
    done: list[_Window] = []
    queue = [entry(window) for window in windows]
    heapq.heapify(queue)
    while queue and len(done) + len(queue) < count:
        window = heapq.heappop(queue)[2]
        if len(window.tokens) == 1 or not splittable(window):
            done.append(window)
            continue
        for half in window.halves():
            heapq.heappush(queue, entry(half))
    return done + [window for *_, window in queue]


def _merged(windows: list[_Window], count: int) -> list[_Window]:
    """Merge the farthest windows if there are more windows than `count`."""
    tail = windows[count - 1 :]
    return [*windows[: count - 1], tail[0]._replace(tokens=np.concatenate([window.tokens for window in tail]))]
