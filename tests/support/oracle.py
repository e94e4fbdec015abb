"""The masking oracle: the same model with every token present, and a mask that hides some from every later token.

What pruning computes must equal this in float32, at prefill and at every decode step.
"""

from __future__ import annotations

from typing import Any

import torch


class Masked:
    """Context manager: in decoder layers from `layer` on, nothing but a token itself attends to `hidden` prompt
    columns.

    hidden: {layer: (B, P) bool}. later: (B, P) bool, columns that in every layer no token after the prompt attends to.
    Its hooks know nothing of those under test.
    """

    def __init__(self, model: Any, hidden: dict[int, torch.Tensor], later: torch.Tensor | None = None) -> None:
        self.hidden, self.later = hidden, later
        parts = dict(model.model.named_children())
        self.layers = (parts.get("language_model") or parts["text_model"]).layers
        self.eager = model.config.text_config._attn_implementation == "eager"

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
        def mask(module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
            batch, queries = args[0].shape[:2]
            keys = queries + kwargs["past_key_values"].get_seq_length(number)
            device = args[0].device
            barred = torch.zeros(batch, keys, dtype=torch.bool, device=device)
            for layer, columns in self.hidden.items():
                if number >= layer:
                    barred[:, : columns.shape[1]] |= columns
            if self.later is not None and keys > self.later.shape[1]:
                barred[:, : self.later.shape[1]] |= self.later
            places = torch.arange(keys, device=device)
            rows, columns = places[keys - queries :, None], places[None]
            barred = barred[:, None, None, :] & (rows != columns)
            given = kwargs["attention_mask"]
            if given is None:
                given = (columns <= rows).expand(batch, 1, -1, -1)
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
    assert len(one.logits) == len(other.logits)
    return max(float((a - b).abs().max()) for a, b in zip(one.logits, other.logits, strict=True))
