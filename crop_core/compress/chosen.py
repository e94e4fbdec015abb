"""Tokens chosen by hand: exactly these visual tokens enter the LLM, each as it is.

OURS, for asking what an answer needs: the app's *Tokens by hand*. No method of a paper.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from crop_core.compress.protocol import CompressionInput, Compressor, kept
from crop_core.records.compression_plan import CompressionError, CompressionPlan
from crop_core.records.config import CropConfig
from crop_core.records.formatting import truncated_repr


@dataclass(frozen=True)
class ChosenCompressor(Compressor):
    """Keeps the tokens with these indices; reads nothing of the image."""

    tokens: tuple[int, ...] = ()

    @classmethod
    def from_config(cls, config: CropConfig) -> ChosenCompressor:
        """The config's tokens."""
        return cls(config.tokens)

    def plan(self, image: CompressionInput, count: int | None = None) -> CompressionPlan:
        """The chosen ones of the N tokens; they are as many as they are, so that `count` must be None or that many.

        Raises CompressionError for none, for one outside 0..N-1, and for another count.
        """
        total = len(image.layout.row)
        if not self.tokens:
            raise CompressionError("No visual token is chosen; choose at least one.")
        for token in (min(self.tokens), max(self.tokens)):
            if not 0 <= token < total:
                wrong = truncated_repr(token)
                raise CompressionError(f"There is no visual token {wrong}; choose from 0 to {total - 1}.")
        places = np.unique(np.array(self.tokens, dtype=np.int64))
        if count not in (None, len(places)):
            raise CompressionError(f"{len(places)} visual tokens are chosen, not {count}; give no budget with them.")
        return kept(places, total)
