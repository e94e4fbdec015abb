"""Which region holds the answer: the paper's grid VLM, the answering model's attention, a box drawn by hand, or all."""

from crop_core.localize.attention import SELF, SelfLocalizer
from crop_core.localize.fixed import KnownRegion, ManualBox, WholeImage
from crop_core.localize.grid import GridLocalizer
from crop_core.localize.protocol import Finding, Localizer, Looker
from crop_core.localize.registry import localizer_of
from crop_core.localize.written import WrittenLocalizer

__all__ = [
    "SELF",
    "Finding",
    "GridLocalizer",
    "KnownRegion",
    "Localizer",
    "Looker",
    "ManualBox",
    "SelfLocalizer",
    "WholeImage",
    "WrittenLocalizer",
    "localizer_of",
]
