"""Inputs of a pruner before one cut: attention, hidden states and keys of the running prefill.

Computed on demand, on the model's device, without synchronization. Knows nothing of methods, and prunes nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from crop_core.models.decoder import DecoderStack, head_rows, layer_keys
from crop_core.prune.protocol import Pairs, PruneContext, PruneError
from crop_core.prune.token_subset import KeptTokens, PromptBatch

LayerInput = tuple[torch.Tensor, dict[str, Any]]  # hidden states (B, Q, D) and keyword arguments of a decoder layer


@dataclass(frozen=True, eq=False)
class PrefillState:
    """The prefill before decoder layer `layer`.

    prompts, kept: the batch and its tokens kept before the cut, on the device of the hidden states. alive: per
    sample (K,), indices into its visual tokens. before: the input of layer `layer` - 1. here: returns that of `layer`,
    both over the kept tokens, Q = K of `kept`. first: (B, P, D) the input of the first layer.
    """

    stack: DecoderStack
    layer: int
    prompts: PromptBatch
    kept: KeptTokens
    alive: list[torch.Tensor]
    before: LayerInput
    here: Callable[[], LayerInput]
    first: torch.Tensor

    def context(self) -> PruneContext:
        """The context for the pruner."""
        reads = (self.attention, self.ahead, self.text_attention, self.states, self.keys, self.embedded)
        return PruneContext(self.layer, self.alive, self.prompts.total, *reads)

    def attention(self, rows: int) -> list[torch.Tensor]:
        """As in PruneContext; PruneError if no text follows the image."""
        return self._spread(self._rows_before(self._text_rows(rows)).mean(dim=(1, 2)))

    def ahead(self, rows: int) -> list[torch.Tensor]:
        """As in PruneContext; PruneError if no text follows the image."""
        layer, rows = self.stack.layers[self.layer], self._text_rows(rows)
        hidden, kwargs = self.here()
        keys = layer_keys(layer, hidden, kwargs["position_embeddings"], self.stack.rope)
        return self._spread(self._rows(self.layer, (hidden, kwargs), keys, rows).mean(dim=(1, 2)))

    def text_attention(self) -> list[torch.Tensor]:
        """As in PruneContext; PruneError if no text follows an image."""
        self._text_rows(1)
        attention = self._spread(self._rows_before(max(self.prompts.behind)).mean(1))
        return [rows[-text:] for rows, text in zip(attention, self.prompts.behind, strict=True)]

    def states(self) -> Pairs:
        """As in PruneContext."""
        return self._split(self.here()[0])

    def keys(self) -> Pairs:
        """As in PruneContext."""
        cached = self.before[1]["past_key_values"].layers[self.layer - 1].keys  # (B, H_kv, Q, head_dim)
        return self._split(cached.transpose(1, 2).flatten(2))

    def embedded(self) -> Pairs:
        """As in PruneContext."""
        rows = zip(self.first.to(self.kept.index.device), self.prompts.visual, self.prompts.behind, strict=True)
        return [(own[columns], own[len(own) - text :]) for own, columns, text in rows]

    def _text_rows(self, rows: int) -> int:
        """`rows`, at most the number of text tokens that end every prompt."""
        if not self.prompts.after:
            raise PruneError(
                "The prompt ends with the image, so that no text can score it; put the question after the image."
            )
        return min(rows, self.prompts.after)

    def _rows_before(self, rows: int) -> torch.Tensor:
        """(B, H, R, Q) attention of the last rows in the layer before."""
        number = self.layer - 1
        return self._rows(number, self.before, self.before[1]["past_key_values"].layers[number].keys, rows)

    def _rows(self, number: int, layer_input: LayerInput, keys: torch.Tensor, rows: int) -> torch.Tensor:
        hidden, kwargs = layer_input
        rope, mask = kwargs["position_embeddings"], kwargs.get("attention_mask")
        return head_rows(self.stack.layers[number], hidden, rope, keys, mask, rows, self.stack.rope)

    def _spread(self, weights: torch.Tensor) -> list[torch.Tensor]:
        """(B, ..., Q) over the kept tokens as per sample (..., M), NaN for pruned visual tokens."""
        full = self.kept.spread(weights.to(self.kept.index.device), torch.nan)  # (B, ..., P)
        return [own[..., columns] for own, columns in zip(full, self.prompts.visual, strict=True)]

    def _split(self, values: torch.Tensor) -> Pairs:
        """(B, Q, F) of the kept tokens: per sample (K, F) of alive visual tokens and (T, F) of the text after them."""
        values, slots = values.to(self.kept.index.device), self._slots()
        return [
            (own[visual], own[len(own) - text :])
            for own, visual, text in zip(values, slots, self.prompts.behind, strict=True)
        ]

    def _slots(self) -> list[torch.Tensor]:
        """Per sample (K,) the slots of `kept` that hold its alive visual tokens."""
        rows = zip(self.kept.slot_of_column, self.prompts.visual, self.alive, strict=True)
        return [slot[columns[alive]] for slot, columns, alive in rows]
