"""Low-rank changes of a language model's projections, that hold while a run lasts: how PLC's training moved the model.

Source: Hu et al., LoRA, arXiv 2106.09685. Knows nothing of compression and of files.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

PROJECTIONS = ("q_proj", "k_proj", "v_proj", "o_proj")


class LowRank(nn.Module):
    """Of every attention projection of the layers a product up @ down of a rank, which is added to its weight.

    Parameters are named "LAYER/PROJECTION/down" (rank, in) and ".../up" (out, rank). The product is zero at first.
    """

    def __init__(self, layers: Sequence[nn.Module], rank: int) -> None:
        super().__init__()
        self.rank = rank
        self.pairs = nn.ParameterDict()
        for name, linear in projections(layers).items():
            self.pairs[f"{name}/down"] = nn.Parameter(torch.randn(rank, linear.in_features) / linear.in_features**0.5)
            self.pairs[f"{name}/up"] = nn.Parameter(torch.zeros(linear.out_features, rank))

    def change(self, name: str) -> Tensor:
        """(out, in), what is added to the weight of a projection."""
        return self.pairs[f"{name}/up"] @ self.pairs[f"{name}/down"]

    @contextmanager
    def training_on(self, layers: Sequence[nn.Module]) -> Iterator[None]:
        """The layers compute with the changes, through which gradients flow; their weights are not touched."""

        def added(name: str, linear: nn.Linear) -> torch.utils.hooks.RemovableHandle:
            down, up = self.pairs[f"{name}/down"], self.pairs[f"{name}/up"]
            return linear.register_forward_hook(lambda _, read, said: said + F.linear(F.linear(read[0], down), up))

        with ExitStack() as stack:
            for name, linear in projections(layers).items():
                stack.callback(added(name, linear).remove)
            yield


def projections(layers: Sequence[Any]) -> dict[str, nn.Linear]:
    """The attention projections of decoder layers by name, "LAYER/PROJECTION"."""
    return {
        f"{number}/{name}": getattr(layer.self_attn, name)
        for number, layer in enumerate(layers)
        for name in PROJECTIONS
    }
