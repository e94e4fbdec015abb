"""Localizers: the paper's grid VLM, free text, the answering model's attention, a drawn box, the whole image."""

from crop_core.localize.fixed_regions import DrawnBox, KnownRegion, WholeImage
from crop_core.localize.grid_vlm import GridVlmLocalizer
from crop_core.localize.protocol import LocalizationResult, Localizer, SharedEncoderLocalizer
from crop_core.localize.registry import localizer_for
from crop_core.localize.self_attention.localizer import SELF, SelfLocalizer
from crop_core.localize.text_vlm import TextVlmLocalizer

__all__ = [
    "SELF",
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
]
