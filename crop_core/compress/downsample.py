"""Downsample: average the token grid in windows as alike as whole tokens allow; all of the image is seen more coarsely.

The counterpart of a smaller image (Liao et al., VTC-Bench, arXiv 2510.07143) for any model and any count. Differs from
that baseline: there the image is made smaller before the vision tower, which has fewer tokens in models of native
resolution alone; where the grid is fixed, as LLaVA-1.5's, a smaller image has as many. Here the tower reads the whole
image, so that a token may hold details that a smaller image has lost, and the tower's time is not saved.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from crop_core.compress.protocol import CompressionInput, Compressor, wanted
from crop_core.records.compression_plan import CompressionPlan

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class DownsampleCompressor(Compressor):
    """Bands of rows, nearly as high as their windows are wide, each cut into windows: the heights of all bands differ
    by at most one, as do their numbers of windows, and the widths in a band. Every view has its share of the count,
    rounded; tokens without a position are a view of one row, and what has no share is dropped. share: kept without a
    count, 64 of LLaVA-1.5's 576.
    """

    share: float = 1 / 9

    def plan(self, image: CompressionInput, count: int | None = None) -> CompressionPlan:
        """Exactly `count` (1..N) means of the N tokens, all in ring 0; by positions alone, the region is not read.

        Raises CompressionError for a count outside 1..N.
        """
        layout, total = image.layout, len(image.layout.row)
        number = wanted(count, int(self.share * total), total)
        label, before, first = np.full(total, -1, dtype=np.int64), 0, 0
        for view in np.unique(layout.view):
            own = np.flatnonzero(layout.view == view)
            before += len(own)
            last = math.floor(before * number / total + 0.5)
            if last > first:
                label[own] = first + windows(*_grid(layout.row[own], layout.col[own]), last - first)
            first = last
        return CompressionPlan.of(label, np.zeros(total, dtype=np.int64))


def windows(row: Ints, col: Ints, count: int) -> Ints:
    """(N,) the window 0..count-1 of every token of a whole grid, by its row and column; count is 1..N."""
    height, width = int(row.max()) + 1, int(col.max()) + 1
    square = round(math.sqrt(count * height / width))
    bands = min(max(square, math.ceil(count / width)), height, count)
    band = row * bands // height
    first, last = band * count // bands, (band + 1) * count // bands  # windows of each token's band
    return first + col * (last - first) // width


def _grid(row: Ints, col: Ints) -> tuple[Ints, Ints]:
    """Rows and columns of tokens (N,); one row for tokens that are no whole grid."""
    if row.min() >= 0 and (row.max() + 1) * (col.max() + 1) == len(row):
        return row, col
    return np.zeros_like(row), np.arange(len(row))
