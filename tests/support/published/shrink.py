"""A published config made small: other widths and depths, everything else as it is.

Kept are the ratios of query to key-value heads and of rotary sections, the pattern of attention kinds, and every layer
that the config names by its index (window attention, DeepStack).
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from math import ceil, gcd
from typing import Any

from tests.support.published.files import Checkpoint

WIDTH, INNER, HEAD = 32, 64, 8  # of a model at least, of its MLPs, and of a head
NAMED = ("fullatt_block_indexes", "deepstack_visual_indexes")  # layers of a tower that its config names


@dataclass(frozen=True)
class Sizes:
    """Numbers of decoder layers and of layers of the vision tower."""

    layers: int
    tower: int

    @classmethod
    def of(cls, checkpoint: Checkpoint) -> Sizes:
        """Four decoder layers, or two after the first full attention; three of the tower, or up to the last that is
        named.
        """
        kinds = getattr(checkpoint.config.text_config, "layer_types", None) or ["full_attention"]
        named = [at for key in NAMED for at in getattr(checkpoint.config.vision_config, key, ())]
        return cls(max(4, kinds.index("full_attention") + 3), max([2, *named]) + 1)


def shrunk(checkpoint: Checkpoint, sizes: Sizes) -> dict[str, Any]:
    """The config.json of a stand-in."""
    out = copy.deepcopy(checkpoint.files["config.json"])
    text = out.get("text_config", out)  # older Qwen configs are flat
    heads, kv = _heads(checkpoint.config.text_config)
    head = HEAD
    if sections := (text.get("rope_scaling") or {}).get("mrope_section"):
        if "head_dim" not in text:  # it is the width over the heads, and the sections have to fit into it
            text["rope_scaling"]["mrope_section"] = sections = [each // gcd(*sections) for each in sections]
        head = 2 * sum(sections)
    width = heads * head if sections and "head_dim" not in text else heads * ceil(WIDTH / heads)
    text |= {
        "hidden_size": width,
        "intermediate_size": INNER,
        "num_hidden_layers": sizes.layers,
        "num_attention_heads": heads,
        "num_key_value_heads": kv,
        "head_dim": head,
    }
    out["vision_config"] |= _tower(checkpoint, sizes.tower, width)
    if "projection_dim" in out:
        out["projection_dim"] = width
    return out


def _heads(config: Any) -> tuple[int, int]:
    """Query and key-value heads in the published ratio, at least two query heads."""
    heads, kv = config.num_attention_heads, config.num_key_value_heads
    shared = gcd(heads, kv) if heads != kv else heads // 2
    return heads // shared, kv // shared


def _tower(checkpoint: Checkpoint, depth: int, out: int) -> dict[str, Any]:
    """The widths and depth of a vision tower under its family's names. out: the language model's width."""
    inside = {"hidden_size": WIDTH, "intermediate_size": INNER}
    if checkpoint.model_type == "qwen2_vl":
        return {"embed_dim": WIDTH, "hidden_size": out, "depth": depth, "num_heads": 2}
    if checkpoint.model_type.startswith("qwen"):
        return {**inside, "out_hidden_size": out, "depth": depth, "num_heads": 2}
    projection = {"projection_dim": out} if "projection_dim" in checkpoint.files["config.json"]["vision_config"] else {}
    return {**inside, "num_hidden_layers": depth, "num_attention_heads": 2, **projection}
