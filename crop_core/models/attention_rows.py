"""Attention of a running generation to the visual tokens of its prompt, read beside the model, a layer at a time.

What is kept is one row a layer and step, the mean over the heads; no layer's whole attention is ever in memory. Knows
nothing of pruning: which columns of the prompt a layer holds, it is told.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from crop_core.models.decoder import DecoderStack, head_rows, layer_keys

Columns = Callable[[int], torch.Tensor | None]


class AttentionRows:
    """Context manager: at every forward of a generation it reads the attention of the newest token in every layer.

    visual: (1, P) bool, True on the M visual tokens of the prompt. columns: of a layer, the (K,) columns of the prompt
    that it holds now, rising; None for all. steps: forwards that are read, the prefill first. Entered after other hooks
    that change a layer's input, so that it sees what the layer sees. Hooks are state on the model: one request at a
    time; on exit, also by an exception, all are removed.
    """

    def __init__(self, stack: DecoderStack, visual: torch.Tensor, columns: Columns, steps: int) -> None:
        self._stack, self._visual, self._columns, self._steps = stack, visual[0].cpu(), columns, steps
        self._rows: list[torch.Tensor] = []  # (M,), layer by layer of one forward after the other
        self._forwards = 0
        self._handles: list[Any] = []

    @property
    def shares(self) -> NDArray[np.float32]:
        """(S, L, M) share of all attention on each visual token, by step and layer."""
        rows: NDArray[np.float32] = torch.stack(self._rows).numpy()
        return rows.reshape(-1, len(self._stack.layers), rows.shape[1])

    def __enter__(self) -> AttentionRows:
        for number, layer in enumerate(self._stack.layers):
            self._handles.append(layer.register_forward_pre_hook(self._hook(number), with_kwargs=True))
        return self

    def __exit__(self, *error: object) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles.clear()

    def _hook(self, number: int) -> Any:
        def before_layer(module: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            self._forwards += number == 0
            if self._forwards > self._steps:
                return
            hidden = args[0] if args else kwargs["hidden_states"]
            self._rows.append(self._on_visual(number, self._newest(number, hidden, kwargs)))

        return before_layer

    def _newest(self, number: int, hidden: torch.Tensor, kwargs: dict[str, Any]) -> torch.Tensor:
        """(K,) attention of the newest token to all keys of a layer, those of earlier forwards first."""
        layer, rope, rotate = self._stack.layers[number], kwargs["position_embeddings"], self._stack.rope
        keys = layer_keys(layer, hidden, rope, rotate)
        cached = kwargs["past_key_values"].layers
        earlier = cached[number].keys if number < len(cached) else None
        if earlier is not None and earlier.numel():
            keys = torch.cat([earlier.to(keys.device), keys], dim=2)
        return head_rows(layer, hidden, rope, keys, kwargs.get("attention_mask"), 1, rotate)[0, :, 0].mean(0)

    def _on_visual(self, number: int, row: torch.Tensor) -> torch.Tensor:
        """The attention (K,) of one row, on the M visual tokens: 0 on those that the layer does not hold.

        A sliding layer holds the last keys only.
        """
        row, columns = row.cpu(), self._columns(number)
        held = torch.arange(len(self._visual)) if columns is None else columns.cpu()
        first = len(held) + self._forwards - 1 - len(row)  # the prompt's keys that have left
        whole = row.new_zeros(len(self._visual))
        whole[held[first:]] = row[: len(held) - first]
        return whole[self._visual]
