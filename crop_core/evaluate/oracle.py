"""Masking oracle: the same model with every token present, and a mask that hides some of them from every later token.

What pruning computes must equal this, at prefill and at every decode step. Shared by `crop check` and the tests; knows
nothing of the hooks under test.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from crop_core.models import PreparedInputs
from crop_core.records.trace import PruneStep, TokenTrace


class Masked:
    """Context manager: in decoder layers from `layer` on, nothing but a token itself attends to `hidden` prompt
    columns.

    hidden: {layer: (B, P) bool}. later: (B, P) bool, columns that in every layer no token after the prompt attends to.
    Needs an attention that takes a mask: sdpa or eager.
    """

    def __init__(self, model: Any, hidden: dict[int, torch.Tensor], later: torch.Tensor | None = None) -> None:
        self.hidden, self.later = hidden, later
        parts = dict(model.model.named_children())
        self.layers = (parts.get("language_model") or parts["text_model"]).layers

    def __enter__(self) -> Masked:
        self.handles = [
            layer.register_forward_pre_hook(self.hook(number), with_kwargs=True)
            for number, layer in enumerate(self.layers)
        ]
        return self

    def __exit__(self, *error: object) -> None:
        for handle in self.handles:
            handle.remove()

    def hook(self, number: int) -> Any:
        """The forward pre-hook of decoder layer `number`."""

        def mask(module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
            batch, queries = args[0].shape[:2]
            keys = queries + kwargs["past_key_values"].get_seq_length(number)
            device = args[0].device
            barred = torch.zeros(batch, keys, dtype=torch.bool, device=device)
            for layer, columns in self.hidden.items():
                if number >= layer:
                    barred[:, : columns.shape[1]] |= columns.to(device)
            if self.later is not None and keys > self.later.shape[1]:
                barred[:, : self.later.shape[1]] |= self.later.to(device)
            places = torch.arange(keys, device=device)
            rows, columns = places[keys - queries :, None], places[None]
            barred = barred[:, None, None, :] & (rows != columns)
            given = kwargs["attention_mask"]
            given = (columns <= rows).expand(batch, 1, -1, -1) if given is None else given.to(device)
            if given.dtype == torch.bool:
                return args, {**kwargs, "attention_mask": given & ~barred}
            return args, {**kwargs, "attention_mask": given.masked_fill(barred, torch.finfo(given.dtype).min)}

        return mask


def run(model: Any, kwargs: dict[str, Any], steps: int = 4, forced: torch.Tensor | None = None) -> Any:
    """Greedy generate() of `steps` tokens, or of `forced` (B, steps); logits: tuple of (B, V) float32, one per step."""
    extra: dict[str, Any] = {}
    if forced is not None:
        length = kwargs["input_ids"].shape[1]

        def only(batch: int, ids: torch.Tensor) -> list[int]:
            return [int(forced[batch, len(ids) - length])]

        extra["prefix_allowed_tokens_fn"] = only
    return model.generate(
        **kwargs, max_new_tokens=steps, do_sample=False, return_dict_in_generate=True, output_logits=True, **extra
    )


def new_tokens(out: Any, kwargs: dict[str, Any]) -> torch.Tensor:
    """(B, steps) of a `run`."""
    return out.sequences[:, kwargs["input_ids"].shape[1] :]


def difference(one: Any, other: Any) -> float:
    """Largest difference of two runs' logits, over all steps."""
    pairs = zip(one.logits, other.logits, strict=True)
    return max(float((a - b).abs().max()) for a, b in pairs)


def plain_inputs(prepared: PreparedInputs) -> dict[str, Any]:
    """What the model itself would be given, pixels included, and for Qwen also which tokens are an image's."""
    kinds = {} if prepared.positions is None else {"mm_token_type_ids": prepared.visual.int()}
    ids = {"input_ids": prepared.input_ids, "attention_mask": prepared.attention_mask, **prepared.tokens}
    return {**ids, **prepared.vision, **kinds}


def hidden_by(steps: Sequence[PruneStep], visual: torch.Tensor) -> dict[int, torch.Tensor]:
    """{layer: (1, L) bool} visual tokens, of those that (1, L) marks, that are gone from this layer on."""
    return {step.layer: _without(visual, torch.from_numpy(step.kept)) for step in steps}


def dropped_by(trace: TokenTrace, visual: torch.Tensor) -> dict[int, torch.Tensor]:
    """The same for tokens that were dropped before the LLM."""
    return {0: _without(visual, torch.from_numpy((trace.group >= 0).nonzero()[0]))}


def _without(visual: torch.Tensor, kept: torch.Tensor) -> torch.Tensor:
    """(1, L) bool: the visual tokens but those of index `kept` among them."""
    hidden = visual.clone()
    hidden[0, visual[0].nonzero()[:, 0][kept.to(visual.device)]] = False
    return hidden
