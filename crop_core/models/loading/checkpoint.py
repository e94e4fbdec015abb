"""Validation of a checkpoint folder before loading: completeness, dtypes and shapes of its weights; its revision.

Knows nothing of families and of the hub. Only weight headers are read.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from crop_core.models.adapter import ModelError

WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"
PICKLED = ("pytorch_model*.bin", "*.pth", "*.pt", "*.ckpt", "*.gguf")  # unsupported weight formats
TOKENIZER = ("tokenizer.json", "tokenizer.model", "vocab.json")
PROCESSOR, IMAGES = "processor_config.json", "preprocessor_config.json"
GENERATION = "generation_config.json"
JSON = (PROCESSOR, IMAGES, "tokenizer.json", "tokenizer_config.json", GENERATION, "chat_template.json")
ADAPTER = "adapter_config.json"
MODEL_FILES = (".json", ".jinja", ".model", ".safetensors", ".txt")
BEGINNING = 2**20  # bytes of a file: all of a small one, the header of weights
AGAIN = "download or copy it again"


@dataclass(frozen=True)
class StoredTensor:
    """A tensor in a weight file: dtype as written by safetensors ("BF16"), and shape."""

    dtype: str
    shape: list[int]


def read_config(name: str, folder: Path) -> dict[str, Any]:
    """config.json of a checkpoint; ModelError if it is truncated."""
    return _json(name, folder / "config.json")


def read_generation(name: str, folder: Path) -> dict[str, Any]:
    """generation_config.json of a checkpoint; empty where there is none."""
    return _json(name, folder / GENERATION) if (folder / GENERATION).is_file() else {}


def read_images(name: str, folder: Path) -> dict[str, Any]:
    """preprocessor_config.json of a checkpoint; empty where there is none."""
    return _json(name, folder / IMAGES) if (folder / IMAGES).is_file() else {}


def validate_checkpoint(name: str, folder: Path) -> dict[str, StoredTensor]:
    """Check that a checkpoint is complete; returns every tensor of the weights by name.

    Raises ModelError for a folder without safetensors weights, tokenizer or image processor, for missing files of the
    index, for truncated files, and for an adapter that is not merged.
    """
    check_merged(name, folder)
    tensors: dict[str, StoredTensor] = {}
    for file in _weight_files(name, folder):
        tensors |= _tensors(name, folder / file)
    for file in JSON:
        if (folder / file).is_file():
            _json(name, folder / file)
    if not any((folder / file).is_file() for file in TOKENIZER):
        raise ModelError(f"{name} has no tokenizer (no {TOKENIZER[0]} or {TOKENIZER[1]}); {AGAIN}, with every file.")
    if not _has_image_processor(name, folder):
        raise ModelError(
            f"{name} has no image processor (no {IMAGES}, nor one in {PROCESSOR}); add that of the model that it was "
            f"made from, or {AGAIN}, with every file."
        )
    return tensors


def revision(folder: Path) -> str:
    """Commit of a checkpoint in the hub's cache; else a digest of its files: their names, sizes and beginnings."""
    if folder.parent.name == "snapshots":
        return folder.name
    digest = sha256()
    for file in sorted(each for each in folder.iterdir() if each.suffix in MODEL_FILES and each.is_file()):
        digest.update(f"{file.name} {file.stat().st_size} ".encode())
        with file.open("rb") as opened:
            digest.update(opened.read(BEGINNING))
    return f"files {digest.hexdigest()[:12]}"


def check_merged(name: str, folder: Path) -> None:
    """ModelError for an adapter such as LoRA's, which is no model by itself."""
    if (folder / ADAPTER).is_file():
        base = _json(name, folder / ADAPTER).get("base_model_name_or_path")
        raise ModelError(
            f"{name} is an adapter of {base} ({ADAPTER}); merge it into that model (peft's merge_and_unload) and save "
            "the result with its processor."
        )


def _has_image_processor(name: str, folder: Path) -> bool:
    if (folder / IMAGES).is_file():
        return True
    return (folder / PROCESSOR).is_file() and "image_processor" in _json(name, folder / PROCESSOR)


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
