"""Random: a uniformly random subset of the visual tokens enters the LLM, the lower bound for every method.

Source: the random baseline of FastV (Chen et al., ECCV 2024, arXiv 2403.06764) and of the papers after it. OURS: the
subset is sampled once, before the LLM, so that every layer holds the same tokens; nothing is pooled.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from crop_core.compress.protocol import CompressionInput, Compressor, kept, wanted
from crop_core.records.compression_plan import CompressionPlan
from crop_core.records.config import CropConfig


@dataclass(frozen=True)
class RandomCompressor(Compressor):
    """Keeps the first `count` of a random order of the N tokens, so that a smaller subset lies within a larger one.

    seed: alone decides the order, whatever the image, the question or the region. share: kept without a count.
    """

    seed: int = 0
    share: float = 1 / 3

    @classmethod
    def from_config(cls, config: CropConfig) -> RandomCompressor:
        """Its seed."""
        return cls(config.seed)

    def plan(self, image: CompressionInput, count: int | None = None) -> CompressionPlan:
        """Exactly `count` (1..N) of the N tokens, each as it is and all in ring 0; the region is not read.

        Raises CompressionError for a count outside 1..N.
        """
        total = len(image.layout.row)
        number = wanted(count, int(self.share * total), total)
        return kept(np.random.default_rng(self.seed).permutation(total)[:number], total)
