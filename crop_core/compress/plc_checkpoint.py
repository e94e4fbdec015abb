"""Weights of a learned PLC: the folder plc/ in a checkpoint, with the queries and low-rank changes of the model.

The changes are applied only in runs of methods that need them. Source of the low-rank changes: Hu et al., LoRA, arXiv
2106.09685.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from crop_core.compress.query_resampler import RegionResampler
from crop_core.models.adapter import Adapter, ModelError

FOLDER, CONFIG, WEIGHTS = "plc", "config.json", "model.safetensors"
PROJECTIONS = ("q_proj", "k_proj", "v_proj", "o_proj")


@dataclass(frozen=True, eq=False)
class PlcWeights:
    """queries: resampler of the visual tokens, float32. changed: projections of the model, each with its PLC weight."""

    queries: RegionResampler
    changed: list[tuple[nn.Linear, nn.Parameter]]

    @classmethod
    def of(cls, adapter: Adapter, queries: RegionResampler, changes: LowRank) -> PlcWeights:
        """Compute the PLC weights once, in the model's dtype.

        Raises ModelError for models whose weights cannot be exchanged: quantized or offloaded.
        """
        linears = projections(adapter.stack.layers)
        if any(type(linear) is not nn.Linear or linear.weight.is_meta for linear in linears.values()):
            raise ModelError(
                f"The weights of {adapter.name} are quantized or kept off its device, so that its learned PLC cannot "
                "change them; load it whole on one device."
            )
        with torch.no_grad():
            changed = [
                (linear, nn.Parameter(linear.weight + changes.change(name).to(linear.weight), requires_grad=False))
                for name, linear in linears.items()
            ]
        return cls(queries.to(adapter.device).requires_grad_(False), changed)

    @property
    def weights_bytes(self) -> int:
        """Bytes besides the model's own weights."""
        own = sum(each.numel() * each.element_size() for each in self.queries.parameters())
        return own + sum(weight.numel() * weight.element_size() for _, weight in self.changed)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Run the model with the PLC weights; its own tensors are restored at the end, also after an error."""
        before = [(linear, linear.weight) for linear, _ in self.changed]
        try:
            for linear, weight in self.changed:
                linear.weight = weight
            yield
        finally:
            for linear, own in before:
                linear.weight = own


_loaded: WeakKeyDictionary[Adapter, PlcWeights] = WeakKeyDictionary()
_loading = threading.Lock()  # no merging into weights exchanged by another thread's run


def load_plc(adapter: Adapter) -> PlcWeights:
    """The learned PLC of a model, cached; ModelError for a model without one or with one that does not fit."""
    with _loading:
        if adapter not in _loaded:
            _loaded[adapter] = _read(adapter)
        return _loaded[adapter]


def save_plc(folder: Path, queries: RegionResampler, changes: LowRank, facts: Mapping[str, Any]) -> None:
    """Write plc/ into a model's folder, in half precision, as `load_plc` reads it; facts: about its training."""
    target = folder / FOLDER
    target.mkdir(parents=True, exist_ok=True)
    shape = {"heads": len(queries.steepness), "size": queries.size, "rank": changes.rank}
    (target / CONFIG).write_text(json.dumps({**shape, **facts}, indent=2) + "\n", encoding="utf-8")
    weights = nn.ModuleDict({"queries": queries, "changes": changes}).state_dict()
    save_file({name: weight.half().contiguous() for name, weight in weights.items()}, target / WEIGHTS)


def _read(adapter: Adapter) -> PlcWeights:
    folder = adapter.folder and adapter.folder / FOLDER
    if not folder or not (folder / CONFIG).is_file():
        raise ModelError(f"{adapter.name} has no learned PLC (no {FOLDER}/ in its folder); choose another method.")
    try:
        shape = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        queries = RegionResampler(adapter.model.config.text_config.hidden_size, shape["heads"], shape["size"])
        changes = LowRank(adapter.stack.layers, shape["rank"])
        both = nn.ModuleDict({"queries": queries, "changes": changes})
        both.load_state_dict({name: weight.float() for name, weight in load_file(folder / WEIGHTS).items()})
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError, SafetensorError) as error:
        raise ModelError(
            f"The learned PLC of {adapter.name} is cut off or does not fit the model; download or train it again."
        ) from error
    return PlcWeights.of(adapter, queries, changes)


class LowRank(nn.Module):
    """Low-rank update up @ down for the weight of every attention projection of the layers.

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
        """(out, in) update of a projection's weight."""
        return self.pairs[f"{name}/up"] @ self.pairs[f"{name}/down"]

    @contextmanager
    def training_on(self, layers: Sequence[nn.Module]) -> Iterator[None]:
        """Run the layers with the updates, with gradients; their weights are not modified."""

        def added(name: str, linear: nn.Linear) -> torch.utils.hooks.RemovableHandle:
            down, up = self.pairs[f"{name}/down"], self.pairs[f"{name}/up"]
            return linear.register_forward_hook(
                lambda _, inputs, output: output + F.linear(F.linear(inputs[0], down), up)
            )

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
