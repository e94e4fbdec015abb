"""Memory in bytes: weights, KV cache, and peak of a run above the weights."""

from __future__ import annotations

import ctypes
import gc
import re
import weakref
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

CPU_METHOD = "largest sum of live tensors, counted in an untimed pass; scratch space inside kernels is not included"
RESIDENT_METHOD = "growth of the whole process's resident memory while it localized"
CUDA_METHOD = "torch.cuda.max_memory_allocated above what was allocated before the run"
_PROCESS = Path("/proc/self")  # Linux
_RESET_PEAK = "5"  # proc(5), clear_refs


def weights_bytes(model: torch.nn.Module) -> int:
    """Bytes of all parameters and buffers on any device; tied weights count once.

    Weights offloaded by accelerate are meta tensors in the model, which have a size but no data pointer.
    """
    tied = getattr(model, "all_tied_weights_keys", None) or {}  # of transformers: name -> name of its source
    named = {tied.get(name, name): each for name, each in [*model.named_parameters(), *model.named_buffers()]}
    tensors = {name if each.is_meta else each.data_ptr(): each for name, each in named.items()}
    return sum(tensor.numel() * tensor.element_size() + _scales(tensor) for tensor in tensors.values())


def _scales(weight: torch.Tensor) -> int:
    """Bytes of the quantization scales of a 4-bit weight of bitsandbytes, one per block."""
    state = getattr(weight, "quant_state", None)
    return 0 if state is None else int(state.absmax.nbytes)


def kv_bytes(cache: Any) -> int:
    """Bytes of the keys and values (B, H_kv, T_layer, D_head) in a DynamicCache, summed over its layers."""
    tensors = [tensor for layer in cache.layers for tensor in (layer.keys, layer.values)]
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def free_memory() -> None:
    """Collect garbage, and release unused memory of the GPU allocator."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


class CpuPeak(TorchDispatchMode):
    """Context manager: `peak` is the maximum number of bytes of live tensors that were allocated inside.

    Results of operators count from allocation until their storage is freed. Views and in-place results add nothing;
    earlier tensors (weights, inputs) are not counted. Slows a run by about a third, so timing needs another run.
    """

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # importing torch._dynamo takes seconds, and nothing is compiled

    def __init__(self) -> None:
        super().__init__()
        self.current = self.peak = 0
        self._alive: dict[int, weakref.ref[Any]] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run the operator and count its allocations; in inference mode composite operators arrive undecomposed."""
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

    Over several GPUs the sum of each one's maximum; offloaded weights that are loaded for a layer count.
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


class ResidentPeak:
    """Context manager: `peak` is how far the resident memory of this process grew inside the block; None where that is
    not known, as on other systems than Linux.

    For what PyTorch does not see, such as onnxruntime. Freed memory is given back before, so that it is not used again
    unseen; what other threads need meanwhile counts as well.
    """

    peak: int | None = None

    def __enter__(self) -> ResidentPeak:
        _trim_malloc()
        try:
            (_PROCESS / "clear_refs").write_text(_RESET_PEAK)
            self._before: int | None = _status_bytes("VmRSS")
        except OSError:
            self._before = None
        return self

    def __exit__(self, *exc: object) -> None:
        highest = None if self._before is None else _status_bytes("VmHWM")
        if highest is not None and self._before is not None:
            self.peak = max(0, highest - self._before)


def _status_bytes(name: str) -> int | None:
    """A size in /proc/self/status, which has kilobytes."""
    found = re.search(rf"^{name}:\s+(\d+) kB", (_PROCESS / "status").read_text(), re.MULTILINE)
    return int(found[1]) * 1024 if found else None


def _trim_malloc() -> None:
    """Give freed memory back to the system, where the C library can (glibc)."""
    with suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)


def peak_meter(device: torch.device) -> tuple[CpuPeak | CudaPeak, str]:
    """A context manager with `peak` in bytes after exit, and a description of its method."""
    return (CudaPeak(), CUDA_METHOD) if device.type == "cuda" else (CpuPeak(), CPU_METHOD)
