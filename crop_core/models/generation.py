"""One greedy `generate` over an encoded image: its tokens, their logits, its KV cache and when its tokens came.

Knows nothing of regions or methods: whatever hooks are on the model while it runs are the caller's.
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
    """What came out, with readings of `timing.now` for when.

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

    inputs: keyword arguments with input_ids (1, L) and mm_encoder_outputs, made for this call (generate changes them).
    on_token: called with all ids so far after each new token; what it raises ends the generation. forced: the tokens to
    produce, of a run that ended, whatever the model prefers (teacher forcing); the logits stay the model's own.
    """
    clock = _Clock(adapter.device, on_token)
    length = inputs["input_ids"].shape[1]
    how: dict[str, Any] = {"max_new_tokens": max_new_tokens}
    if forced is not None:
        how = {"max_new_tokens": len(forced), "logits_processor": LogitsProcessorList([_Force(forced, length)])}
    started = now(adapter.device)
    out = adapter.model.generate(
        **inputs,
        **how,
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
    """Receives every token as soon as it is known on the host; the first call carries the prompt."""

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
    """Leaves only the token whose turn it is."""

    def __init__(self, tokens: Sequence[int], prompt_length: int) -> None:
        self.tokens, self.prompt_length = list(tokens), prompt_length

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """(1, V) scores: zero for the token that is forced, minus infinity for the others."""
        forced = torch.full_like(scores, -torch.inf)
        forced[:, self.tokens[input_ids.shape[1] - self.prompt_length]] = 0
        return forced
