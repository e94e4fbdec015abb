"""Greedy decoding over an encoded image: tokens, logits, KV cache size and token times.

Knows nothing of regions or methods; hooks on the model are the caller's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers import LogitsProcessor, LogitsProcessorList
from transformers.generation.streamers import BaseStreamer

from crop_core.measure.memory import kv_bytes
from crop_core.measure.timing import now
from crop_core.models.adapter import Adapter

OnToken = Callable[[list[int]], None]


@dataclass(frozen=True)
class Generated:
    """Result of one generation; times are values of `timing.now`.

    ids: the T new tokens, an end token included. logits: (T, V) float32 or None. kv_bytes: of the KV cache at the end.
    """

    ids: list[int]
    logits: torch.Tensor | None
    kv_bytes: int
    started: float
    first_token: float
    finished: float


def generate(
    adapter: Adapter,
    inputs: dict[str, Any],
    max_new_tokens: int,
    on_token: OnToken | None = None,
    forced: Sequence[int] | None = None,
    keep_logits: bool = True,
) -> Generated:
    """Greedy decoding through `model.generate` of one prompt.

    inputs: keyword arguments with input_ids (1, L) and mm_encoder_outputs, made for this call (generate modifies them).
    on_token: called with all ids so far after each new token; an exception in it ends the generation. forced: tokens of
    another run to produce instead of the argmax (teacher forcing); the logits are the model's own.
    """
    clock = _Clock(adapter.device, on_token)
    length = inputs["input_ids"].shape[1]
    options: dict[str, Any] = {"max_new_tokens": max_new_tokens}
    if forced is not None:
        options = {"max_new_tokens": len(forced), "logits_processor": LogitsProcessorList([_Force(forced, length)])}
    started = now(adapter.device)
    out = adapter.model.generate(
        **inputs,
        **options,
        do_sample=False,
        num_beams=1,
        use_cache=True,
        return_dict_in_generate=True,
        output_logits=keep_logits,
        streamer=clock,
    )
    finished = now(adapter.device)
    logits = torch.cat(out.logits).float() if keep_logits else None  # (T, V)
    return Generated(clock.ids, logits, kv_bytes(out.past_key_values), started, clock.first_token, finished)


class _Clock(BaseStreamer):
    """Streamer that receives every token as soon as it is on the host; the first call carries the prompt."""

    def __init__(self, device: torch.device, on_token: OnToken | None) -> None:
        self.device, self.on_token = device, on_token
        self.prompt_seen = False
        self.ids: list[int] = []
        self.first_token = 0.0

    def put(self, value: torch.Tensor) -> None:
        """`value`: the prompt (1, L), then one token (1,) a call."""
        if not self.prompt_seen:
            self.prompt_seen = True
            return
        if not self.ids:
            self.first_token = now(self.device)
        self.ids.extend(value.reshape(-1).tolist())
        if self.on_token is not None:
            self.on_token(list(self.ids))

    def end(self) -> None:
        """Nothing is buffered."""


class _Force(LogitsProcessor):
    """Logits processor that allows only the next forced token."""

    def __init__(self, tokens: Sequence[int], prompt_length: int) -> None:
        self.tokens, self.prompt_length = list(tokens), prompt_length

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """(1, V) scores: zero for the forced token, minus infinity for the others."""
        forced = torch.full_like(scores, -torch.inf)
        forced[:, self.tokens[input_ids.shape[1] - self.prompt_length]] = 0
        return forced
