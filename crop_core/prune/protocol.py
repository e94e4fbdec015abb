"""What a pruner sees and decides at a cut. Nothing here knows how tokens are taken out of a running model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from crop_core.trace import PruneStep


class PruneError(ValueError):
    """A run that cannot be pruned exactly; the message says what to change."""


@dataclass(frozen=True, eq=False)
class PruneContext:
    """The state in front of decoder layer `layer` during prefill, for the B samples of a batch.

    alive: per sample (K,) int, sorted indices into its M visual tokens. total: per sample M.
    attention: rows -> per sample (M,) float, the attention that the last `rows` text tokens of the prompt paid in layer
    layer - 1 to each visual token, mean over heads and rows, NaN for tokens that are gone. Fewer rows when there is
    less text.
    """

    layer: int
    alive: list[NDArray[np.int64]]
    total: list[int]
    attention: Callable[[int], list[NDArray[np.float64]]]


class Pruner(Protocol):
    """Acts inside the LLM: one method, one file, one row in the registry."""

    @property
    def layers(self) -> tuple[int, ...]:
        """Rising decoder layers at which `decide` is asked, each before the layer runs."""

    def decide(self, context: PruneContext) -> list[PruneStep]:
        """Per sample what stays: at least one of `alive`, and nothing else."""
