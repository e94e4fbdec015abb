"""From a whole checkpoint folder to an adapter: config, processor and weights by transformers, on the chosen devices.

Only safetensors weights are read and no code from a checkpoint is run. Knows nothing of names and of the hub.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import AutoConfig
from transformers.utils import logging

from crop_core.models.adapter import Adapter, ModelError
from crop_core.models.families.registry import Family
from crop_core.models.loading import attention_backend
from crop_core.models.loading.placement import Placement
from crop_core.models.loading.processors import load_processor
from crop_core.models.loading.quantization import quantization

REFUSALS = (OSError, ValueError, KeyError, TypeError, RuntimeError, ImportError, SafetensorError)


def load_config(name: str, folder: Path) -> Any:
    """The transformers config of a checkpoint."""
    return _guarded(name, "config", AutoConfig.from_pretrained, folder)


def load_adapter(name: str, folder: Path, family: Family, place: Placement, attn: str | None) -> Adapter:
    """The adapter of a checkpoint, in eval mode; ModelError for what transformers cannot load."""
    processor = _guarded(name, "processor", partial(load_processor, family.processor_class), folder)
    attn = attention_backend.attention(attn, family, place)
    model, info = _guarded(
        name,
        "model",
        family.model_class.from_pretrained,
        folder,
        dtype=place.dtype,
        device_map=place.map,
        quantization_config=quantization(place.quantize, place.dtype),
        attn_implementation=attn,
        use_safetensors=True,
        output_loading_info=True,
    )
    if info["missing_keys"]:
        raise ModelError(
            f"The weights of {name} lack {len(info['missing_keys'])} tensors of a {family.title} model, "
            f"such as {sorted(info['missing_keys'])[0]}; save the whole model again."
        )
    adapter = family.adapter(name, model.eval(), processor, folder)
    if attn == attention_backend.NAME:
        attention_backend.hide_positions(adapter.stack.layers)
    return adapter


@contextmanager
def bars(shown: bool) -> Iterator[None]:
    """Bars of the downloads and of loading on standard error, or none; either way as before at the end."""
    hidden = not shown and logging.is_progress_bar_enabled()
    if hidden:
        logging.disable_progress_bar()
    try:
        yield
    finally:
        if hidden:
            logging.enable_progress_bar()


def _guarded(name: str, what: str, loader: Any, folder: Path, **how: Any) -> Any:
    """Call a from_pretrained; its many kinds of failure become one ModelError."""
    try:
        return loader(str(folder), trust_remote_code=False, local_files_only=True, **how)
    except ModelError:
        raise
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise ModelError(
            f"{name} does not fit into the memory that is free; use a smaller dtype, quantize it, spread it with the "
            "device 'auto', or use a smaller model."
        ) from error
    except REFUSALS as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".").replace(str(folder), name)
        raise ModelError(f"The {what} of {name} cannot be loaded ({reason}); download or save it again.") from error
