"""Profile of one prefill of the language model: time by operator, and where the host waits for the device."""

from __future__ import annotations

import warnings
from collections import Counter
from contextlib import nullcontext
from typing import Any

import torch
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile

from benchmarks.full_size.llm import Prefilled
from crop_core.measure.timing import now

TOP = 12
# Each copy to or from unpinned host memory ends with a synchronization of the stream.
WAITS = ("cudaStreamSynchronize", "cudaEventSynchronize", "cudaDeviceSynchronize")
READS = ("aten::_local_scalar_dense", "aten::nonzero", "aten::is_nonzero")  # operators that make the host wait on a GPU
COPIES = "Memcpy "


def prefill_profile(work: Prefilled) -> dict[str, Any]:
    """From the start of `model.generate` to the first token, after a warm-up.

    ops: the TOP operators by their own time. waits: by name, counts of the runtime's waits; reads: of operators that
    read a tensor on the host; copies: of transfers by direction. places: file and line of every wait. Waits, copies
    and places exist on a GPU only.
    """
    device = work.task.adapter.device
    cuda = device.type == "cuda"
    _first_token(work)
    now(device)
    with profile(activities=[ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if cuda else [])]) as profiled:
        _first_token(work)
    names = Counter(event.name for event in profiled.events())
    return {
        "ops": _top(profiled, cuda),
        "waits": {name: names[name] for name in WAITS if names[name]},
        "reads": {name: names[name] for name in READS if names[name]},
        "copies": {name: count for name, count in names.items() if name.startswith(COPIES)},
        "places": _places(work) if cuda else {},
    }


@torch.inference_mode()
def _first_token(work: Prefilled) -> None:
    with work.pruning or nullcontext():
        work.task.adapter.model.generate(**work.packed.kwargs, max_new_tokens=1, do_sample=False, use_cache=True)


def _top(profiled: Any, cuda: bool) -> list[dict[str, Any]]:
    """Name, calls and own milliseconds of the slowest operators: of their kernels on a GPU."""
    own = "self_device_time_total" if cuda else "self_cpu_time_total"  # microseconds
    operators = [
        each for each in profiled.key_averages() if each.device_type == DeviceType.CPU
    ]  # kernels are their parts
    slowest = sorted(operators, key=lambda each: -getattr(each, own))[:TOP]
    return [{"name": each.key, "calls": each.count, "ms": getattr(each, own) / 1000} for each in slowest]


def _places(work: Prefilled) -> dict[str, int]:
    """How often each line of Python made the host wait, by CUDA's own warnings."""
    before = torch.cuda.get_sync_debug_mode()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        try:
            _first_token(work)
        finally:
            torch.cuda.set_sync_debug_mode(before)
    lines = [f"{each.filename}:{each.lineno}" for each in caught if "synchroniz" in str(each.message)]
    return dict(Counter(lines).most_common())
