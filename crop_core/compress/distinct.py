"""Training-free compression: keep diverse tokens, denser near the region.

Source: the selection is DivPrune's (Alvar et al., CVPR 2025, arXiv 2503.02175), which reads no region; that the region
and what lies around it are compressed at different ratios is CROP's (Guo et al., EMNLP 2025, arXiv 2505.21233), which
learns to compress. OURS: the two together. What a wrong region misses is still kept if it differs from the rest of the
image.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from crop_core.compress.divprune import max_min_diversity
from crop_core.compress.pooling import rings
from crop_core.compress.protocol import CompressionInput, Compressor, kept, wanted
from crop_core.records.compression_plan import CompressionPlan
from crop_core.records.config import CropConfig, PlcConfig

POWER = 0.25  # of a ring's ratio: in four dimensions the density becomes 1 / ratio


@dataclass(frozen=True)
class DistinctCompressor(Compressor):
    """DivPrune with smaller distances outside the region: ratio ** -0.25 times in a ring that pools `ratio` tokens
    into one, 1 in the region. Rings as in `pooling.rings`; with ratios of 1 it is DivPrune.
    """

    config: PlcConfig = field(default_factory=PlcConfig)

    @classmethod
    def from_config(cls, config: CropConfig) -> DistinctCompressor:
        """Its rings."""
        return cls(config.plc)

    def plan(self, image: CompressionInput, count: int | None = None) -> CompressionPlan:
        """Exactly `count` (1..N) of the N tokens, or, for None, as many as the rings' ratios say; each as it is.

        Raises CompressionError for a count outside 1..N.
        """
        ring = rings(image.layout, image.region, self.config)
        ratio = np.array([1.0, *(each.ratio for each in self.config.rings)])[ring]  # (N,)
        number = wanted(count, math.ceil((1 / ratio).sum()), len(ring))
        weight = (ratio**-POWER).astype(np.float32)
        return kept(max_min_diversity(image.features(), number, weight), len(ring), ring)
