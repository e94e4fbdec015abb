"""Shared by methods that select tokens: their number, cosine similarity, and the plan of those kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from crop_core.records.compression_plan import CompressionError, CompressionPlan

if TYPE_CHECKING:
    import torch


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


def directions(rows: torch.Tensor) -> torch.Tensor:
    """(N, D) float32 rows of unit length, whose products are cosines; zero rows stay zero."""
    wide = rows.float()
    return wide / wide.norm(dim=-1, keepdim=True).clamp(min=1e-12)


def by_attention(attention: torch.Tensor) -> torch.Tensor:
    """(N,) long: indices by falling attention (N,), ties by index. NaN, of a class token among the visual tokens, comes
    first.
    """
    return attention.nan_to_num(nan=float("inf")).argsort(descending=True, stable=True)
