"""From an error of transformers while it loads a checkpoint to one sentence: the cause, and what to do about it.

Another download helps against damaged files only, not where a package or a GPU is missing.
"""

from __future__ import annotations

import json
import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch

from crop_core.models.adapter import ModelError
from crop_core.records.formatting import first_line

MAX_REASON = 240  # characters
_PACKAGE = re.compile(r"pip install|No module named")
_GPU = re.compile(r"\b(GPUs?|CUDA|XPU|MPS|compute capability)\b", re.IGNORECASE)
_PIP = {"sentencepiece": "sentencepiece protobuf", "tiktoken": "tiktoken"}
_TIKTOKEN = re.compile(rb"[A-Za-z0-9+/]+=* \d+\s")  # a line of a tiktoken file


def load_error(name: str, what: str, folder: Path, error: Exception) -> ModelError:
    """The sentence for an error of loading the config, processor or model of a checkpoint."""
    if isinstance(error, ModelError):
        return error
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return ModelError(
            f"{name} does not fit into the memory that is free; use a smaller dtype, quantize it, spread it with the "
            "device 'auto', or use a smaller model."
        )
    missing = "there is no " if isinstance(error, KeyError) else ""
    reason = _shortened(missing + first_line(error).replace(str(folder), name))
    method = quantized_by(folder) if what == "model" else None
    if method:
        advice = f"{_advice(error)}, or use the checkpoint that is not quantized"
        return ModelError(f"{name} is quantized by {method}, which cannot be loaded here ({reason}); {advice}.")
    if package := what == "processor" and _tokenizer_package(folder, error):
        return ModelError(
            f"The tokenizer of {name} is a tokenizer.model without tokenizer.json, which needs {package}; run "
            f"pip install {_PIP[package]}, or add the tokenizer.json of the model that it was made from."
        )
    advice = _advice(error) if isinstance(error, ImportError) else "download or save it again"
    return ModelError(f"The {what} of {name} cannot be loaded ({reason}); {advice}.")


def _shortened(reason: str) -> str:
    """Without the end of a long one: transformers lists all that it knows."""
    return reason if len(reason) <= MAX_REASON else f"{reason[:MAX_REASON].rsplit(' ', 1)[0]} …"


def quantized_by(folder: Path) -> str | None:
    """The method by which a checkpoint's weights are quantized, such as "awq"; None for ordinary weights."""
    config: dict[str, Any] = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    stored = config.get("quantization_config") or (config.get("text_config") or {}).get("quantization_config")
    if not isinstance(stored, dict):
        return None
    older = stored.get("load_in_4bit") or stored.get("load_in_8bit")
    return str(stored.get("quant_method") or ("bitsandbytes" if older else "a method that it does not name"))


def _advice(error: Exception) -> str:
    message = str(error)
    if _GPU.search(message) and not _PACKAGE.search(message):
        return "load it on a machine with such a GPU"
    named = isinstance(error, ImportError) or _PACKAGE.search(message)
    return "install the package that is named" if named else "see what its model card asks for"


def _tokenizer_package(folder: Path, error: Exception) -> str | None:
    """The package that a lone tokenizer.model needs and that is missing."""
    file = folder / "tokenizer.model"
    if (folder / "tokenizer.json").is_file() or not file.is_file():
        return None
    with file.open("rb") as stream:
        package = "tiktoken" if _TIKTOKEN.match(stream.readline(1000)) else "sentencepiece"
    return package if find_spec(package) is None or "protobuf" in str(error) else None
