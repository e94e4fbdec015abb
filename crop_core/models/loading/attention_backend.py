"""Attention implementation: FlashAttention 2 where it is available and exact, else sdpa."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from transformers.utils import is_flash_attn_2_available

from crop_core.models.adapter import ModelError
from crop_core.models.families.registry import Family
from crop_core.models.loading.placement import Placement

NAME = "flash_attention_2"
ATTENTIONS = ("sdpa", "eager", NAME)


def check_attention(attn: str | None, place: Placement) -> None:
    """ModelError for an unknown implementation, and for FlashAttention where it cannot run."""
    if attn not in (None, *ATTENTIONS):
        raise ModelError(f"The attention implementation {attn!r} is not supported; use one of {', '.join(ATTENTIONS)}.")
    if attn == NAME and not _runs(place):
        raise ModelError(
            f"{NAME} needs a GPU, the package flash-attn, and bfloat16 or float16; use sdpa, which is always there."
        )


def attention(attn: str | None, family: Family, place: Placement) -> str | None:
    """The requested implementation; else FlashAttention where it runs and is exact, None for transformers' default."""
    exact = family.adapter.causal and family.model_class._supports_flash_attn
    if attn == NAME and not exact:
        raise ModelError(f"{NAME} is not exact for {family.title}, whose image tokens see later ones; use sdpa.")
    return NAME if attn is None and exact and _runs(place) else attn


def hide_positions(layers: Sequence[torch.nn.Module]) -> None:
    """Hook the decoder layers so that they get no position_ids: FlashAttention would read gaps left by compression as
    several packed sequences. The rotary tables hold the positions.
    """
    for layer in layers:
        layer.register_forward_pre_hook(_without_positions, with_kwargs=True)


def _without_positions(module: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return args, {**kwargs, "position_ids": None}


def _runs(place: Placement) -> bool:
    half = place.dtype in (torch.bfloat16, torch.float16)
    return half and "cuda" in place.kinds and is_flash_attn_2_available()
