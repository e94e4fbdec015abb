"""Validation of a checkpoint folder before loading: completeness, and dtypes and shapes of its weights.

Knows nothing of families and of the hub. Only weight headers are read.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from crop_core.models.adapter import ModelError

WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"
PICKLED = ("pytorch_model*.bin", "*.pth", "*.pt", "*.ckpt", "*.gguf")  # unsupported weight formats
TOKENIZER = ("tokenizer.json", "tokenizer.model", "vocab.json")
PROCESSOR = ("processor_config.json", "preprocessor_config.json")
JSON = (*PROCESSOR, "tokenizer.json", "tokenizer_config.json", "generation_config.json", "chat_template.json")
AGAIN = "download or copy it again"


@dataclass(frozen=True)
class StoredTensor:
    """A tensor in a weight file: dtype as written by safetensors ("BF16"), and shape."""

    dtype: str
    shape: list[int]


def read_config(name: str, folder: Path) -> dict[str, Any]:
    """config.json of a checkpoint; ModelError if it is truncated."""
    return _json(name, folder / "config.json")


def validate_checkpoint(name: str, folder: Path) -> dict[str, StoredTensor]:
    """Check that a checkpoint is complete; returns every tensor of the weights by name.

    Raises ModelError for a folder without safetensors weights, tokenizer or processor, for missing files of the index,
    and for truncated files.
    """
    tensors: dict[str, StoredTensor] = {}
    for file in _weight_files(name, folder):
        tensors |= _tensors(name, folder / file)
    for what, files in (("tokenizer", TOKENIZER), ("processor", PROCESSOR)):
        if not any((folder / file).is_file() for file in files):
            raise ModelError(f"{name} has no {what} (no {files[0]} or {files[1]}); {AGAIN}, with every file.")
    for file in JSON:
        if (folder / file).is_file():
            _json(name, folder / file)
    return tensors


def _weight_files(name: str, folder: Path) -> list[str]:
    if (folder / WEIGHTS).is_file():
        return [WEIGHTS]
    if (folder / INDEX).is_file():
        files = sorted(set(_json(name, folder / INDEX).get("weight_map", {}).values()))
        missing = [file for file in files if not (folder / file).is_file()]
        if missing or not files:
            raise ModelError(
                f"{name} is not whole: {len(missing)} of its {len(files)} weight files are missing"
                f"{', such as ' + missing[0] if missing else ''}; {AGAIN}."
            )
        return files
    pickled = [path.name for pattern in PICKLED for path in sorted(folder.glob(pattern))]
    if pickled:
        raise ModelError(
            f"{name} keeps its weights in {pickled[0]}, and only safetensors are read; convert it with transformers: "
            "from_pretrained, then save_pretrained."
        )
    raise ModelError(f"{name} has a config.json but no weights (no {WEIGHTS} or {INDEX}); {AGAIN}, with every file.")


def _tensors(name: str, path: Path) -> dict[str, StoredTensor]:
    """Tensors from the header, which safetensors checks against the file's length."""
    try:
        with safe_open(path, framework="pt") as weights:
            slices = {key: weights.get_slice(key) for key in weights.keys()}  # noqa: SIM118 - no mapping
            return {key: StoredTensor(str(each.get_dtype()), each.get_shape()) for key, each in slices.items()}
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{path.name} of {name} is cut off or no weight file; {AGAIN}.") from error


def _json(name: str, path: Path) -> dict[str, Any]:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{path.name} of {name} is cut off or no JSON; {AGAIN}.") from error
    if not isinstance(data, dict):
        raise ModelError(f"{path.name} of {name} holds no JSON object; {AGAIN}.")
    return data
