"""Learned pre-LLM compression: queries trained with the model attend separately to the region and to the rest.

Source: Guo et al., CROP, EMNLP 2025, arXiv 2505.21233: both sides have their own compression ratio, and tokens of the
region, the anchors, are retained. OURS: each query belongs to a window of pooling PLC, which defines counts,
positions and traces; without anchors the region has its own compression ratio.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from crop_core.compress.pooling import PoolingCompressor
from crop_core.compress.protocol import CompressionInput, Compressor
from crop_core.compress.query_resampler import QueryWindows
from crop_core.records.compression_plan import CompressionPlan
from crop_core.records.config import CropConfig, PlcConfig


@dataclass(frozen=True)
class LearnedCompressor(Compressor):
    """A query for every window of `PoolingCompressor`, except windows of one region token, the anchors, which are kept
    unchanged.

    anchors: False for the paper's ablation, where the region's windows hold `config.region_ratio` tokens, relative to
    the rings' ratios where there is a count, and all have a query.
    """

    config: PlcConfig = field(default_factory=PlcConfig)
    anchors: bool = True

    @classmethod
    def from_config(cls, config: CropConfig) -> LearnedCompressor:
        """Its rings."""
        return cls(config.plc)

    def plan(self, image: CompressionInput, count: int | None = None) -> CompressionPlan:
        """The windows, exactly `count` (1..N) or as many as the ratios give, and what their queries say.

        Raises CompressionError for a count outside 1..N.
        """
        plan, homes = self.homes(image, count)
        tokens = image.features()
        return replace(plan, features=(image.queries()(tokens, homes.to(tokens.device)),))

    def homes(self, image: CompressionInput, count: int | None) -> tuple[CompressionPlan, QueryWindows]:
        """The windows and their query geometry; features are not read."""
        pooling = PoolingCompressor(self.config, 1.0 if self.anchors else self.config.region_ratio)
        plan = pooling.windows(image, count)
        return plan, QueryWindows.of(plan, image.layout, self.anchors)


@dataclass(frozen=True)
class QueriesCompressor(LearnedCompressor):
    """Without anchors: queries alone."""

    anchors: bool = False
