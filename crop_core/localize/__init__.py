"""Localizers: the paper's grid VLM, free text, the answering model's attention, a drawn box, the whole image."""

from crop_core.localize.fixed_regions import DrawnBox, KnownRegion, WholeImage
from crop_core.localize.grid_vlm import GridVlmLocalizer
from crop_core.localize.loading import localizer_for, named_localizer
from crop_core.localize.protocol import LocalizationResult, Localizer, SharedEncoderLocalizer
from crop_core.localize.self_attention.localizer import SelfLocalizer
from crop_core.localize.text_vlm import TextVlmLocalizer

__all__ = [
    "DrawnBox",
    "GridVlmLocalizer",
    "KnownRegion",
    "LocalizationResult",
    "Localizer",
    "SelfLocalizer",
    "SharedEncoderLocalizer",
    "TextVlmLocalizer",
    "WholeImage",
    "localizer_for",
    "named_localizer",
]
