"""From a row of `records/localizers.py` to a localizer: by its name, or by the format of a loaded checkpoint."""

from __future__ import annotations

from crop_core.localize.calibration import KEY
from crop_core.localize.decoding.answer_formats import BOXES, NAMED
from crop_core.localize.grid_vlm import SLOTS
from crop_core.localize.protocol import Localizer
from crop_core.models.adapter import Adapter, ModelError
from crop_core.records.localizers import LOCALIZERS, SELF, named_localizers
from crop_core.records.methods import load_class


def named_localizer(name: str, adapter: Adapter) -> Localizer | None:
    """The localizer of a name in `named_localizers`, for this answering model; None where it stands for none."""
    row = named_localizers()[name]
    if row.factory is None:
        return None
    made: Localizer = load_class(row.factory)(*([adapter] if row.needs_model else []))
    return made


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
        f"crop-tiny-locator, {SELF!r} for the answering model itself, a fine-tuned locator, or a model of "
        f"{' or '.join(BOXES)}."
    )
