"""Where a model looked while it wrote its answer: attention to each visual token, by layer and answer token.

The mean over the heads of a layer, of the token whose turn it is to the visual tokens of one image. At the first answer
token that is the last token of the prompt, at each later one the answer token before it. Knows nothing of how it is
drawn.
"""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from typing_extensions import Self

from crop_core.records.base import Array, Record, RecordError, Word, limit
from crop_core.records.methods import BASELINE
from crop_core.records.trace import MAX_LAYERS, MAX_TOKENS, Floats, TokenTrace

MAX_STEPS = 8  # answer tokens whose attention is kept
LEVELS = 1000  # steps from nothing to the largest attention of a layer and an answer token
Share = Annotated[float, limit(1 + 1e-4)]


class AttentionError(RecordError):
    """Invalid attention; the message is one sentence."""


class LayerAttention(Record, error=AttentionError, eq=False):
    """One layer, for S answer tokens and M visual tokens of the LLM's input.

    largest: (S,) share of all attention on the visual token with most. on_image: (S,) share on all of them together.
    levels: (S, M) int, attention of each visual token, LEVELS for the largest; 0 for those pruned before this layer.
    """

    largest: list[Share]
    on_image: list[Share]
    levels: Annotated[NDArray[np.int64], Array(np.int64, Annotated[list[int], Field(max_length=MAX_TOKENS)], 0, LEVELS)]

    def __post_init__(self) -> None:
        if self.levels.ndim != 2 or not len(self.largest) == len(self.on_image) == len(self.levels):
            raise AttentionError(
                f"Attention of shape {self.levels.shape} needs a row and two shares for each answer token."
            )

    @classmethod
    def of(cls, shares: NDArray[np.floating[Any]]) -> LayerAttention:
        """From (S, M) shares of all attention."""
        largest = shares.max(axis=1)
        levels = np.rint(LEVELS * shares / np.maximum(largest, 1e-12)[:, None]).astype(np.int64)
        return cls(largest.tolist(), shares.sum(axis=1).tolist(), levels)

    def shares(self, step: int) -> Floats:
        """(M,) share of all attention on each visual token, at answer token `step` from 0."""
        shares: Floats = self.levels[step] * (self.largest[step] / LEVELS)
        return shares


class Attention(Record, error=AttentionError, eq=False):
    """Attention of one run to one image. method: of the run, "none" for the baseline. image: its number, from 0.

    words: the S answer tokens as texts. seconds: of the additional run that read it, which is in no other figure.
    """

    method: Word
    image: Annotated[int, limit(64)]
    words: Annotated[list[Word], limit(2 * MAX_STEPS, 1)]
    layers: Annotated[list[LayerAttention], limit(MAX_LAYERS, 1)]
    seconds: Annotated[float, limit(1e6)]

    @classmethod
    def of(cls, method: str, image: int, words: list[str], shares: NDArray[np.floating[Any]], seconds: float) -> Self:
        """From (S, L, M) shares of all attention."""
        layers = [LayerAttention.of(shares[:, layer]) for layer in range(shares.shape[1])]
        return cls(method, image, words, layers, seconds)

    @property
    def is_baseline(self) -> bool:
        """Whether it is that of the baseline."""
        return self.method == BASELINE

    def check_fits(self, trace: TokenTrace) -> None:
        """AttentionError unless it is of this trace's layers and tokens. trace: of the pruned run."""
        tokens = trace.visual_tokens if self.is_baseline else trace.input_tokens
        shapes = {layer.levels.shape for layer in self.layers}
        if len(self.layers) != trace.layers or shapes != {(len(self.words), tokens)}:
            raise AttentionError(
                f"Attention of {len(self.words)} answer tokens in {len(self.layers)} layers has the shapes "
                f"{sorted(shapes)}, and the run {trace.layers} layers of {tokens} visual tokens."
            )

    def on_tokens(self, layer: int, step: int, trace: TokenTrace) -> Floats:
        """(N,) share of all attention on each visual token of the image; that of a pooled one is divided evenly among
        its members, and 0 is on those that were dropped. trace: of the pruned run.
        """
        shares = self.layers[layer].shares(step)
        if self.is_baseline:
            return shares
        sizes = np.bincount(trace.group[trace.group >= 0], minlength=trace.input_tokens)
        return np.where(trace.group < 0, 0.0, (shares / sizes)[trace.group])
