"""What the pruning hooks need to know of a decoder: its layers, its rotary function, and where pruning may begin."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

Rope = Callable[[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor], tuple[torch.Tensor, torch.Tensor]]


@dataclass(frozen=True)
class DecoderStack:
    """The decoder of one model.

    layers: the L decoder layers. rope: (q, k, cos, sin) -> rotated (q, k). config: the text model's, for its attention
    kind.
    first_prunable: transformers sizes its masks by the first layer of each attention type, so these must stay whole.
    window: length of the sliding attention window, None where attention is full.
    """

    layers: Sequence[torch.nn.Module]
    rope: Rope
    config: Any
    first_prunable: int = 1
    window: int | None = None

    @classmethod
    def of(cls, text_model: Any, first_prunable: int = 1) -> DecoderStack:
        """From a transformers text model with `layers`, such as LlamaModel, MistralModel or Qwen2Model.

        first_prunable: more where a model treats the visual tokens of its first layers in a way of its own.
        """
        config, layers = text_model.config, text_model.layers
        kinds = list(getattr(config, "layer_types", None) or ["full_attention"] * len(layers))
        first = max(first_prunable, 1 + max(kinds.index(kind) for kind in set(kinds)))
        rope = sys.modules[type(layers[0].self_attn).__module__].apply_rotary_pos_emb
        return cls(layers, rope, config, first, _window(config, kinds))

    @property
    def attention(self) -> str:
        """The attention implementation in use: "sdpa", "eager", ..."""
        return str(self.config._attn_implementation)


def _window(config: Any, kinds: list[str]) -> int | None:
    window = getattr(config, "sliding_window", None)
    told = getattr(config, "layer_types", None)
    slides = "sliding_attention" in kinds if told else getattr(config, "use_sliding_window", True)
    return int(window) if window and slides else None
