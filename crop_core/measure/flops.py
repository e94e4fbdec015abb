"""Floating-point operations: of a language model by formula, aware of how many tokens every decoder layer sees, and of
anything else as PyTorch counts them.

A multiply and an add are two operations, as in torch.utils.flop_counter.FlopCounterMode (the causal half is not left
out); only matrix products and convolutions count. tests/core/measure/test_measure.py holds formula and counter
together.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode, sdpa_flop_count

_ON_CPU = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu  # which PyTorch's counter leaves out


def counted(work: Callable[[], object]) -> int:
    """What `work` takes; it runs once, slowed down by the counting."""
    with torch.inference_mode(), FlopCounterMode(display=False, custom_mapping={_ON_CPU: _attention}) as counter:
        work()
    return int(counter.get_total_flops())


def _attention(query: Sequence[int], key: Sequence[int], value: Sequence[int], *args: Any, **kwargs: Any) -> int:
    return int(sdpa_flop_count(query, key, value))


def prefill_flops(config: Any, lengths: Sequence[int]) -> int:
    """The LLM over the prompt and the logits of its last token; lengths: tokens (text and visual) at each layer."""
    return layers_flops(config, lengths) + _head(config.text_config)


def layers_flops(config: Any, lengths: Sequence[int]) -> int:
    """Decoder layers alone over the prompt; lengths as in `prefill_flops`."""
    return sum(_layer(config.text_config, length, length) for length in lengths)


def decode_flops(config: Any, lengths: Sequence[int], step: int) -> int:
    """Later token number `step` (from 1): it attends to the `lengths` prompt tokens of a layer and `step` new ones."""
    return sum(_layer(config.text_config, 1, length + step) for length in lengths) + _head(config.text_config)


def step_flops(config: Any, layers: int, queries: int, keys: int, rows: int) -> int:
    """One forward pass of `queries` tokens that attend to `keys` tokens in each layer, and the logits of `rows`."""
    return layers * _layer(config.text_config, queries, keys) + rows * _head(config.text_config)


def scoring_flops(config: Any, rows: int, keys: int) -> int:
    """Attention weights of `rows` text tokens over `keys` tokens at one layer: their queries and the products."""
    text = config.text_config
    return 2 * rows * text.hidden_size * _heads(text)[0] + 2 * rows * keys * _heads(text)[0]


def keys_flops(config: Any, tokens: int) -> int:
    """The keys of `tokens` tokens at one layer."""
    return 2 * tokens * config.text_config.hidden_size * _heads(config.text_config)[1]


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
