"""Compression plan: which visual tokens are merged or dropped before the LLM. Pure numpy; no torch at run time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch


class CompressionError(ValueError):
    """An invalid plan; the message says what is allowed."""


@dataclass(frozen=True, eq=False)
class CompressionPlan:
    """N visual tokens become M tokens at the LLM's input.

    group: (N,) int, the input token 0..M-1 that each visual token goes into, -1 to drop it. ring: (N,) int, 0 = the
    region. Input tokens are in the order of their anchors. features: theirs, (M, D) in one part per image; empty for
    the mean of their members. Raises CompressionError if a number 0..M-1 has no member or M is 0.
    """

    group: NDArray[np.int64]
    ring: NDArray[np.int64]
    features: tuple[torch.Tensor, ...] = ()

    def __post_init__(self) -> None:
        if (
            self.group.shape != self.ring.shape
            or set(self.group.tolist()) - {-1} != set(range(self.count))
            or not self.count
        ):
            raise CompressionError(
                "A plan needs a ring for every visual token, and a member for each of at least one input token."
            )
        if (np.diff(self.anchors) <= 0).any():
            raise CompressionError("The input tokens of a plan must be numbered in the order of their anchors.")

    @classmethod
    def identity(cls, count: int) -> CompressionPlan:
        """Keep all `count` tokens unchanged."""
        return cls(np.arange(count), np.zeros(count, dtype=np.int64))

    @classmethod
    def of(cls, label: NDArray[np.int64], ring: NDArray[np.int64]) -> CompressionPlan:
        """From any (N,) labels: equal labels are pooled, -1 is dropped; input tokens are numbered by their anchors."""
        number = np.unique(label[label >= 0], return_inverse=True)[1].reshape(-1)
        group = np.full(len(label), -1, dtype=np.int64)
        group[label >= 0] = np.argsort(np.argsort(_anchors(label >= 0, number)))[number]
        return cls(group, ring)

    @classmethod
    def joined(cls, plans: Sequence[CompressionPlan]) -> CompressionPlan:
        """Concatenate the plans of several images by one method."""
        if len(plans) == 1:
            return plans[0]
        starts = np.cumsum([0, *(plan.count for plan in plans)])
        groups = [np.where(plan.group < 0, -1, plan.group + at) for plan, at in zip(plans, starts, strict=False)]
        features = tuple(part for plan in plans for part in plan.features)
        return cls(np.concatenate(groups), np.concatenate([plan.ring for plan in plans]), features)

    @property
    def count(self) -> int:
        """M."""
        return int(self.group.max(initial=-1)) + 1

    @property
    def anchors(self) -> NDArray[np.int64]:
        """(M,) the member nearest to each group's mean index; the group takes its place in the prompt."""
        return _anchors(self.group >= 0, self.group[self.group >= 0])

    @property
    def weights(self) -> NDArray[np.float64]:
        """(M, N): input token = weights @ visual tokens, the mean of each group's members."""
        member = self.group[None, :] == np.arange(self.count)[:, None]
        return member / member.sum(axis=1, keepdims=True)

    def inside(self, mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """(M,) bool from (N,) bool: whether every member of the input token is in the mask."""
        outside = self.group[~mask & (self.group >= 0)]
        return ~np.isin(np.arange(self.count), outside)


def _anchors(kept: NDArray[np.bool_], number: NDArray[np.int64]) -> NDArray[np.int64]:
    """(M,) per group number the member nearest to its mean, the first of two; one `number` per True of `kept`."""
    place = np.flatnonzero(kept)
    mean = np.bincount(number, place) / np.bincount(number)
    order = np.lexsort((place, np.abs(place - mean[number]), number))
    return place[order[np.unique(number[order], return_index=True)[1]]]
