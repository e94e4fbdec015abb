"""Find the adapter of a checkpoint by its config.model_type, and load it: a bundled name, a local folder or a hub id.

The one place that knows the bundled names. Only safetensors weights are read and no code from a checkpoint is run.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import AutoConfig

from crop_core.models.families import FAMILIES, Family
from crop_core.models.processors import load_processor
from crop_core.models.protocol import Adapter, ModelError

DEFAULT_MODEL = "crop-tiny"
DEFAULT_LOCALIZER = "crop-tiny-locator"
ATTENTIONS = ("sdpa", "eager")
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
_FOLDER = Path(__file__).resolve().parents[2] / "assets" / "models"
_BUNDLED = {
    DEFAULT_MODEL: "answers questions about the bundled pictures",
    DEFAULT_LOCALIZER: "localizer of the bundled pictures: answers with a region of the 8x8 grid",
}


@dataclass(frozen=True)
class ModelInfo:
    """One line of `available`: kind is "bundled" (name loads as it is) or "family" (name is an example hub id)."""

    name: str
    kind: str
    family: str
    description: str


def available() -> list[ModelInfo]:
    """What can be loaded: the bundled models that are on disk, then the supported families."""
    bundled = [
        ModelInfo(name, "bundled", FAMILIES["llava"].title, text)
        for name, text in _BUNDLED.items()
        if (_FOLDER / name / "config.json").is_file()
    ]
    families = [
        ModelInfo(row.example, "family", row.title, f"hub id or local folder with config.model_type {key!r}")
        for key, row in FAMILIES.items()
    ]
    return bundled + families


def load(
    name: str | Path,
    device: str | torch.device | None = None,
    dtype: str | torch.dtype | None = None,
    attn: str | None = None,
) -> Adapter:
    """Load a model and its processor and return its adapter, in eval mode.

    name: a bundled name, a local folder, or a hub id ("owner/name").
    device: None means cuda when there is one, else cpu. dtype: None means float32 on cpu and bfloat16 elsewhere.
    attn: "sdpa" or "eager"; None means sdpa, or eager for language models that have no other (Gemma 2).
    Raises ModelError, with one sentence, for anything that cannot be loaded.
    """
    where = _device(device)
    precision = _dtype(dtype, where)
    if attn not in (None, *ATTENTIONS):
        raise ModelError(f"The attention implementation {attn!r} is not supported; use one of {', '.join(ATTENTIONS)}.")
    source = _source(str(name))
    family = _family(str(name), source)
    processor = _guarded(str(name), "processor", partial(load_processor, family.processor_class), source)
    model, info = _guarded(
        str(name),
        "model",
        family.model_class.from_pretrained,
        source,
        dtype=precision,
        attn_implementation=attn,
        use_safetensors=True,
        output_loading_info=True,
    )
    if info["missing_keys"]:
        raise ModelError(
            f"The weights of {name} lack {len(info['missing_keys'])} tensors of a {family.title} model, "
            f"such as {sorted(info['missing_keys'])[0]}; save the whole model again."
        )
    return family.adapter(str(name), model.to(where).eval(), processor)


def _source(name: str) -> str:
    """The folder or hub id behind a name."""
    folder = _FOLDER / name if name in _BUNDLED else Path(name).expanduser()
    if folder.is_dir() and not (folder / "config.json").is_file():
        raise ModelError(f"The folder {name} holds no model (no config.json); {_supported()}.")
    looks_like_path = name.startswith((".", "~", "/")) or name.count("/") != 1
    if not folder.is_dir() and looks_like_path:
        raise ModelError(f"There is no model {name!r}; {_supported()}.")
    return str(folder) if folder.is_dir() else name


def _family(name: str, source: str) -> Family:
    config = _guarded(name, "config", AutoConfig.from_pretrained, source)
    if config.model_type not in FAMILIES:
        raise ModelError(f"{name} is a {config.model_type!r} model, which is not supported; {_supported()}.")
    family = FAMILIES[config.model_type]
    family.adapter.check(name, config)
    return family


def _guarded(name: str, what: str, loader: Any, source: str, **kwargs: Any) -> Any:
    """Call a from_pretrained; its many kinds of failure become one ModelError."""
    try:
        return loader(source, trust_remote_code=False, **kwargs)
    except ModelError:
        raise
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, ImportError, SafetensorError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
        raise ModelError(f"The {what} of {name} cannot be loaded ({reason}); {_supported()}.") from error


def _supported() -> str:
    bundled = [info.name for info in available() if info.kind == "bundled"]
    *titles, last = [row.title for row in FAMILIES.values()]
    return (
        f"supported are {', '.join(bundled)}, and checkpoints in safetensors of {', '.join(titles)} and {last} "
        f"(such as {FAMILIES['llava'].example}), as a hub id or a local folder"
    )


def _device(device: str | torch.device | None) -> torch.device:
    if device is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        where = torch.device(device)
        torch.empty(0, device=where)
    except (RuntimeError, AssertionError) as error:
        raise ModelError(f"The device {str(device)!r} cannot be used here; use 'cpu', or 'cuda' with a GPU.") from error
    return where


def _dtype(dtype: str | torch.dtype | None, device: torch.device) -> torch.dtype:
    if dtype is None:
        return torch.float32 if device.type == "cpu" else torch.bfloat16
    found = DTYPES.get(str(dtype).removeprefix("torch."))
    if found is None:
        raise ModelError(f"The dtype {str(dtype)!r} is not supported; use one of {', '.join(DTYPES)}.")
    return found
