"""Attention of a vision tower's patches, computed beside the model from the input of one attention layer.

For CLIP and SigLIP towers of transformers, whose tokens are patches, one by one. Knows nothing of families and methods.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

TRAINED = "crop_class_token_trained"  # key of a checkpoint's config: false where the tower's class token never learned


@dataclass(frozen=True, eq=False)
class PatchAttention:
    """Of the P patches of B views, from the layer whose output the projector reads: attention (B, P) float32, mean over
    heads, that a trained class token pays to each, else the mean of what all patches pay to it; published (B, P), what
    the class token pays, trained or not, wherever there is one; keys (B, P, W), all heads side by side.
    """

    attention: torch.Tensor
    published: torch.Tensor
    keys: torch.Tensor


class TowerRecorder:
    """Context manager around one encoding: records the (B, T, W) input of one layer's attention.

    config: of the model; the layer is the one of its vision_feature_layer (the last of several, which are
    concatenated), counted as transformers counts hidden states, or the tower's last.
    """

    def __init__(self, tower: Any, config: Any) -> None:
        layers = getattr(config, "vision_feature_layer", -1)
        output = layers if isinstance(layers, int) else layers[-1]
        self._attention = tower.encoder.layers[output if output < 0 else max(0, output - 1)].self_attn
        self._has_class_token = hasattr(tower.embeddings, "class_embedding")
        self._trained = self._has_class_token and getattr(config, TRAINED, True)
        self.hidden: torch.Tensor | None = None

    def __enter__(self) -> TowerRecorder:
        self._handle = self._attention.register_forward_pre_hook(self._keep, with_kwargs=True)
        return self

    def __exit__(self, *error: object) -> None:
        self._handle.remove()

    def _keep(self, module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self.hidden = args[0] if args else kwargs["hidden_states"]

    @torch.no_grad()
    def read(self) -> PatchAttention:
        """Attention and keys of the recorded encoding, one view after the other, so that little memory is needed."""
        assert self.hidden is not None  # noqa: S101  read after an encoding
        first = int(self._has_class_token)
        keys = self._attention.k_proj(self.hidden)  # (B, T, W)
        weights = [self._weights(view, key)[:, first:] for view, key in zip(self.hidden, keys, strict=True)]
        received = torch.stack([each[first:].mean(0) for each in weights])
        paid = torch.stack([each[0] for each in weights]) if first else received
        return PatchAttention(paid if self._trained else received, paid, keys[:, first:])

    def _weights(self, hidden: torch.Tensor, keys: torch.Tensor) -> torch.Tensor:
        """(T, T) float32 attention of one view, mean over heads; hidden and keys (T, W)."""
        heads = (self._attention.num_heads, self._attention.head_dim)
        query = self._attention.q_proj(hidden).unflatten(-1, heads).transpose(0, 1)  # (H, T, d)
        logits = query @ keys.unflatten(-1, heads).permute(1, 2, 0)  # (H, T, T)
        return (logits.float() * self._attention.scale).softmax(-1).mean(0)
