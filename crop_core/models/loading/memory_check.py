"""Memory check before loading: bytes needed by the weights against free memory.

OURS: a tenth of the weights is added for activations and the KV cache.
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
_MEMORY = Path("/proc/meminfo")  # Linux; not checked on other systems


def weights_bytes_needed(tensors: Mapping[str, Any], dtype: torch.dtype, quantize: str | None = None) -> int:
    """Bytes of the loaded weights. tensors: name -> dtype as safetensors writes it, and shape."""
    return sum(math.ceil(math.prod(each.shape) * _size(name, each, dtype, quantize)) for name, each in tensors.items())


def check_memory(name: str, tensors: Mapping[str, Any], place: Placement) -> None:
    """ModelError, with the bytes needed and free, for a model that is too large for its device.

    Not checked for models spread over devices and disk, unless they are quantized.
    """
    needed = int(weights_bytes_needed(tensors, place.dtype, place.quantize) * (1 + ALLOWANCE))
    free = free_bytes(place)
    if free is not None and needed > free:
        raise ModelError(
            f"{name} needs about {formatting.format_bytes(needed)} of memory on {place.title} ({place.precision}), and "
            f"{formatting.format_bytes(free)} are free; {' or '.join(_remedies(place))}."
        )


def free_bytes(place: Placement) -> int | None:
    """Free bytes on the target device; None if unknown or unlimited."""
    if place.device is None:
        spread_over_gpus = place.quantize is not None and torch.cuda.is_available()
        return sum(map(_free_on, range(torch.cuda.device_count()))) if spread_over_gpus else None
    if place.device.type == "cuda":
        return _free_on(place.device)
    return _free_ram() if place.device.type == "cpu" else None


def _free_on(device: torch.device | int) -> int:
    """Free bytes of one GPU, including memory reserved but unused by this process."""
    unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return int(torch.cuda.mem_get_info(device)[0]) + unused


def _free_ram() -> int | None:
    try:
        available = re.search(r"^MemAvailable:\s+(\d+) kB$", _MEMORY.read_text(), re.MULTILINE)
    except OSError:
        return None
    return int(available[1]) * 1024 if available else None


def _size(name: str, tensor: Any, dtype: torch.dtype, quantize: str | None) -> float:
    """Bytes of one element; floating-point ones are converted to `dtype`."""
    if not tensor.dtype.startswith(("F", "BF")):
        bits = re.search(r"\d+$", tensor.dtype)
        return int(bits[0]) / 8 if bits else 1  # BOOL
    return BYTES[quantize] if quantize and is_quantized(name, tensor.shape) else dtype.itemsize


def _remedies(place: Placement) -> list[str]:
    remedies = ["load it in bfloat16"] if place.dtype == torch.float32 else []
    remedies += ["quantize it"] if place.quantize is None else []
    remedies += ["spread it with the device 'auto'"] if place.device is not None else []
    return [*remedies, "use a smaller model"]
