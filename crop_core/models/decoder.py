"""The decoder of a model: its layers, attention rows computed beside it, and its compiled parts.

The attention rows equal those of eager attention; where the keys are in the cache, only the queries are new work.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

Rope = Callable[[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor], tuple[torch.Tensor, torch.Tensor]]
RopeTables = tuple[torch.Tensor, torch.Tensor]


@torch.no_grad()
def head_rows(
    layer: Any,
    hidden: torch.Tensor,
    rope: RopeTables,
    keys: torch.Tensor,
    mask: torch.Tensor | None,
    rows: int,
    rotate: Rope,
) -> torch.Tensor:
    """Attention weights of the last `rows` queries of every head of a decoder layer in prefill: (B, H, R, Q) float32.

    hidden: (B, Q, D) the layer's input. rope: cos and sin (1 or B, Q, head_dim). keys: (B, H_kv, Q, head_dim), rotated,
    from the cache or `layer_keys`. mask: (1 or B, 1, Q, Q) bool or additive float; None = causal, (B, Q) = causal with
    padding. Computes where the keys are; the other tensors may be on the device of the layer before.
    """
    attention, device = layer.self_attn, keys.device
    normed = layer.input_layernorm(hidden[:, -rows:].to(device))  # (B, R, D)
    queries = attention.q_proj(normed).unflatten(-1, (-1, attention.head_dim))  # (B, R, H, head_dim)
    if hasattr(attention, "q_norm"):
        queries = attention.q_norm(queries)
    queries = queries.transpose(1, 2)
    queries, _ = rotate(queries, queries, *(part[:, -rows:].to(device) for part in rope))
    keys = keys.repeat_interleave(queries.shape[1] // keys.shape[1], dim=1)  # (B, H, Q, head_dim)
    logits = (queries @ keys.transpose(2, 3)).float() * attention.scaling  # (B, H, R, Q)
    if cap := getattr(attention, "attn_logit_softcapping", None):  # Gemma 2
        logits = cap * (logits / cap).tanh()
    return logits.masked_fill(~_visible_keys(mask, rows, keys), -torch.inf).softmax(-1)


@torch.no_grad()
def layer_keys(layer: Any, hidden: torch.Tensor, rope: RopeTables, rotate: Rope) -> torch.Tensor:
    """Rotated keys (B, H_kv, Q, head_dim) of a decoder layer that has not run, from its input (B, Q, D).

    Arguments as in `head_rows`. Computed on the layer's device.
    """
    attention = layer.self_attn
    keys = attention.k_proj(layer.input_layernorm(hidden)).unflatten(-1, (-1, attention.head_dim))
    if hasattr(attention, "k_norm"):
        keys = attention.k_norm(keys)
    keys = keys.transpose(1, 2)
    return rotate(keys, keys, *(part.to(keys.device) for part in rope))[1]


def _visible_keys(mask: torch.Tensor | None, rows: int, keys: torch.Tensor) -> torch.Tensor:
    """(1 or B, 1, R, Q) bool: keys that the last rows may attend to."""
    if mask is not None and mask.dim() == 4:
        mask = mask[:, :, -rows:].to(keys.device)
        return mask if mask.dtype == torch.bool else mask >= 0
    length = keys.shape[2]
    column = torch.arange(length, device=keys.device)
    causal = (column <= column[length - rows :, None])[None, None]
    return causal if mask is None else causal & mask[:, None, None].to(keys.device).bool()


@dataclass(frozen=True)
class DecoderStack:
    """The decoder of one model.

    layers: the L decoder layers. rope: (q, k, cos, sin) -> rotated (q, k). config: the text model's, for its attention
    kind.
    first_prunable: first layer that can be cut.
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

        first_prunable: above 1 for models that modify visual tokens in their first layers.
        """
        config, layers = text_model.config, text_model.layers
        rope = sys.modules[type(layers[0].self_attn).__module__].apply_rotary_pos_emb
        return cls(layers, rope, config, first_prunable, _window(config))

    @property
    def attention(self) -> str:
        """The attention implementation in use: "sdpa", "eager", ..."""
        return str(self.config._attn_implementation)


def _window(config: Any) -> int | None:
    window, kinds = getattr(config, "sliding_window", None), getattr(config, "layer_types", None)
    slides = "sliding_attention" in kinds if kinds else getattr(config, "use_sliding_window", True)
    return int(window) if window and slides else None


def compile_layers(layers: Sequence[torch.nn.Module], backend: str = "inductor") -> None:
    """Compile norms and MLPs of the layers with torch.compile for inputs of any length: fewer kernel launches on a GPU.

    Attention stays eager: pruned layers have their own lengths, which a static cache does not support. Layers of one
    kind share their code. Modules that accelerate offloads are skipped, and so is what cannot be compiled. The first
    calls are slow.
    """
    torch._dynamo.config.suppress_errors = True  # without a compiler everything runs uncompiled
    for layer in layers:
        for part in layer.children():
            if part is not layer.self_attn and not any(hasattr(each, "_hf_hook") for each in part.modules()):
                part.compile(dynamic=True, backend=backend)
