"""Greedy decoding over an encoded image: tokens, logits, KV cache size and token times.

Greedy means the model's most likely token: of a checkpoint's generation_config.json only the special tokens and the
longest answer count, so that no penalty, ban or minimum length changes answers or their probabilities.

Knows nothing of regions or methods; hooks on the model are the caller's.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers import GenerationConfig, LogitsProcessor, LogitsProcessorList
from transformers.generation.streamers import BaseStreamer

from crop_core.measure.memory import kv_bytes
from crop_core.measure.timing import now
from crop_core.models.adapter import Adapter
from crop_core.models.finite import check_logits
from crop_core.records.config import MAX_NEW_TOKENS

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


def greedy_config(own: Mapping[str, Any], config: Any, tokenizer: Any) -> GenerationConfig:
    """The special tokens and the longest answer of a checkpoint, and nothing else that its generation settings ask for.

    own: its generation_config.json; where that names no token, the model's config does, or its tokenizer.
    """

    def ids(name: str) -> list[int]:
        for source in (own, config.to_dict(), config.get_text_config().to_dict(), {name: getattr(tokenizer, name)}):
            value = source.get(name)
            if found := [each for each in (value if isinstance(value, list) else [value]) if isinstance(each, int)]:
                return found
        return []

    longest = own.get("max_new_tokens")
    begins, ends, pads = map(ids, ("bos_token_id", "eos_token_id", "pad_token_id"))
    pad = (pads or ends or [0])[0]
    return GenerationConfig(
        bos_token_id=begins[0] if begins else None,
        eos_token_id=ends or None,
        pad_token_id=pad,
        max_new_tokens=min(longest, MAX_NEW_TOKENS) if isinstance(longest, int) and longest > 0 else None,
    )


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
    another run to produce instead of the argmax (teacher forcing); the logits are the model's own. Raises
    NotFiniteError for logits that are no numbers.
    """
    clock = _Clock(adapter.device, on_token)
    processors = LogitsProcessorList([_Check(adapter, inputs)])
    if forced is not None:
        max_new_tokens = len(forced)
        processors.append(_Force(forced, inputs["input_ids"].shape[1]))
    started = now(adapter.device)
    out = adapter.model.generate(
        **inputs,
        max_new_tokens=max_new_tokens,
        logits_processor=processors,
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


class _Check(LogitsProcessor):
    """Logits processor that changes nothing, and raises NotFiniteError. inputs: those of `generate`."""

    def __init__(self, adapter: Adapter, inputs: dict[str, Any]) -> None:
        encoded = {kind: copy.copy(each) for kind, each in inputs["mm_encoder_outputs"].items()}
        self.adapter, self.inputs = adapter, {**inputs, "mm_encoder_outputs": encoded}

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """(1, V) scores."""
        check_logits(self.adapter, scores, lambda: self.inputs)
        return scores


class _Force(LogitsProcessor):
    """Logits processor that allows only the next forced token."""

    def __init__(self, tokens: Sequence[int], prompt_length: int) -> None:
        self.tokens, self.prompt_length = list(tokens), prompt_length

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """(1, V) scores: zero for the forced token, minus infinity for the others."""
        forced = torch.full_like(scores, -torch.inf)
        forced[:, self.tokens[input_ids.shape[1] - self.prompt_length]] = 0
        return forced
