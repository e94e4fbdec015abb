"""Floating-point operations: of a language model by formula, from the tokens of each decoder layer, and of any other
code by PyTorch's counter.

A multiply-add is two operations, as in torch.utils.flop_counter.FlopCounterMode (causal attention is not halved); only
matrix products and convolutions count. tests/core/measure/test_measure.py compares formula and counter.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode, sdpa_flop_count

_ON_CPU = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu  # not counted by PyTorch's counter


def counted(work: Callable[[], object]) -> int:
    """FLOPs of `work`, which runs once, slowed down by the counting."""
    with torch.inference_mode(), FlopCounterMode(display=False, custom_mapping={_ON_CPU: _attention}) as counter:
        work()
    return int(counter.get_total_flops())


def _attention(query: Sequence[int], key: Sequence[int], value: Sequence[int], *args: Any, **kwargs: Any) -> int:
    return int(sdpa_flop_count(query, key, value))


def prefill_flops(config: Any, lengths: Sequence[int]) -> int:
    """Prefill of the LLM and logits of the last token; lengths: tokens (text and visual) at each layer."""
    return layers_flops(config, lengths) + _head(config.text_config)


def layers_flops(config: Any, lengths: Sequence[int]) -> int:
    """Prefill of the decoder layers only; lengths as in `prefill_flops`."""
    return sum(_layer(config.text_config, length, length) for length in lengths)


def decode_flops(config: Any, lengths: Sequence[int], step: int) -> int:
    """Decode step `step` (from 1): one token attends to the `lengths` prompt tokens of a layer and `step` new ones."""
    return sum(_layer(config.text_config, 1, length + step) for length in lengths) + _head(config.text_config)


def step_flops(config: Any, layers: int, queries: int, keys: int, rows: int) -> int:
    """One forward pass of `queries` tokens that attend to `keys` tokens in each layer, and logits of `rows` tokens."""
    return layers * _layer(config.text_config, queries, keys) + rows * _head(config.text_config)


def scoring_flops(config: Any, rows: int, keys: int) -> int:
    """Attention weights of `rows` text tokens over `keys` tokens at one layer: query projections and products."""
    text = config.text_config
    return 2 * rows * text.hidden_size * _heads(text)[0] + 2 * rows * keys * _heads(text)[0]


def keys_flops(config: Any, tokens: int) -> int:
    """Key projections of `tokens` tokens at one layer."""
    return 2 * tokens * config.text_config.hidden_size * _heads(config.text_config)[1]


def _layer(text: Any, queries: int, keys: int) -> int:
    """Projections, attention and the gated MLP of one decoder layer."""
    query_width, key_width = _heads(text)
    projections = 2 * queries * text.hidden_size * (2 * query_width + 2 * key_width)
    attention = 4 * queries * keys * query_width
    return projections + attention + 6 * queries * text.hidden_size * text.intermediate_size


def _heads(text: Any) -> tuple[int, int]:
    """Total width of query heads and of key heads."""
    size = getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads
    return size * text.num_attention_heads, size * text.num_key_value_heads


def _head(text: Any) -> int:
    return 2 * text.hidden_size * text.vocab_size
