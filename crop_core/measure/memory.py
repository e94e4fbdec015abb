"""Bytes: of weights, of a KV cache, and the peak of everything that a run allocates beside the weights."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

CPU_METHOD = "largest sum of live tensors, counted in an untimed pass; scratch space inside kernels is not included"
CUDA_METHOD = "torch.cuda.max_memory_allocated above what was allocated before the run"


def weights_bytes(model: torch.nn.Module) -> int:
    """Bytes of all parameters and buffers, wherever they lie; what is shared (tied embeddings) counts once.

    Weights that accelerate has put elsewhere are meta tensors in the model: they have a size but no memory to share.
    """
    tied = getattr(model, "all_tied_weights_keys", None) or {}  # of transformers: name -> whose it is
    named = {tied.get(name, name): each for name, each in [*model.named_parameters(), *model.named_buffers()]}
    tensors = {name if each.is_meta else each.data_ptr(): each for name, each in named.items()}
    return sum(tensor.numel() * tensor.element_size() + _scales(tensor) for tensor in tensors.values())


def _scales(weight: torch.Tensor) -> int:
    """Bytes of what belongs to a 4-bit weight of bitsandbytes: one number for each block of it."""
    state = getattr(weight, "quant_state", None)
    return 0 if state is None else int(state.absmax.nbytes)


def kv_bytes(cache: Any) -> int:
    """Bytes of the keys and values (B, H_kv, T_layer, D_head) that a DynamicCache holds, summed over its layers."""
    tensors = [tensor for layer in cache.layers for tensor in (layer.keys, layer.values)]
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def free_memory() -> None:
    """Collect garbage, and hand what the allocator of a GPU holds and does not use back to the device."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


class CpuPeak(TorchDispatchMode):
    """Context manager: `peak` is the largest number of bytes that tensors made inside were alive at once.

    Every operator's freshly allocated results are counted from then until their storage is freed. Views and in-place
    results add nothing; tensors made before (weights, inputs) are not counted. Slows a run by about a third, so time
    another one.
    """

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # nothing is compiled here, and importing torch._dynamo to skip it costs seconds

    def __init__(self) -> None:
        super().__init__()
        self.current = self.peak = 0
        self._alive: dict[int, weakref.ref[Any]] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run the operator and count what it allocated; in inference mode composite ones come here in one piece."""
        with self:
            out = func.decompose(*args, **(kwargs or {}))
        if out is not NotImplemented:
            return out  # its parts have been counted
        out = func(*args, **(kwargs or {}))
        results = out if isinstance(out, (tuple, list)) else (out,)
        returns = func._schema.returns
        for index, result in enumerate(results):
            fresh = returns[min(index, len(returns) - 1)].alias_info is None
            if fresh and isinstance(result, torch.Tensor):
                self._count(result.untyped_storage())
        return out

    def _count(self, storage: torch.UntypedStorage) -> None:
        key, size = storage._cdata, storage.nbytes()
        if key in self._alive:
            return
        self.current += size
        self.peak = max(self.peak, self.current)
        self._alive[key] = weakref.ref(storage, lambda _: self._freed(key, size))

    def _freed(self, key: int, size: int) -> None:
        del self._alive[key]
        self.current -= size


class CudaPeak:
    """Context manager: `peak` is the allocator's maximum inside the block above what was allocated at its start.

    Of a model over several GPUs each one's own maximum, added up; weights that are brought in for a layer count.
    """

    def __init__(self) -> None:
        self.devices = range(torch.cuda.device_count())
        self.peak = 0

    def __enter__(self) -> CudaPeak:
        for device in self.devices:
            torch.cuda.synchronize(device)
            torch.cuda.reset_peak_memory_stats(device)
        self._before = sum(map(torch.cuda.memory_allocated, self.devices))
        return self

    def __exit__(self, *exc: object) -> None:
        for device in self.devices:
            torch.cuda.synchronize(device)
        self.peak = sum(map(torch.cuda.max_memory_allocated, self.devices)) - self._before


def peak_meter(device: torch.device) -> tuple[CpuPeak | CudaPeak, str]:
    """A context manager whose `peak` is in bytes after it, and how it is found, in words."""
    return (CudaPeak(), CUDA_METHOD) if device.type == "cuda" else (CpuPeak(), CPU_METHOD)
