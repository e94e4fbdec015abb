"""Localizers without a model: drawn box, known region, whole image."""

from __future__ import annotations

from dataclasses import dataclass

from PIL import Image

from crop_core.localize.protocol import LocalizationResult
from crop_core.records.region import Region


@dataclass(frozen=True)
class DrawnBox:
    """The smallest grid cells that cover a box (left, top, right, bottom) in pixels of the original image.

    Raises ValueError (from Region.from_box) for a box outside the image, upside down or not finite.
    """

    box: tuple[float, float, float, float]
    weights_bytes: int = 0

    def localize_region(self, image: Image.Image, question: str) -> Region:
        """The drawn region; the question is not read."""
        return Region.from_box(self.box, *image.size)

    def localize(self, image: Image.Image, question: str) -> LocalizationResult:
        """The drawn region, at no cost."""
        return LocalizationResult(self.localize_region(image, question))


@dataclass(frozen=True)
class KnownRegion:
    """A region that is already known, such as one localized for the same question before."""

    region: Region
    weights_bytes: int = 0

    def localize_region(self, image: Image.Image, question: str) -> Region:
        """The known region; neither image nor question is read."""
        return self.region

    def localize(self, image: Image.Image, question: str) -> LocalizationResult:
        """The known region, at no cost."""
        return LocalizationResult(self.region)


@dataclass(frozen=True)
class WholeImage:
    """All 8x8 cells: no token is outside, so that CROP compresses without pruning, and ILP alone goes by attention."""

    weights_bytes: int = 0

    def localize_region(self, image: Image.Image, question: str) -> Region:
        """The whole image; the question is not read."""
        return Region.whole(*image.size)

    def localize(self, image: Image.Image, question: str) -> LocalizationResult:
        """The whole image, at no cost."""
        return LocalizationResult(self.localize_region(image, question))
