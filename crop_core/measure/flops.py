"""Floating-point operations of a LLaVA-like model by formula, aware of how many tokens every decoder layer sees.

A multiply and an add are two operations, as in torch.utils.flop_counter.FlopCounterMode with math attention (the causal
half is not left out); only matrix products and the patch convolution count. tests/test_measure.py holds the formula and
FlopCounterMode together.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def vision_flops(config: Any) -> int:
    """CLIP tower and projector for one image, from a LlavaConfig.

    All layers of the tower run, whichever one `vision_feature_layer` reads.
    """
    vision, width = config.vision_config, config.vision_config.hidden_size
    patches = (vision.image_size // vision.patch_size) ** 2
    tokens = patches + 1  # the class token
    convolution = 2 * patches * vision.num_channels * vision.patch_size**2 * width
    layer = tokens * (8 * width**2 + 4 * width * vision.intermediate_size) + 4 * tokens**2 * width
    kept = patches if config.vision_feature_select_strategy == "default" else tokens
    return convolution + vision.num_hidden_layers * layer + _projector(config, kept)


def _projector(config: Any, tokens: int) -> int:
    chosen = config.vision_feature_layer
    sources = 1 if isinstance(chosen, int) else len(chosen)
    text = config.text_config.hidden_size
    return 2 * tokens * text * (config.vision_config.hidden_size * sources + text)


def prefill_flops(config: Any, lengths: Sequence[int]) -> int:
    """The LLM over the prompt and the logits of its last token; lengths: tokens (text and visual) at each layer."""
    return sum(_layer(config.text_config, length, length) for length in lengths) + _head(config.text_config)


def decode_flops(config: Any, lengths: Sequence[int], step: int) -> int:
    """Later token number `step` (from 1): it attends to the `lengths` prompt tokens of a layer and `step` new ones."""
    return sum(_layer(config.text_config, 1, length + step) for length in lengths) + _head(config.text_config)


def scoring_flops(config: Any, rows: int, keys: int) -> int:
    """Attention weights of `rows` text tokens over `keys` tokens at one layer: their queries and the products."""
    text = config.text_config
    return 2 * rows * text.hidden_size * _heads(text)[0] + 2 * rows * keys * _heads(text)[0]


def pooling_flops(config: Any, groups: int, tokens: int) -> int:
    """Features of `tokens` visual tokens averaged into `groups` by one matrix."""
    return 2 * groups * tokens * config.text_config.hidden_size


def _layer(text: Any, queries: int, keys: int) -> int:
    """Projections, attention and the gated MLP of one decoder layer."""
    query_width, key_width = _heads(text)
    projections = 2 * queries * text.hidden_size * (2 * query_width + 2 * key_width)
    attention = 4 * queries * keys * query_width
    return projections + attention + 6 * queries * text.hidden_size * text.intermediate_size


def _heads(text: Any) -> tuple[int, int]:
    """Total width of the query heads and of the key heads."""
    size = getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads
    return size * text.num_attention_heads, size * text.num_key_value_heads


def _head(text: Any) -> int:
    return 2 * text.hidden_size * text.vocab_size
