"""LoRA on the language model's projections, by peft; everything else of the model stays as it is.

Source: Hu et al., LoRA: Low-Rank Adaptation of Large Language Models, arXiv 2106.09685. peft is an optional
requirement, imported where it is needed.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from torch import Tensor, nn

from crop_core.models import Adapter
from crop_core.train.localizer.settings import TuneError


def check_installed() -> None:
    """TuneError without peft."""
    if find_spec("peft") is None:
        raise TuneError('Training needs peft, which is not installed: run pip install "peft>=0.18".')


class Lora:
    """Adds matrices of a rank to every linear layer of the decoder layers of `adapter.model`, in place.

    alpha: the matrices' product is scaled by alpha / rank. dropout: of their inputs, in training alone. The matrices
    are float32 for any model dtype, and have no effect before the first step.
    """

    def __init__(self, adapter: Adapter, rank: int, alpha: float, dropout: float) -> None:
        from peft import LoraConfig, LoraModel

        self._model = adapter.model
        self._layers = adapter.stack.layers
        inside = {id(module) for layer in self._layers for module in layer.modules() if isinstance(module, nn.Linear)}
        names = [name for name, module in adapter.model.named_modules() if id(module) in inside]
        config = LoraConfig(r=rank, lora_alpha=alpha, lora_dropout=dropout, target_modules=names)
        self._lora = LoraModel(adapter.model, config, "default")
        for parameter in self.parameters.values():
            parameter.data = parameter.data.float()

    @property
    def parameters(self) -> dict[str, nn.Parameter]:
        """The trained parameters, by name."""
        return {name: each for name, each in self._model.named_parameters() if each.requires_grad}

    def train(self, on: bool = True) -> None:
        """Dropout in the decoder layers, on or off; the vision tower is never in training mode."""
        for layer in self._layers:
            layer.train(on)

    def checkpoint(self) -> None:
        """Recompute the activations of every layer in the backward pass instead of storing them."""
        model = self._model  # the older name is deprecated since transformers 5.23
        enable = getattr(model, "activation_checkpointing_enable", None) or model.gradient_checkpointing_enable
        enable({"use_reentrant": False})

    def load(self, state: dict[str, Tensor]) -> None:
        """Load `parameters` of an earlier run."""
        for name, parameter in self.parameters.items():
            parameter.data.copy_(state[name])

    def merge(self) -> Any:
        """Merge the matrices into the weights and remove them; the model is an ordinary one again."""
        self.train(False)
        return self._lora.merge_and_unload()
