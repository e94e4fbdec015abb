"""Load an adapter from a complete checkpoint folder: config, processor and weights by transformers.

Only safetensors weights are read and no code from a checkpoint is run. Images are processed by PIL,
without torchvision and without video processors. Knows nothing of names and of the hub.
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
from crop_core.models.loading.quantization import quantization

LOAD_ERRORS = (OSError, ValueError, KeyError, TypeError, RuntimeError, ImportError, SafetensorError)
VIDEO = "video_processor"


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
def progress_bars(shown: bool) -> Iterator[None]:
    """Show or hide the progress bars of downloads and loading; restores the setting at the end."""
    hidden = not shown and logging.is_progress_bar_enabled()
    if hidden:
        logging.disable_progress_bar()
    try:
        yield
    finally:
        if hidden:
            logging.enable_progress_bar()


def _guarded(name: str, what: str, loader: Any, folder: Path, **options: Any) -> Any:
    """Call a from_pretrained; any of its errors becomes a ModelError."""
    try:
        return loader(str(folder), trust_remote_code=False, local_files_only=True, **options)
    except ModelError:
        raise
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise ModelError(
            f"{name} does not fit into the memory that is free; use a smaller dtype, quantize it, spread it with the "
            "device 'auto', or use a smaller model."
        ) from error
    except LOAD_ERRORS as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".").replace(str(folder), name)
        raise ModelError(f"The {what} of {name} cannot be loaded ({reason}); download or save it again.") from error


def load_processor(processor_class: Any, source: str, **options: Any) -> Any:
    """`processor_class.from_pretrained` of a folder or hub id, with the PIL image processor."""
    return for_images(processor_class).from_pretrained(source, backend="pil", **options)


def for_images(processor_class: Any) -> Any:
    """The class itself, or a subclass of the same name that accepts None as its video processor."""
    if VIDEO not in processor_class.get_attributes():
        return processor_class

    class ForImages(processor_class):
        @classmethod
        def get_attributes(cls) -> list[str]:
            return [name for name in super().get_attributes() if name != VIDEO]

        def check_argument_for_proper_class(self, argument_name: str, argument: Any) -> Any:
            if argument_name == VIDEO and argument is None:
                return None
            return super().check_argument_for_proper_class(argument_name, argument)

    ForImages.__name__ = ForImages.__qualname__ = processor_class.__name__
    return ForImages
