"""Whether a model fits: what its weights will take, against what is free, before any of them is read.

The allowance beside the weights is OURS: a tenth of them, for activations and the KV cache.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from crop_core.models.adapter import ModelError
from crop_core.models.loading.placement import Placement
from crop_core.models.loading.quantization import BYTES, is_quantized
from crop_core.records import formatting

ALLOWANCE = 0.1  # of the weights
_MEMORY = Path("/proc/meminfo")  # Linux; elsewhere nothing is checked


def weights_bytes_needed(tensors: Mapping[str, Any], dtype: torch.dtype, quantize: str | None = None) -> int:
    """Bytes of the weights once they are loaded. tensors: name -> dtype as safetensors writes it, and shape."""
    return sum(math.ceil(math.prod(each.shape) * _size(name, each, dtype, quantize)) for name, each in tensors.items())


def check_memory(name: str, tensors: Mapping[str, Any], place: Placement) -> None:
    """ModelError, with how much is needed and how much is free, for a model that is too large for its device.

    Where a model may be spread over devices and the disk it always fits, unless it is quantized: not checked.
    """
    needed = int(weights_bytes_needed(tensors, place.dtype, place.quantize) * (1 + ALLOWANCE))
    free = free_bytes(place)
    if free is not None and needed > free:
        raise ModelError(
            f"{name} needs about {formatting.format_bytes(needed)} of memory on {place.title} ({place.precision}), and "
            f"{formatting.format_bytes(free)} are free; {' or '.join(_ways_out(place))}."
        )


def free_bytes(place: Placement) -> int | None:
    """What is free where the weights will lie, None where that is not known or not limited."""
    if place.device is None:
        spread_over_gpus = place.quantize is not None and torch.cuda.is_available()
        return sum(map(_free_on, range(torch.cuda.device_count()))) if spread_over_gpus else None
    if place.device.type == "cuda":
        return _free_on(place.device)
    return _free_ram() if place.device.type == "cpu" else None


def _free_on(device: torch.device | int) -> int:
    """Of one GPU, with what this process holds and does not use."""
    unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return int(torch.cuda.mem_get_info(device)[0]) + unused


def _free_ram() -> int | None:
    try:
        found = re.search(r"^MemAvailable:\s+(\d+) kB$", _MEMORY.read_text(), re.MULTILINE)
    except OSError:
        return None
    return int(found[1]) * 1024 if found else None


def _size(name: str, tensor: Any, dtype: torch.dtype, quantize: str | None) -> float:
    """Bytes of one element; floating ones take on the dtype that was asked for."""
    if not tensor.dtype.startswith(("F", "BF")):
        bits = re.search(r"\d+$", tensor.dtype)
        return int(bits[0]) / 8 if bits else 1  # BOOL
    return BYTES[quantize] if quantize and is_quantized(name, tensor.shape) else dtype.itemsize


def _ways_out(place: Placement) -> list[str]:
    ways = ["load it in bfloat16"] if place.dtype == torch.float32 else []
    ways += ["quantize it"] if place.quantize is None else []
    ways += ["spread it with the device 'auto'"] if place.device is not None else []
    return [*ways, "use a smaller model"]
