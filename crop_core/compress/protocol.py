"""Interface of compressors, and their input of one image and its question. Knows nothing of the methods.

Everything but the layout is computed on demand, so that a method pays only for what it reads.
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


def _unavailable() -> None:
    raise CompressionError("This method reads more of an image than where its tokens lie; run it through the engine.")


@dataclass(frozen=True, eq=False)
class CompressionInput:
    """layout: of the N visual tokens. region: of the question.

    Computed when called, on the model's device: features, the (N, D) inputs of the LLM; tower, the vision tower's
    attention and keys, ModelError for towers without a class token; question, the (T, D) embeddings of the question's
    tokens; queries, the resampler of the model's learned PLC.
    """

    layout: TokenLayout
    region: Region
    features: Callable[[], torch.Tensor] = _unavailable  # type: ignore[assignment]
    tower: Callable[[], TowerAttention] = _unavailable  # type: ignore[assignment]
    question: Callable[[], torch.Tensor] = _unavailable  # type: ignore[assignment]
    queries: Callable[[], RegionResampler] = _unavailable  # type: ignore[assignment]


class Compressor(Protocol):
    """Acts before the LLM: one method, one file, one row in `records/methods.py`."""

    @classmethod
    def from_config(cls, config: CropConfig) -> Compressor:
        """The compressor with its part of the settings."""
        return cls()

    def plan(self, image: CompressionInput, count: int | None) -> CompressionPlan:
        """Which of the N tokens of an image become one; exactly `count` input tokens, or as many as its ratios give."""
