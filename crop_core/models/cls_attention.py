"""What a vision tower with a class token pays attention to, beside the features that it makes.

Read in its penultimate layer, whose output is what LLaVA's projectors take: the attention of the class token to every
patch, and the patches' keys (as VisionZip does, Yang et al., arXiv 2412.04467). A hook keeps that layer's input while
the image is encoded; the rest is computed beside the model, and only for methods that ask.
"""

from __future__ import annotations

from typing import Any

import torch

LAYER = -2


class ClsAttentionRecorder:
    """Context manager around one encoding of a CLIP tower: keeps the (B, 1 + P, W) input of one layer's attention."""

    def __init__(self, tower: Any, layer: int = LAYER) -> None:
        self._attention = tower.encoder.layers[layer].self_attn
        self.hidden: torch.Tensor | None = None

    def __enter__(self) -> ClsAttentionRecorder:
        self._handle = self._attention.register_forward_pre_hook(self._keep, with_kwargs=True)
        return self

    def __exit__(self, *error: object) -> None:
        self._handle.remove()

    def _keep(self, module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self.hidden = args[0] if args else kwargs["hidden_states"]

    @torch.no_grad()
    def looked(self) -> tuple[torch.Tensor, torch.Tensor]:
        """The class token's attention (B, P) float32, mean over heads, and the patches' keys (B, P, W)."""
        assert self.hidden is not None  # noqa: S101  read after an encoding
        attention, keys = self._attention, self._attention.k_proj(self.hidden)  # (B, 1 + P, W)
        heads = (attention.num_heads, attention.head_dim)
        query = attention.q_proj(self.hidden[:, :1]).unflatten(-1, heads).transpose(1, 2)  # (B, H, 1, d)
        logits = query @ keys.unflatten(-1, heads).permute(0, 2, 3, 1)  # (B, H, 1, 1 + P)
        weights = (logits.float() * attention.scale).softmax(-1).mean(1)[:, 0]
        return weights[:, 1:], keys[:, 1:]
