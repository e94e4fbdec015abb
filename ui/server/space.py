"""Hugging Face Space: whether this is one, and the model that it gets where no setting names one.

A Space with a GPU shows a model that reads photographs; one without shows the bundled one. Imports torch only there.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from ui.server.settings import BUNDLED, Settings
from ui.server.startup import tell

GIB = 2**30
ZERO_BYTES = 70 * GIB  # of ZeroGPU while a request runs; at the start there is no GPU
# Memory of a GPU from which a model is the default: 24 and 16 GB, of which drivers leave 22 and 14.5 GiB.
GPU_MODELS = ((21 * GIB, "Qwen/Qwen2.5-VL-7B-Instruct"), (14 * GIB, "Qwen/Qwen2.5-VL-3B-Instruct"))


def on_space(environ: Mapping[str, str] | None = None) -> bool:
    """Whether this is a Space."""
    return bool((os.environ if environ is None else environ).get("SPACE_ID"))


def on_zero(environ: Mapping[str, str] | None = None) -> bool:
    """Whether this is a Space on ZeroGPU."""
    return (os.environ if environ is None else environ).get("SPACES_ZERO_GPU", "").lower() in ("1", "t", "true")


def choose_model(settings: Settings) -> Settings:
    """Settings with a model: their own, or the default of this machine, told where it is not the bundled one."""
    if settings.model:
        return settings
    model = default_model()
    if model != BUNDLED[0]:
        tell(f"{model} is the default on this GPU; CROP_MODEL={BUNDLED[0]} would be the bundled one")
    return settings.model_copy(update={"model": model})


def default_model() -> str:
    """The largest of GPU_MODELS that fits the GPU of this Space; the bundled model where none does, or elsewhere."""
    memory = _gpu_bytes() if on_space() else 0
    return next((name for least, name in GPU_MODELS if memory >= least), BUNDLED[0])


def _gpu_bytes() -> int:
    """Memory of the GPU that a model is loaded to; 0 without one."""
    if on_zero():
        return ZERO_BYTES
    import torch

    return int(torch.cuda.get_device_properties(0).total_memory) if torch.cuda.is_available() else 0
