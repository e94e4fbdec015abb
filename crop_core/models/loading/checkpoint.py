"""Validation of a checkpoint folder before loading: completeness, dtypes and shapes of its weights; its revision.

Knows nothing of families and of the hub. Only weight headers are read.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from crop_core.models.adapter import ModelError
from crop_core.models.loading.failure import quantized_by
from crop_core.records.formatting import truncated_repr

WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"
PICKLED = "pytorch_model*.bin"  # which transformers reads
FOREIGN = ("*.gguf", "*.pth", "*.pt", "*.ckpt", "*.h5", "*.msgpack", "*.onnx", "onnx/*.onnx", "global_step*/*.pt")
TOKENIZER = ("tokenizer.json", "tokenizer.model", "vocab.json")
PROCESSOR, IMAGES = "processor_config.json", "preprocessor_config.json"
GENERATION = "generation_config.json"
TEMPLATE, TEMPLATES = "chat_template.jinja", "additional_chat_templates"
TEMPLATE_JSON = "chat_template.json"
JSON = (PROCESSOR, IMAGES, "tokenizer.json", "tokenizer_config.json", GENERATION, TEMPLATE_JSON)
ADAPTER = "adapter_config.json"
MODEL_FILES = (".json", ".jinja", ".model", ".safetensors", ".txt")
BEGINNING = 2**20  # bytes of a file: all of a small one, the header of weights
UNREAD = tuple((each, "take the checkpoint in safetensors that it was made from") for each in FOREIGN)
AGAIN = "download or copy it again"
LFS = b"version https://git-lfs"  # beginning of a pointer of Git LFS


@dataclass(frozen=True)
class StoredTensor:
    """A tensor in a weight file: dtype as written by safetensors ("BF16"), and shape."""

    dtype: str
    shape: list[int]


def read_config(name: str, folder: Path) -> dict[str, Any]:
    """config.json of a checkpoint; ModelError for one that is truncated or has a wrong value."""
    config = _json(name, folder / "config.json")
    if isinstance(config.get("architectures"), str):
        config["architectures"] = [config["architectures"]]
    parts = [config, *(part for key in ("text_config", "vision_config") if isinstance(part := config.get(key), dict))]
    for part in parts:
        for key, (fits, form) in FIELDS.items():
            if not fits(part.get(key)) and (part is config or key != "model_type"):
                raise ModelError(
                    f"In config.json of {name} {key} is {truncated_repr(part.get(key))}, and must be {form}; correct "
                    "it, or take the config.json of the model that it was made from."
                )
    return config


def _is_dtype(value: Any) -> bool:
    """Whether transformers finds a precision by this value of a config."""
    return not isinstance(value, str) or isinstance(getattr(torch, value, None), torch.dtype)


FIELDS: dict[str, tuple[Callable[[Any], bool], str]] = {  # of config.json and its parts
    "model_type": (lambda value: isinstance(value, str), 'a text such as "llava"'),
    "architectures": (
        lambda value: value is None or (isinstance(value, list) and all(isinstance(each, str) for each in value)),
        "a list of class names",
    ),
    "quantization_config": (lambda value: value is None or isinstance(value, dict), "an object"),
    **dict.fromkeys(("dtype", "torch_dtype"), (_is_dtype, "a precision of PyTorch, such as float16")),
}


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
    _check_dtypes(name, folder, tensors)
    for file in JSON:
        if (folder / file).is_file():
            _check_template(name, file, _json(name, folder / file))
    for path in (folder / TEMPLATE, *folder.glob(f"{TEMPLATES}/*.jinja")):
        if path.is_file():
            _text(name, path)
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
        base = _json(name, folder / ADAPTER).get("base_model_name_or_path") or "another model"
        raise ModelError(
            f"{name} is an adapter of {base} ({ADAPTER}); merge it into that model (peft's merge_and_unload) and save "
            "the result with its processor."
        )


def config_below(folder: Path) -> str:
    """Name of a folder below that holds a checkpoint, such as checkpoint-500 or snapshots/COMMIT; "" for none."""
    found = [config for pattern in ("*", "snapshots/*") for config in folder.glob(f"{pattern}/config.json")]
    return max(found, key=lambda config: config.stat().st_mtime).parent.relative_to(folder).as_posix() if found else ""


def _has_image_processor(name: str, folder: Path) -> bool:
    if (folder / IMAGES).is_file():
        return True
    return (folder / PROCESSOR).is_file() and "image_processor" in _json(name, folder / PROCESSOR)


def _weight_files(name: str, folder: Path) -> list[str]:
    if (folder / WEIGHTS).is_file():
        return [WEIGHTS]
    if (folder / INDEX).is_file():
        files = _indexed(name, _json(name, folder / INDEX).get("weight_map"))
        missing = [file for file in files if not (folder / file).is_file()]
        if missing or not files:
            raise ModelError(
                f"{name} is not whole: {len(missing)} of its {len(files)} weight files are missing"
                f"{', such as ' + missing[0] if missing else ''}; {AGAIN}."
            )
        return files
    for pattern, advice in ((PICKLED, "convert it with transformers: from_pretrained, then save_pretrained"), *UNREAD):
        if found := sorted(folder.glob(pattern)):
            raise ModelError(f"{name} keeps its weights in {found[0].name}, and only safetensors are read; {advice}.")
    others = sorted(path.name for path in folder.glob("*.safetensors"))
    lacks = f"no {WEIGHTS} or {INDEX}{', only ' if others else ''}{', '.join(others[:3])}"
    if gone := [path.name for path in folder.iterdir() if path.is_symlink() and not path.exists()]:
        lacks = f"{sorted(gone)[0]} is a link to a file that is not there"
    raise ModelError(f"{name} has a config.json but no weights ({lacks}); {AGAIN}, with every file.")


def _indexed(name: str, weight_map: Any) -> list[str]:
    """The files of an index, all of them in its folder; ModelError for an index without a map from tensors to files."""
    files: set[Any] = set(weight_map.values()) if isinstance(weight_map, dict) else set()
    if files and all(isinstance(file, str) and file == Path(file).name for file in files):
        return sorted(files)
    raise ModelError(f"{INDEX} of {name} does not tell in which of its files each tensor is (weight_map); {AGAIN}.")


def _tensors(name: str, path: Path) -> dict[str, StoredTensor]:
    """Tensors from the header, which safetensors checks against the file's length."""
    try:
        with safe_open(path, framework="pt") as weights:
            slices = {key: weights.get_slice(key) for key in weights.keys()}  # noqa: SIM118 - no mapping
            return {key: StoredTensor(str(each.get_dtype()), each.get_shape()) for key, each in slices.items()}
    except OSError as error:
        raise ModelError(
            f"{path.name} of {name} cannot be read ({error.strerror or error}); allow it, or {AGAIN}."
        ) from error
    except SafetensorError as error:
        with path.open("rb") as stream:
            _check_pointer(name, path, stream.read(len(LFS)))
        raise ModelError(f"{path.name} of {name} is cut off or no weight file; {AGAIN}.") from error


def _check_dtypes(name: str, folder: Path, tensors: Mapping[str, StoredTensor]) -> None:
    """ModelError for weights that no quantization is named for, in whole or complex numbers or in 8 bits with scales of
    their own: they would be taken as they are.
    """
    scaled = {key.partition("_scale")[0] for key in tensors}
    coded = (
        key
        for key, each in tensors.items()
        if key.endswith(".weight")
        and (each.dtype.startswith(("I", "U", "BOOL", "C")) or (each.dtype.startswith("F8") and key in scaled))
    )
    if (found := next(coded, None)) and not quantized_by(folder):
        raise ModelError(
            f"{name} keeps {found} in {tensors[found].dtype}, and its config.json names no quantization; take the "
            "quantization_config of the model that it was made from."
        )


def _check_template(name: str, file: str, data: Mapping[str, Any]) -> None:
    """ModelError for a chat template in a JSON file that has another form than transformers reads."""
    template = data.get("chat_template")
    texts = template if isinstance(template, dict) else {"default": template}
    if isinstance(template, list):
        named = all(isinstance(each, dict) and isinstance(each.get("name"), str) for each in template)
        texts = dict(enumerate(each.get("template", 0) if named else 0 for each in template))
    missing = file == TEMPLATE_JSON and template is None
    if missing or not all(isinstance(each, str | None) for each in texts.values()):
        raise ModelError(
            f"In {file} of {name} chat_template is {truncated_repr(template)}, and must be a text, or a list of named "
            "ones ({name, template}); correct it."
        )


def _json(name: str, path: Path) -> dict[str, Any]:
    text = _text(name, path)
    if text.startswith("\ufeff"):
        raise ModelError(
            f"{path.name} of {name} begins with a byte order mark, which transformers does not read; save it as UTF-8 "
            "without one."
        )
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        where = f" (line {error.lineno})" if isinstance(error, json.JSONDecodeError) else ""
        raise ModelError(f"{path.name} of {name} is cut off or no JSON{where}; {AGAIN}.") from error
    if not isinstance(data, dict):
        raise ModelError(f"{path.name} of {name} holds no JSON object; {AGAIN}.")
    return data


def _text(name: str, path: Path) -> str:
    """Text of a file; ModelError where it cannot be read, is a pointer of Git LFS, or not in UTF-8."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path.name} of {name} cannot be read ({error.strerror}); allow it, or {AGAIN}.") from error
    _check_pointer(name, path, content)
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise ModelError(f"{path.name} of {name} is not written in UTF-8; save it so, or {AGAIN}.") from error


def _check_pointer(name: str, path: Path, content: bytes) -> None:
    """ModelError for a file that is only named: a pointer of Git LFS."""
    if content.startswith(LFS):
        raise ModelError(
            f"{path.name} of {name} is a pointer of Git LFS and not the file itself; run git lfs pull, or {AGAIN}."
        )
