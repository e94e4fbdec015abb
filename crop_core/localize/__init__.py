"""Localizers: the paper's grid VLM, written boxes, the answering model's attention, the image's text, fixed regions."""

from crop_core.localize.fixed_regions import DrawnBox, KnownRegion, WholeImage
from crop_core.localize.grid_vlm import GridVlmLocalizer
from crop_core.localize.loading import (
    check_localizer_name,
    load_localizer,
    localizer_called,
    localizer_for,
    named_localizer,
)
from crop_core.localize.protocol import LocalizationResult, Localizer, SharedEncoderLocalizer, not_counted
from crop_core.localize.self_attention.localizer import SelfLocalizer
from crop_core.localize.text.localizer import TextLocalizer
from crop_core.localize.text_vlm import TextVlmLocalizer

__all__ = [
    "DrawnBox",
    "GridVlmLocalizer",
    "KnownRegion",
    "LocalizationResult",
    "Localizer",
    "SelfLocalizer",
    "SharedEncoderLocalizer",
    "TextLocalizer",
    "TextVlmLocalizer",
    "WholeImage",
    "check_localizer_name",
    "load_localizer",
    "localizer_called",
    "localizer_for",
    "named_localizer",
    "not_counted",
]
