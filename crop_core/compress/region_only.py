"""Region only: only the region's tokens enter the LLM.

Source: the ablation of the paper that prunes instead of compressing (Guo et al., CROP, EMNLP 2025, arXiv 2505.21233).
OURS: with a count the region is filled up with the tokens nearest to it, or thinned evenly, so that the count is met.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from crop_core.compress.pooling import distance
from crop_core.compress.protocol import CompressionInput, Compressor, kept, wanted
from crop_core.records.compression_plan import CompressionPlan

DECIMALS = 9  # of a grid cell, so that rounding breaks no tie


@dataclass(frozen=True)
class RegionCompressor(Compressor):
    """Keeps tokens by their distance from the region in grid cells, ties by index; of a region with more tokens than
    the count, the middle one of each of `count` equal runs. Tokens without a position or outside the visible part are
    the farthest.
    """

    def plan(self, image: CompressionInput, count: int | None = None) -> CompressionPlan:
        """Exactly `count` (1..N) of the N tokens, or, for None, the region's, at least the one nearest to it; each as
        it is and all in ring 0.

        Raises CompressionError for a count outside 1..N.
        """
        layout, total = image.layout, len(image.layout.row)
        inside = image.region.mask(layout.boxes) & layout.in_sight
        nearest = np.lexsort((distance(layout, image.region).round(DECIMALS), ~inside))  # stable
        own = int(inside.sum())
        number = wanted(count, own, total)
        if own > number:
            nearest = nearest[(2 * np.arange(number) + 1) * own // (2 * number)]
        return kept(nearest[:number], total)
