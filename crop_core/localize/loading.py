"""From a row of `records/localizers.py` to a localizer: by its name, or by the format of a loaded checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from crop_core.localize.calibration import KEY
from crop_core.localize.decoding.answer_formats import BOXES, NAMED
from crop_core.localize.detector import DetectorLocalizer, beside
from crop_core.localize.detector_models import KINDS as DETECTORS
from crop_core.localize.detector_models import load_detector
from crop_core.localize.grid_vlm import SLOTS
from crop_core.localize.protocol import Localizer
from crop_core.models import DEFAULT_LOCALIZER, DEFAULT_MODEL, load
from crop_core.models.adapter import Adapter, ModelError
from crop_core.models.loading.placement import Device
from crop_core.models.loading.registry import UnknownModelError, model_type
from crop_core.records.formatting import truncated_repr
from crop_core.records.localizers import AUTO, LOCALIZERS, SELF, named_localizers
from crop_core.records.methods import load_class


def localizer_called(
    name: str | Path,
    adapter: Adapter,
    device: Device | None = None,
    dtype: Any = None,
    attn: str | None = None,
    quantize: str | None = None,
) -> Localizer | None:
    """The localizer that a user calls so: by `named_localizer` for its own name, else by `load_localizer`, with the
    ModelError of both.
    """
    check_localizer_name(name)
    if name == AUTO and adapter.name == DEFAULT_MODEL:
        name = DEFAULT_LOCALIZER
    if str(name) in named_localizers():
        return named_localizer(str(name), adapter)
    loaded = load_localizer(name, device, dtype, attn, quantize)
    return beside(loaded.detector, adapter) if isinstance(loaded, DetectorLocalizer) else loaded


def check_localizer_name(name: str | Path) -> None:
    """ModelError, before anything is loaded, for a name of neither a localizer nor a checkpoint."""
    try:
        if str(name) not in named_localizers():
            model_type(name)
    except UnknownModelError:
        raise ModelError(
            f"There is no localizer {truncated_repr(str(name))}; choose one of {', '.join(named_localizers())}, or a "
            f"checkpoint: {DEFAULT_LOCALIZER}, a detector or a model that answers with boxes, as a hub id or a local "
            "folder."
        ) from None


def named_localizer(name: str, adapter: Adapter) -> Localizer | None:
    """The localizer of a name in `named_localizers`, for this answering model; None where it stands for none."""
    row = named_localizers()[name]
    if row.factory is None:
        return None
    made: Localizer = load_class(row.factory)(*([adapter] if row.needs_model else []))
    return made


def load_localizer(
    name: str | Path, device: Device | None, dtype: Any, attn: str | None, quantize: str | None
) -> Localizer:
    """The localizer of a checkpoint: a detector, or a VLM that answers with a region. Arguments as of
    `crop_core.models.load`, with its errors.
    """
    if model_type(name) in DETECTORS:
        return DetectorLocalizer(load_detector(name, device, dtype))
    return localizer_for(load(name, device, dtype, attn, quantize))


def localizer_for(adapter: Adapter) -> Localizer:
    """The localizer of a loaded checkpoint: of the first kind that takes it.

    Raises ModelError for a checkpoint that is no localizer, or whose "crop_region" cannot be read.
    """
    for row in LOCALIZERS.values():
        made: Localizer | None = load_class(row.factory or "").from_checkpoint(adapter) if row.checkpoint else None
        if made is not None:
            return made
    raise ModelError(
        f'{adapter.name} cannot be a localizer: it is a {adapter.model.config.model_type} model without a "{KEY}" that '
        f"says its format ({' or '.join(NAMED)}) in its config.json, and without the tokens {' '.join(SLOTS)}; use "
        f"crop-tiny-locator, {SELF!r} for the answering model itself, a fine-tuned localizer, or a model of "
        f"{' or '.join(BOXES)}."
    )
