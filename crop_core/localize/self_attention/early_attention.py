"""What the text behind the image looks at in the first decoder layers, without the rest of the model.

A forward pre-hook on each layer that is read computes its attention beside the model; at the last of them the run ends:
no later layer runs, and no head. Knows nothing of regions or heads.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from crop_core.models.adapter import Adapter, ModelError
from crop_core.models.attention import head_rows, layer_keys
from crop_core.models.compressed_inputs import CompressedInputs
from crop_core.models.decoder import DecoderStack

Weights = NDArray[np.float32]


class _Enough(Exception):
    """The last layer that is read has been reached; no error, but the way out of a run."""


@torch.inference_mode()
def early_attention(adapter: Adapter, inputs: CompressedInputs, layers: Sequence[int], rows: int) -> dict[int, Weights]:
    """By layer the attention weights (H, R, M) of the last R = `rows` tokens to the M visual tokens.

    inputs: one prompt. layers: of the decoder, at least one. Raises ModelError for a layer that the model does not have
    and for a prompt that ends with the image. Hooks are state on the model: one request at a time.
    """
    if not all(0 <= layer < adapter.layers for layer in layers):
        raise ModelError(
            f"{adapter.name} has no layers {sorted(set(layers))}; its decoder has layers 0 to {adapter.layers - 1}."
        )
    if not rows:
        raise ModelError(f"The prompt of {adapter.name} ends with the image; put the question after the image.")
    stack, seen, last = adapter.stack, {}, max(layers)
    columns = inputs.visual[0].cpu().numpy()

    def before(number: int) -> Any:
        def hook(module: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            hidden = args[0] if args else kwargs["hidden_states"]
            weights = _weights(stack, number, hidden, kwargs, rows)  # (H, R, L')
            seen[number] = weights.cpu().numpy()[..., columns]
            if number == last:
                raise _Enough

        return hook

    handles = [
        stack.layers[number].register_forward_pre_hook(before(number), with_kwargs=True) for number in set(layers)
    ]
    try:
        adapter.model(**inputs.kwargs, use_cache=True, logits_to_keep=1)
    except _Enough:
        pass
    finally:
        for handle in handles:
            handle.remove()
    return seen


def text_rows(visual: torch.Tensor) -> int:
    """How many tokens come after the last visual one of a prompt (1, L)."""
    return int(visual[0].flip(0).int().argmax())


def _weights(stack: DecoderStack, number: int, hidden: torch.Tensor, kwargs: dict[str, Any], rows: int) -> torch.Tensor:
    layer, rope = stack.layers[number], kwargs["position_embeddings"]
    keys = layer_keys(layer, hidden, rope, stack.rope)
    return head_rows(layer, hidden, rope, keys, kwargs.get("attention_mask"), rows, stack.rope)[0]
