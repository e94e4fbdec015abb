"""How to measure the same again: what every file of results says beside its figures."""

from __future__ import annotations

import platform
import sys
from typing import Any

import torch
import transformers

from crop_core.bench.heldout import HELD_OUT_SEEDS


def circumstances(module: str, device: str, dtype: str = "float32") -> dict[str, Any]:
    """Command, seed of the held-out questions, device, dtype and versions of `python -m module` as it was called."""
    return {
        "command": " ".join([f"python -m {module}", *sys.argv[1:]]),
        "seed": HELD_OUT_SEEDS,
        "device": device,
        "dtype": dtype,
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "transformers": transformers.__version__,
        },
    }
