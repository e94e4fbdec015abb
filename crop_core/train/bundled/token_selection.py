"""Visual tokens of a training step: all patches, some of them, or pooled ones.

A model trained on few and pooled tokens is robust to pruning.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from crop_core.compress.pooling import PoolingCompressor
from crop_core.compress.protocol import CompressionInput
from crop_core.models.geometry import Framing, grid_layout
from crop_core.records.region import GRID, Region
from crop_core.train.bundled.checkpoint import PATCH, Recipe
from crop_core.train.bundled.dense import CATEGORY, MIDDLE, TEXT


@dataclass(frozen=True)
class Selection:
    """M visual tokens, each the mean of some of the N patches.

    weights: (B, M, N), rows that sum to one. Selection is a product, for kept and pooled tokens alike.
    """

    weights: Tensor

    @classmethod
    def of_objects(cls, labels: Tensor, kept: int) -> Selection | None:
        """`kept` patches of each image by its labels (B, N, LABELS): middles of objects first, then the rest of
        objects, then background at random; None where all are kept.

        Labels and random numbers are on the CPU, so that a step keeps the same patches on every device.
        """
        keep = patches_to_keep(labels, kept)
        return None if keep is None else cls(torch.nn.functional.one_hot(keep, labels.shape[1]).float())

    @classmethod
    def pooled(cls, sizes: list[tuple[int, int]], recipe: Recipe, count: int, rng: random.Random) -> Selection:
        """`count` tokens of each image of these sizes in px, as PLC leaves them around any region."""
        side = (recipe.side, recipe.side)
        framing = Framing(pad_square=recipe.pad, shortest_edge=None, resize=side, crop=None)
        images = [CompressionInput(grid_layout(size, framing, PATCH), _random_region(size, rng)) for size in sizes]
        plans = [PoolingCompressor().windows(image, count) for image in images]
        return cls(torch.from_numpy(np.stack([plan.weights for plan in plans])).float())

    @property
    def count(self) -> int:
        """M."""
        return self.weights.shape[1]

    @property
    def places(self) -> Tensor:
        """(B, M) mean place of each token among the N patches."""
        return self.weights @ torch.arange(self.weights.shape[2], dtype=torch.float32, device=self.weights.device)

    def __call__(self, tokens: Tensor) -> Tensor:
        """(B, N, d) to (B, M, d)."""
        return self.weights.to(tokens.dtype) @ tokens

    def to(self, device: torch.device) -> Selection:
        """A copy on a device."""
        return Selection(self.weights.to(device))


def patches_to_keep(labels: Tensor, kept: int) -> Tensor | None:
    """Sorted indices (B, kept) of the patches of `Selection.of_objects`; None where all are kept."""
    if kept >= labels.shape[1]:
        return None
    order = torch.rand(labels.shape[:2]) + 2.0 * (labels[..., CATEGORY] > 0) + labels[..., MIDDLE]
    return order.topk(kept, 1).indices.sort(1).values


def salience(labels: Tensor) -> Tensor:
    """(B, N) salience of a patch without the question, by labels (B, N, LABELS): 1 for words, numbers and the middles
    of objects, less for the rest of an object, 0 for background.
    """
    essential = (labels[..., TEXT] > 0) | (labels[..., MIDDLE] > 0)
    return essential * 0.7 + (labels[..., CATEGORY] > 0) * 0.3


def left_by_pruning(needed: Tensor, attention: Tensor, left: int) -> Tensor:
    """(B, S, M) bool: the `left` tokens of each question that ILP keeps: those of its region first, then by attention.

    needed: (B, S, M) bool, the region of each of S questions. attention: (B, M) >= 0.
    """
    order = 2.0 * needed + (attention / attention.amax(-1, keepdim=True).clamp(min=1e-9))[:, None]
    kept = order.topk(min(left, needed.shape[2]), -1).indices
    return torch.zeros_like(needed).scatter_(2, kept, True)


def _random_region(size: tuple[int, int], rng: random.Random) -> Region:
    """The whole image, or a random part of it."""
    if rng.random() < 0.4:
        return Region.whole(*size)
    (x0, x1), (y0, y1) = (sorted((rng.randrange(GRID), rng.randrange(GRID))) for _ in range(2))
    return Region(x0, y0, x1, y1, *size)
