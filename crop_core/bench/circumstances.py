"""How to measure the same again: what every file of results says beside its figures."""

from __future__ import annotations

import platform
import sys
from typing import Any

import torch
import transformers


def circumstances(module: str, device: str, dtype: str = "float32") -> dict[str, Any]:
    """Command, device, dtype and versions of `python -m module` as it was called."""
    return {
        "command": " ".join([f"python -m {module}", *sys.argv[1:]]),
        "device": device,
        "dtype": dtype,
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "transformers": transformers.__version__,
        },
    }
