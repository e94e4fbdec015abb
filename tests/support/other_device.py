"""A second device for tests on machines without one: torch calls it "meta", it computes on the CPU all the same.

As on a GPU, an operation on tensors of both devices is an error, but for copies, indices and single numbers.
"""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode, return_and_correct_aliasing
from torch.utils._pytree import tree_leaves, tree_map

OTHER = torch.device("meta")
_COPIES = ("aten::_to_copy", "aten::copy_", "aten::index")
_tensor = torch.tensor


class There(torch.Tensor):
    """A tensor of the other device."""

    __torch_function__ = torch._C._disabled_torch_function_impl

    @staticmethod
    def __new__(cls, here: torch.Tensor) -> There:
        layout = {"strides": here.stride(), "storage_offset": here.storage_offset(), "dtype": here.dtype}
        return torch.Tensor._make_wrapper_subclass(cls, here.shape, **layout, device=OTHER)

    def __init__(self, here: torch.Tensor) -> None:
        self.here = here

    def __tensor_flatten__(self) -> tuple[list[str], None]:
        return ["here"], None

    @staticmethod
    def __tensor_unflatten__(inner: dict[str, torch.Tensor], *_: Any) -> There:
        return There(inner["here"])

    def tolist(self) -> Any:
        """Read on the host."""
        return self.here.tolist()

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        return _run(func, args, kwargs or {})


def _run(func: Any, args: tuple, kwargs: dict) -> Any:
    tensors = [x for x in tree_leaves((args, kwargs)) if isinstance(x, torch.Tensor)]
    there = any(isinstance(x, There) for x in tensors)
    here = any(x.ndim and not isinstance(x, There) for x in tensors)
    name = func._schema.name
    if there and here and name not in _COPIES:
        raise RuntimeError(f"{name} on tensors of two devices")
    result = func(*tree_map(_here, args), **tree_map(_here, kwargs))
    if name == "aten::copy_":
        return args[0]
    if not (there if kwargs.get("device") is None else torch.device(kwargs["device"]) == OTHER):
        return result
    result = tree_map(lambda x: There(x) if isinstance(x, torch.Tensor) else x, result)
    return return_and_correct_aliasing(func, args, kwargs, result)


def _here(x: Any) -> Any:
    if isinstance(x, torch.device):
        return torch.device("cpu")
    return x.here if isinstance(x, There) else x


class OtherDevice(TorchDispatchMode):
    """While it lasts, there is the other device; torch's own autocast does not know it."""

    def __init__(self, monkeypatch: Any) -> None:
        super().__init__()
        monkeypatch.setattr(torch, "autocast", lambda *_: nullcontext())
        monkeypatch.setattr(torch, "tensor", _made_on)

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        with self:
            result = func.decompose(*args, **(kwargs or {}))  # in inference mode composite operators come in one piece
        return _run(func, args, kwargs or {}) if result is NotImplemented else result


def _made_on(data: Any, device: torch.device | None = None, **options: Any) -> torch.Tensor:
    made = _tensor(data, **options)
    return made if device is None else made.to(device)
