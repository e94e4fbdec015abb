"""Interface of pruners: their context and decision at a cut. Knows nothing of how tokens are removed from a model.

All tensors are on the device of the layer before which is cut, and all sizes are known on the host, so that a decision
needs no synchronization.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch

from crop_core.measure.flops import scoring_flops
from crop_core.records.config import IlpConfig

Pairs = list[tuple[torch.Tensor, torch.Tensor]]  # per sample (K, F) of visual tokens and (T, F) of text tokens


class PruneError(ValueError):
    """A run that cannot be pruned exactly; the message says what to change."""


@dataclass(frozen=True, eq=False)
class VisualTokens:
    """The M visual tokens of one prompt, before the model runs.

    inside: (M,) bool, those in the region. image: (M,) long, 0-based image of each token. images: their number; each
    keeps at least one token.
    """

    inside: torch.Tensor
    image: torch.Tensor
    images: int = 1

    def to(self, device: torch.device) -> VisualTokens:
        """Copy on another device; itself if it is there."""
        if self.inside.device == device:
            return self
        return VisualTokens(self.inside.to(device), self.image.to(device), self.images)

    @classmethod
    def of_one_image(cls, inside: torch.Tensor) -> VisualTokens:
        """The tokens of a prompt with one image."""
        return cls(inside, torch.zeros_like(inside, dtype=torch.long))


def _unavailable(*_: Any) -> Any:
    raise PruneError("The PruneContext lacks an input of this pruner; pass it to the constructor.")


@dataclass(frozen=True, eq=False)
class PruneContext:
    """The state in front of decoder layer `layer` during prefill, for the B samples of a batch.

    alive: per sample (K,) long, sorted indices into its M visual tokens. total: per sample M.
    attention: rows -> per sample (M,) float32, the attention that the last `rows` text tokens of the prompt paid in
    layer layer - 1 to each visual token, mean over heads and rows, NaN for pruned tokens. Fewer rows for shorter
    text.
    ahead: the same for layer `layer`, which has not run: its norm and projections applied to its input.
    text_attention: -> per sample (T, M) float32, the attention of each of the T text tokens after its last image in
    layer layer - 1, mean over heads; NaN as before.
    states, keys: -> per sample the pair of its alive visual tokens (K, F), as in `alive`, and of the T text tokens (T,
    F): hidden states at the input of `layer`, and keys of layer layer - 1 as the cache holds them, all heads in one
    row.
    embedded: -> per sample all M visual tokens (M, D) and the T text tokens (T, D), as they enter the first layer.
    Each is computed on call.
    """

    layer: int
    alive: list[torch.Tensor]
    total: list[int]
    attention: Callable[[int], list[torch.Tensor]]
    ahead: Callable[[int], list[torch.Tensor]] = _unavailable
    text_attention: Callable[[], list[torch.Tensor]] = _unavailable
    states: Callable[[], Pairs] = _unavailable
    keys: Callable[[], Pairs] = _unavailable
    embedded: Callable[[], Pairs] = _unavailable


@dataclass(frozen=True, eq=False)
class Decision:
    """Tokens to keep of one sample: kept (K',) long, sorted, at least one and all of them alive; scores (M,) float, NaN
    for pruned tokens, None for methods without scores; states (K', D), with which they go on in place of their own
    hidden states, None where they stay as they are.
    """

    kept: torch.Tensor
    scores: torch.Tensor | None = None
    states: torch.Tensor | None = None


@dataclass(frozen=True)
class CutSize:
    """Token counts of one prompt at a cut: text after its last image, visual ones alive before the cut, all before the
    cut, visual ones kept, and visual ones in the first layer.
    """

    text: int
    visual: int
    tokens: int
    kept: int
    entered: int


class Pruner(Protocol):
    """Acts inside the LLM: one method, one file, one row in `records/methods.py`."""

    @property
    def layers(self) -> tuple[int, ...]:
        """Rising decoder layers before which `decide` is called."""

    def decide(self, context: PruneContext) -> list[Decision]:
        """Decide per sample which tokens to keep. Reading tensor values on the host would synchronize every run."""


@dataclass(frozen=True, eq=False)
class ScheduledPruner:
    """What pruners have in common whose cuts are known beforehand. cuts: (layer, visual tokens alive from it on).
    tokens: per sample. query_rows: how many last text tokens of the prompt score, for methods that leave it open.
    """

    cuts: tuple[tuple[int, int], ...]
    tokens: Sequence[VisualTokens]
    query_rows: int = 4

    @property
    def layers(self) -> tuple[int, ...]:
        """The layers of the cuts."""
        return tuple(layer for layer, _ in self.cuts)

    def count(self, context: PruneContext) -> int:
        """Number of visual tokens to keep at this cut."""
        return dict(self.cuts)[context.layer]

    @classmethod
    def schedule(
        cls, layers: int, count: int, budget: float | None, first_prunable_layer: int = 1, min_count: int = 1
    ) -> IlpConfig | None:
        """Where the method itself cuts, of `layers` decoder layers, none before `first_prunable_layer`; None where the
        user's settings say so. For `count` visual tokens, of which at least `min_count` stay, and a mean `budget` of
        them per layer, None without one.
        """
        return None

    @classmethod
    def flops(cls, config: Any, query_rows: int, size: CutSize) -> int:
        """Operations of deciding at one cut of a prompt: rows of attention. config: the model's."""
        return scoring_flops(config, min(query_rows, size.text), size.tokens)
