"""Attention of the prompt's last rows to every key of one layer, computed beside the model from what it has at hand.

Only the queries of these rows are new work: the keys are already in the cache. Equals the rows of eager attention.
"""

from __future__ import annotations

from typing import Any

import torch

from crop_core.prune.stack import Rope


@torch.no_grad()
def last_rows(
    layer: Any,
    hidden: torch.Tensor,
    rope: tuple[torch.Tensor, torch.Tensor],
    keys: torch.Tensor,
    mask: torch.Tensor | None,
    rows: int,
    rotate: Rope,
) -> torch.Tensor:
    """Attention weights of the last `rows` queries of a decoder layer in prefill, mean over heads and rows: (B, Q)
    float32.

    hidden: (B, Q, D) the layer's input. rope: cos and sin (1 or B, Q, head_dim). keys: (B, H_kv, Q, head_dim), rotated,
    from the cache. mask: (1 or B, 1, Q, Q) bool or additive float, None = causal.
    """
    attention = layer.self_attn
    normed = layer.input_layernorm(hidden[:, -rows:])  # (B, R, D)
    queries = attention.q_proj(normed).unflatten(-1, (-1, attention.head_dim))  # (B, R, H, head_dim)
    if hasattr(attention, "q_norm"):
        queries = attention.q_norm(queries)
    queries = queries.transpose(1, 2)
    queries, _ = rotate(queries, queries, *(part[:, -rows:].to(queries.device) for part in rope))
    keys = keys.to(queries.device)  # a layer's cache may lie elsewhere than its weights
    keys = keys.repeat_interleave(queries.shape[1] // keys.shape[1], dim=1)  # (B, H, Q, head_dim)
    logits = (queries @ keys.transpose(2, 3)).float() * attention.scaling  # (B, H, R, Q)
    if cap := getattr(attention, "attn_logit_softcapping", None):  # Gemma 2
        logits = cap * (logits / cap).tanh()
    return logits.masked_fill(~_open(mask, rows, keys), -torch.inf).softmax(-1).mean(dim=(1, 2))


def _open(mask: torch.Tensor | None, rows: int, keys: torch.Tensor) -> torch.Tensor:
    """(1 or B, 1, R, Q) bool: which keys the last rows may see."""
    if mask is None:
        length = keys.shape[2]
        column = torch.arange(length, device=keys.device)
        return (column <= column[length - rows :, None])[None, None]
    mask = mask[:, :, -rows:].to(keys.device)
    return mask if mask.dtype == torch.bool else mask >= 0
