"""What a compressor is, and what it may read of one image and the question about it. Knows nothing of the methods.

Everything beyond the places of the tokens is made only when it is asked for, so that a method pays for what it reads.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch

from crop_core.compress.query_resampler import RegionResampler
from crop_core.models.adapter import TokenLayout, TowerAttention
from crop_core.records.compression_plan import CompressionError, CompressionPlan
from crop_core.records.config import CropConfig
from crop_core.records.region import Region


def _absent() -> None:
    raise CompressionError("This method reads more of an image than where its tokens lie; run it through the engine.")


@dataclass(frozen=True, eq=False)
class CompressionInput:
    """layout: where the N visual tokens lie. region: the question's.

    features: makes the (N, D) tokens as the LLM would read them. tower: makes what the vision tower thinks of each of
    them; raises ModelError for towers without a class token. question: makes the (T, D) embeddings of the question's
    own tokens. queries: gives those of the model's learned PLC. All on the model's device.
    """

    layout: TokenLayout
    region: Region
    features: Callable[[], torch.Tensor] = _absent  # type: ignore[assignment]
    tower: Callable[[], TowerAttention] = _absent  # type: ignore[assignment]
    question: Callable[[], torch.Tensor] = _absent  # type: ignore[assignment]
    queries: Callable[[], RegionResampler] = _absent  # type: ignore[assignment]


class Compressor(Protocol):
    """Acts before the LLM: one method, one file, one row in `records/methods.py`."""

    @classmethod
    def from_config(cls, config: CropConfig) -> Compressor:
        """The compressor with its part of the settings."""
        return cls()

    def plan(self, image: CompressionInput, count: int | None) -> CompressionPlan:
        """Which of the N tokens of an image become one; exactly `count` input tokens, or as many as its ratios give."""
