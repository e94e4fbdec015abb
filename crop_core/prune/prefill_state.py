"""What a pruner may read in front of one cut: attention, hidden states and keys of the running prefill.

Everything is computed only when asked, where the model computes, and without waiting for the host. Knows nothing of
methods, and takes nothing out.
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
    """The prefill in front of decoder layer `layer`.

    prompts, kept: the batch and what is left of it before the cut, on the device of the hidden states. alive: per
    sample (K,), indices into its visual tokens. before: the input of layer `layer` - 1. here: makes that of `layer`,
    both over what is left, Q = K of `kept`.
    """

    stack: DecoderStack
    layer: int
    prompts: PromptBatch
    kept: KeptTokens
    alive: list[torch.Tensor]
    before: LayerInput
    here: Callable[[], LayerInput]

    def context(self) -> PruneContext:
        """For the pruner."""
        reads = (self.attention, self.ahead, self.text_attention, self.states, self.keys)
        return PruneContext(self.layer, self.alive, self.prompts.total, *reads)

    def attention(self, rows: int) -> list[torch.Tensor]:
        """As in PruneContext; PruneError where no text follows the image."""
        return self._spread(self._rows_before(self._some(rows)).mean(dim=(1, 2)))

    def ahead(self, rows: int) -> list[torch.Tensor]:
        """As in PruneContext; PruneError where no text follows the image."""
        layer, rows = self.stack.layers[self.layer], self._some(rows)
        hidden, kwargs = self.here()
        keys = layer_keys(layer, hidden, kwargs["position_embeddings"], self.stack.rope)
        return self._spread(self._rows(self.layer, (hidden, kwargs), keys, rows).mean(dim=(1, 2)))

    def text_attention(self) -> list[torch.Tensor]:
        """As in PruneContext; PruneError where no text follows an image."""
        self._some(1)
        found = self._spread(self._rows_before(max(self.prompts.behind)).mean(1))
        return [rows[-text:] for rows, text in zip(found, self.prompts.behind, strict=True)]

    def states(self) -> Pairs:
        """As in PruneContext."""
        return self._split(self.here()[0])

    def keys(self) -> Pairs:
        """As in PruneContext."""
        cached = self.before[1]["past_key_values"].layers[self.layer - 1].keys  # (B, H_kv, Q, head_dim)
        return self._split(cached.transpose(1, 2).flatten(2))

    def _some(self, rows: int) -> int:
        """At most as many text rows as every prompt ends with."""
        if not self.prompts.after:
            raise PruneError(
                "The prompt ends with the image, so that no text can score it; put the question after the image."
            )
        return min(rows, self.prompts.after)

    def _rows_before(self, rows: int) -> torch.Tensor:
        """(B, H, R, Q) attention of the last rows in the layer that has run."""
        number = self.layer - 1
        return self._rows(number, self.before, self.before[1]["past_key_values"].layers[number].keys, rows)

    def _rows(self, number: int, given: LayerInput, keys: torch.Tensor, rows: int) -> torch.Tensor:
        hidden, kwargs = given
        rope, mask = kwargs["position_embeddings"], kwargs.get("attention_mask")
        return head_rows(self.stack.layers[number], hidden, rope, keys, mask, rows, self.stack.rope)

    def _spread(self, weights: torch.Tensor) -> list[torch.Tensor]:
        """(B, ..., Q) over what is left as per sample (..., M), NaN for visual tokens that are gone."""
        full = self.kept.spread(weights.to(self.kept.index.device), torch.nan)  # (B, ..., P)
        return [own[..., columns] for own, columns in zip(full, self.prompts.visual, strict=True)]

    def _split(self, values: torch.Tensor) -> Pairs:
        """(B, Q, F) of what is left: per sample the alive visual tokens' (K, F) and (T, F) of the text behind them."""
        values, slots = values.to(self.kept.index.device), self._slots()
        return [
            (own[visual], own[len(own) - text :])
            for own, visual, text in zip(values, slots, self.prompts.behind, strict=True)
        ]

    def _slots(self) -> list[torch.Tensor]:
        """Per sample (K,) the slots of `kept` that hold its alive visual tokens."""
        slots = torch.arange(self.kept.index.shape[1], device=self.kept.index.device).expand_as(self.kept.index)
        places = self.kept.spread(slots, 0)  # (B, P)
        rows = zip(places, self.prompts.visual, self.alive, strict=True)
        return [place[columns[alive]] for place, columns, alive in rows]
