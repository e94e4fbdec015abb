"""Which region holds the answer: the paper's grid VLM, a box drawn by hand, or the whole image."""

from crop_core.localize.fixed import KnownRegion, ManualBox, WholeImage
from crop_core.localize.grid import GridLocalizer
from crop_core.localize.protocol import Finding, Localizer
from crop_core.localize.registry import localizer_of
from crop_core.localize.written import WrittenLocalizer

__all__ = [
    "Finding",
    "GridLocalizer",
    "KnownRegion",
    "Localizer",
    "ManualBox",
    "WholeImage",
    "WrittenLocalizer",
    "localizer_of",
]
