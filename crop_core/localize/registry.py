"""Which localizer a loaded checkpoint makes."""

from __future__ import annotations

from crop_core.localize.calibration import KEY
from crop_core.localize.decoding.answer_formats import BOXES, NAMED, format_of
from crop_core.localize.decoding.answer_tokens import ConstrainedDecodingError
from crop_core.localize.grid_vlm import SLOTS, GridVlmLocalizer, slot_ids
from crop_core.localize.protocol import Localizer
from crop_core.localize.self_attention.localizer import SELF
from crop_core.localize.text_vlm import TextVlmLocalizer
from crop_core.models.adapter import Adapter, ModelError


def localizer_for(adapter: Adapter) -> Localizer:
    """A localizer that is fed its answers where that is possible, else one that writes them.

    Raises ModelError for a checkpoint that is no localizer, or whose "crop_region" cannot be read.
    """
    kind = adapter.model.config.model_type
    form = format_of(adapter.model.config, adapter.name, slot_ids(adapter.tokenizer) is not None)
    if form is None:
        raise ModelError(
            f'{adapter.name} cannot be a localizer: it is a {kind} model without a "{KEY}" that says its format '
            f"({' or '.join(NAMED)}) in its config.json, and without the tokens {' '.join(SLOTS)}; use "
            f"crop-tiny-locator, {SELF!r} for the answering model itself, a fine-tuned locator, or a model of "
            f"{' or '.join(BOXES)}."
        )
    try:
        return GridVlmLocalizer(adapter, form)
    except ConstrainedDecodingError:
        return TextVlmLocalizer(adapter, form)
