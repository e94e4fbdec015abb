"""Attention of the prompt's last rows to every key of one layer, computed beside the model from what it has at hand.

Only the queries of these rows are new work where the keys are already in the cache. Equals the rows of eager attention.
"""

from __future__ import annotations

from typing import Any

import torch

from crop_core.models.decoder import Rope

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
    return logits.masked_fill(~_open(mask, rows, keys), -torch.inf).softmax(-1)


@torch.no_grad()
def layer_keys(layer: Any, hidden: torch.Tensor, rope: RopeTables, rotate: Rope) -> torch.Tensor:
    """The rotated keys (B, H_kv, Q, head_dim) that a decoder layer makes of its input (B, Q, D), for one that has not
    run; else as `head_rows`. Where the layer computes: its parts take their inputs along.
    """
    attention = layer.self_attn
    keys = attention.k_proj(layer.input_layernorm(hidden)).unflatten(-1, (-1, attention.head_dim))
    if hasattr(attention, "k_norm"):
        keys = attention.k_norm(keys)
    keys = keys.transpose(1, 2)
    return rotate(keys, keys, *(part.to(keys.device) for part in rope))[1]


def _open(mask: torch.Tensor | None, rows: int, keys: torch.Tensor) -> torch.Tensor:
    """(1 or B, 1, R, Q) bool: which keys the last rows may see."""
    if mask is not None and mask.dim() == 4:
        mask = mask[:, :, -rows:].to(keys.device)
        return mask if mask.dtype == torch.bool else mask >= 0
    length = keys.shape[2]
    column = torch.arange(length, device=keys.device)
    causal = (column <= column[length - rows :, None])[None, None]
    return causal if mask is None else causal & mask[:, None, None].to(keys.device).bool()
