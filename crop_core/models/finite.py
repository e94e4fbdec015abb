"""Numbers that are not finite: noticed at the features and logits of every run, and traced to the part they come from.

NaN and infinity come from damaged weights, or from values that are too large for 16 bits. Decoded as they are they make
an empty answer, the same with and without pruning.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch

from crop_core.models.adapter import Adapter, ModelError, dtype_name

ALIKE = "{} finds every word as likely as any other{}: its weights are damaged; download or save it again."
WIDER = {torch.float16: "float32 or bfloat16", torch.bfloat16: "float32"}


class NotFiniteError(ModelError):
    """A run whose numbers are NaN, infinite or all the same; the message names the place and what to do."""


def is_finite(values: torch.Tensor) -> bool:
    """Whether all values are finite numbers; waits for the device."""
    return math.isfinite(float(values.sum(dtype=torch.float32)))


def check_features(adapter: Adapter, features: Any) -> None:
    """NotFiniteError for an image whose features, tensors of (N, D), are not finite."""
    if not all(map(is_finite, features)):
        raise NotFiniteError(_sentence(adapter, "in the vision tower or its projector"))


def check_values(adapter: Adapter, values: torch.Tensor, inputs: Callable[[], Mapping[str, Any]]) -> None:
    """NotFiniteError for logits or attention of the language model that are not finite.

    inputs: gives the arguments of the model's forward pass, which is run again to find the place.
    """
    if not is_finite(values):
        raise NotFiniteError(_sentence(adapter, _place(adapter, inputs())))


def check_logits(adapter: Adapter, logits: torch.Tensor, inputs: Callable[[], Mapping[str, Any]]) -> None:
    """As `check_values`, and NotFiniteError for logits that choose no word, since all are the same."""
    low, high = logits.aminmax()
    spread = float(high.float() - low.float())  # one wait for the device
    if spread == 0:
        raise NotFiniteError(ALIKE.format(adapter.name, _zeros(adapter)))
    if not math.isfinite(spread):
        check_values(adapter, logits, inputs)


def _zeros(adapter: Adapter) -> str:
    """The first matrix of weights that holds nothing but zeros, in words."""
    matrices = (name for name, each in adapter.model.named_parameters() if each.ndim > 1 and not bool(each.any()))
    name = next(matrices, None)
    return f" ({name} holds only zeros)" if name else ""


def _place(adapter: Adapter, inputs: Mapping[str, Any]) -> str:
    """The first part of the language model that computes such numbers from a prompt."""
    with _watched(adapter) as places, torch.inference_mode():
        logits = adapter.model(**inputs, use_cache=True, logits_to_keep=1).logits
    if places:
        return places[0]
    return "later in the answer" if is_finite(logits) else "behind the last decoder layer"


@contextmanager
def _watched(adapter: Adapter) -> Iterator[list[str]]:
    """Context manager: a list that gets the name of every part whose values are not finite, in order."""
    layers, places = adapter.stack.layers, list[str]()

    def before(module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if not is_finite(args[0] if args else kwargs["hidden_states"]):
            places.append("in the embeddings")

    def after(number: int) -> Any:
        def hook(module: Any, args: Any, out: Any) -> None:
            if not is_finite(out[0] if isinstance(out, tuple) else out):
                places.append(f"from decoder layer {number} of {len(layers)} on")

        return hook

    handles = [layer.register_forward_hook(after(number)) for number, layer in enumerate(layers)]
    handles.append(layers[0].register_forward_pre_hook(before, with_kwargs=True))
    try:
        yield places
    finally:
        for handle in handles:
            handle.remove()


def _sentence(adapter: Adapter, place: str) -> str:
    dtype = dtype_name(adapter)
    return f"{adapter.name} computes no numbers in {dtype} (NaN or infinity {place}); {_advice(adapter)}."


def _advice(adapter: Adapter) -> str:
    """By the cause: damaged weights, few bits a weight, or too few bits a number."""
    wider = WIDER.get(adapter.dtype)
    damaged = next((name for name, each in adapter.model.named_parameters() if _is_damaged(each, wider)), None)
    if damaged:
        return f"its weights hold such values themselves, first in {damaged}: download or save it again"
    if getattr(adapter.model, "is_quantized", False):
        return "load it without quantization"
    return f"load it in {wider} (--dtype)" if wider else "run python -m crop_core check to see what of it works"


def _is_damaged(weight: torch.Tensor, wider: str | None) -> bool:
    """Whether a file's values are no numbers; in float16 infinity may be a number that is too large for it."""
    if weight.is_meta or weight.dtype not in (torch.float32, *WIDER):
        return False
    return bool(weight.isnan().any() if weight.dtype == torch.float16 else not is_finite(weight))
