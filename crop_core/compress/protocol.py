"""Interface of compressors, and their input of one image and its question. Knows nothing of the methods.

Everything but the layout is computed on demand, so that a method pays only for what it reads.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from crop_core.compress.query_resampler import RegionResampler
from crop_core.models.adapter import TokenLayout, TowerAttention
from crop_core.records.compression_plan import CompressionError, CompressionPlan
from crop_core.records.config import CropConfig
from crop_core.records.region import Region

if TYPE_CHECKING:
    import torch


def _unavailable() -> None:
    raise CompressionError("This method reads more of an image than where its tokens lie; run it through the engine.")


@dataclass(frozen=True, eq=False)
class CompressionInput:
    """layout: of the N visual tokens. region: of the question.

    Computed when called, on the model's device: features, the (N, D) inputs of the LLM; tower, the vision tower's
    attention and keys, ModelError for towers that merge patches into tokens; question, the (T, D) embeddings of the
    question's tokens; queries, the resampler of the model's learned PLC.
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


def wanted(count: int | None, default: int, total: int) -> int:
    """Number of tokens to keep: `count`, or for None the default, at least 1; CompressionError outside 1..total."""
    if count is None:
        return max(1, default)
    if not 1 <= count <= total:
        raise CompressionError(f"{count} of {total} visual tokens cannot be kept; give 1 to {total}.")
    return count


def kept(places: NDArray[np.int64], total: int, ring: NDArray[np.int64] | None = None) -> CompressionPlan:
    """Plan that keeps these tokens (M,) of `total` unchanged; ring: (N,), None for all in ring 0."""
    label = np.full(total, -1, dtype=np.int64)
    label[places] = places
    return CompressionPlan.of(label, np.zeros(total, dtype=np.int64) if ring is None else ring)


def saliency(attention: torch.Tensor) -> torch.Tensor:
    """Attention (N,), in which a class token among the visual tokens, whose own is NaN, has the largest."""
    return attention.nan_to_num(nan=float(attention.nan_to_num(nan=0.0).max()))


def directions(rows: torch.Tensor) -> torch.Tensor:
    """(N, D) float32 rows of unit length, whose products are cosines; zero rows stay zero."""
    wide = rows.float()
    return wide / wide.norm(dim=-1, keepdim=True).clamp(min=1e-12)


def by_attention(attention: torch.Tensor) -> torch.Tensor:
    """(N,) long: indices by falling attention (N,), ties by index. NaN, of a class token among the visual tokens, comes
    first.
    """
    return attention.nan_to_num(nan=float("inf")).argsort(descending=True, stable=True)
