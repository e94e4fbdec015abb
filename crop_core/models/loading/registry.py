"""Load the adapter of a checkpoint by its config.model_type: a bundled name, a local folder or a hub id.

The one place that knows the bundled names. Only safetensors weights are read and no code from a checkpoint is run.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import torch
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES, MODEL_FOR_MASKED_LM_MAPPING_NAMES

from crop_core.io.assets import bundled
from crop_core.models.adapter import Adapter, ModelError
from crop_core.models.families.registry import FAMILIES, Family
from crop_core.models.loading import hub
from crop_core.models.loading.attention_backend import check_attention
from crop_core.models.loading.checkpoint import check_merged, config_below, read_config, validate_checkpoint
from crop_core.models.loading.loader import check_size, load_adapter, load_config, progress_bars
from crop_core.models.loading.memory_check import check_memory
from crop_core.models.loading.placement import Device, Placement
from crop_core.models.loading.quantization import quantization
from crop_core.records.formatting import first_line, truncated_repr

DEFAULT_MODEL = "crop-tiny"
DEFAULT_LOCALIZER = "crop-tiny-locator"
LARGE = 2**30  # bytes of weights
TEXT_MODELS = {*MODEL_FOR_CAUSAL_LM_MAPPING_NAMES, *MODEL_FOR_MASKED_LM_MAPPING_NAMES}
HUB_PAGE = re.compile(r"(?:https?://)?(?:huggingface\.co|hf\.co)/(?:models/)?([\w.-]+/[\w.-]+)")
Kind = TypeVar("Kind")
_FOLDER = bundled("models")
_BUNDLED = {
    DEFAULT_MODEL: "answers questions about the bundled images",
    DEFAULT_LOCALIZER: "localizer of the bundled images: answers with a region of the 8x8 grid",
}


class UnknownModelError(ModelError):
    """A name of neither a bundled model nor a folder, and of the form of no hub id."""


@dataclass(frozen=True)
class ModelInfo:
    """One line of `available`: kind is "bundled" (name loads as it is) or "family" (name is an example hub id)."""

    name: str
    kind: str
    family: str
    description: str


def available() -> list[ModelInfo]:
    """Loadable models: the bundled ones on disk, then the supported families."""
    shipped = [
        ModelInfo(name, "bundled", FAMILIES["llava"].title, text)
        for name, text in _BUNDLED.items()
        if (_FOLDER / name / "config.json").is_file()
    ]
    families = [
        ModelInfo(row.example, "family", row.title, f"hub id or local folder with config.model_type {key!r}")
        for key, row in FAMILIES.items()
    ]
    return shipped + families


def load(
    name: str | Path,
    device: Device | None = None,
    dtype: str | torch.dtype | None = None,
    attn: str | None = None,
    quantize: str | None = None,
) -> Adapter:
    """Load a model and its processor and return its adapter, in eval mode.

    name: a bundled name, a local folder, or a hub id ("owner/name"), which is downloaded where it is not there yet.
    device: None means cuda when there is one, else cpu; "auto" spreads the model over all GPUs, the memory and the
        disk, a mapping of module names to devices as it says (accelerate's device_map).
    dtype: None means float32 on cpu and bfloat16 elsewhere.
    attn: "sdpa", "eager" or "flash_attention_2"; None means the last where it is installed and can be used, else sdpa,
        or eager for language models that have no other (Gemma 2).
    quantize: "8bit" or "4bit" decoder layers, by bitsandbytes; None means none.
    The adapter is called by that name, of a folder by its last part. Raises ModelError, with one sentence, for anything
    that cannot be loaded; nothing that was loaded before changes.
    """
    place, name = Placement.of(device, dtype, quantize), str(name)
    check_attention(attn, place)
    quantization(place.quantize, place.dtype)  # fails before anything is downloaded
    with progress_bars(takes_long(name)):
        folder, family = fetched(name, place, _family)
        tensors = validate_checkpoint(name, folder)
        check_memory(name, tensors, place)
        check_size(name, folder, family, tensors)
        return load_adapter(display_name(name, folder), folder, family, place, attn)


def display_name(name: str, folder: Path) -> str:
    """Name shown to users: of a local folder only its last part, so that server paths stay private."""
    return folder.resolve().name if Path(name).expanduser().is_dir() and name not in _BUNDLED else name


def fetched(name: str, place: Placement, kind_of: Callable[[str, Path], Kind]) -> tuple[Path, Kind]:
    """Folder and kind of a name; of a hub id only the config is downloaded before `kind_of(name, folder)` may refuse it
    by a ModelError, and before its weights are found too large.
    """
    if (local := _local_folder(name)) is not None:
        return local, kind_of(name, local)
    folder, files = hub.repository_files(name)
    kind = kind_of(name, folder)
    if files and not any(folder.glob("*.safetensors")):
        check_memory(name, hub.remote_tensors(name, folder), place)
    hub.download(name, folder, files)
    return folder, kind


def _family(name: str, folder: Path) -> Family:
    """Family of a checkpoint by config.model_type, with its parts checked."""
    check_merged(name, folder)
    if not (folder / "config.json").is_file():
        below = config_below(folder)
        advice = f"its folder {below} does: name that one" if below else _supported()
        raise ModelError(f"The folder {name} holds no model (no config.json); {advice}.")
    config = read_config(name, folder)
    kind = config["model_type"]
    if kind not in FAMILIES:
        text_alone = kind in TEXT_MODELS and "vision_config" not in config
        why = "has no part that reads images" if text_alone else "is not supported"
        raise ModelError(f"{name} is a {kind!r} model, which {why}; {_supported()}.")
    family = FAMILIES[kind]
    made_for = config.get("architectures") or [family.model_class.__name__]
    if family.model_class.__name__ not in made_for:
        raise ModelError(
            f"{name} is made for the class {made_for[0]}, not for transformers' {family.model_class.__name__}; use its "
            f"conversion, as {family.example} is one."
        )
    family.adapter.check(name, load_config(name, folder))
    return family


def model_type(name: str | Path) -> str | None:
    """config.model_type of a bundled name, local folder or hub id, whose config is downloaded; None for a folder
    without one.

    Raises ModelError for a name that holds no config.
    """
    name = str(name)
    local = _local_folder(name)
    folder = hub.repository_files(name)[0] if local is None else local
    return read_config(name, folder)["model_type"] if (folder / "config.json").is_file() else None


def takes_long(name: str) -> bool:
    """Whether loading is worth a progress bar: a hub id, or a local folder with large weights."""
    folder = _local_folder(name)
    if folder is None or name in _BUNDLED:
        return folder is None
    return sum(file.stat().st_size for file in folder.glob("*.safetensors") if file.is_file()) > LARGE


def _local_folder(name: str) -> Path | None:
    """The folder of a bundled name or of a path; None for a hub id. ModelError for what can be neither."""
    if name in _BUNDLED:
        return _FOLDER / name
    reason = ""
    try:
        path = Path(name).expanduser()
        if name and path.is_dir():
            return path
        if path.is_file():
            raise ModelError(f"{name} is a file; name the folder that it is in, with config.json and all weights.")
    except (OSError, RuntimeError) as error:  # such as a folder that is closed to this user, or an unknown ~user
        reason = f" ({getattr(error, 'strerror', None) or first_line(error)})"
    if page := HUB_PAGE.match(name):
        raise ModelError(f"{name} is an address; give the name of the model alone, {page[1]}.")
    if reason or name.startswith((".", "~", "/")) or name.count("/") != 1:
        kind = ModelError if reason else UnknownModelError
        raise kind(f"There is no model {truncated_repr(name)}{reason}; {_supported()}.")
    return None


def _supported() -> str:
    shipped = [info.name for info in available() if info.kind == "bundled"]
    *titles, last = [row.title for row in FAMILIES.values()]
    return (
        f"supported are {', '.join(shipped)}, and checkpoints in safetensors of {', '.join(titles)} and {last} "
        f"(such as {FAMILIES['llava'].example}), as a hub id or a local folder"
    )
