"""The contextual region: inclusive cells of an 8x8 grid over the image. Knows nothing of models, tokens or images.

Source: Guo et al., CROP, EMNLP 2025, arXiv 2505.21233: four 0-based, inclusive block coordinates on an 8x8 grid.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import InitVar, replace
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import AliasPath, Field

from crop_core.records.base import Record, RecordError, Word, limit
from crop_core.records.formatting import truncated_repr

GRID = 8
SOURCES = ("predicted", "drawn", "whole")
BOX_FORMS = {  # what four numbers of a box may mean
    "pixels": "left, top, right, bottom in pixels",
    "xywh": "left, top, width, height in pixels",
    "shares": "left, top, right, bottom as shares of the image, 0 to 1",
    "thousandths": "the same as thousandths, 0 to 1000",
}
SLACK = 1e-6  # of a cell or pixel: tolerance of rounding
Side = Annotated[int, limit(100_000, 1)]  # pixels


class RegionError(RecordError):
    """An invalid region; the message is one sentence for the user."""


class Region(Record, error=RegionError, keys="grid box source confidence width height"):
    """Grid cells x0..x1 by y0..y1, all inclusive, each 0..7, over an image of width x height pixels.

    source: "predicted" by a localizer, "drawn" by hand, or the "whole" image. confidence: 0..1, or None if not
    predicted. Raises RegionError for cells outside the grid or upside down, an empty image, an unknown source or
    confidence.
    """

    x0: Annotated[int, Field(validation_alias=AliasPath("grid", 0))]
    y0: Annotated[int, Field(validation_alias=AliasPath("grid", 1))]
    x1: Annotated[int, Field(validation_alias=AliasPath("grid", 2))]
    y1: Annotated[int, Field(validation_alias=AliasPath("grid", 3))]
    width: Side
    height: Side
    source: Word = "drawn"
    confidence: float | None = None
    fifth: InitVar[Annotated[Any, Field(validation_alias=AliasPath("grid", 4))]] = None

    def __post_init__(self, fifth: Any) -> None:
        if fifth is not None:
            raise RegionError("The region's grid has more than four numbers; give x0, y0, x1, y1.")
        on_grid = all(0 <= cell < GRID for cell in self.grid)
        if on_grid and (self.x0 > self.x1 or self.y0 > self.y1):
            (x0, x1), (y0, y1) = sorted((self.x0, self.x1)), sorted((self.y0, self.y1))
            raise RegionError(
                f"The region {truncated_repr(list(self.grid))} is reversed: give x0 <= x1 and y0 <= y1, such as "
                f"{[x0, y0, x1, y1]}."
            )
        if not on_grid:
            raise RegionError(
                f"The region {truncated_repr(list(self.grid))} is not on the grid; give x0 <= x1 and y0 <= y1 from 0 "
                f"to {GRID - 1}."
            )
        if self.width < 1 or self.height < 1:
            raise RegionError(f"A region needs an image of at least 1x1 pixels, not {self.width}x{self.height}.")
        if self.source not in SOURCES:
            raise RegionError(f"The region's source {self.source!r} is not one of {', '.join(SOURCES)}.")
        if self.confidence is not None and not 0 <= self.confidence <= 1:
            raise RegionError(f"The region's confidence {self.confidence} is not between 0 and 1.")

    @classmethod
    def whole(cls, width: int, height: int) -> Region:
        """Every cell of an image of width x height pixels."""
        return cls(0, 0, GRID - 1, GRID - 1, width, height, "whole")

    @classmethod
    def from_box(
        cls, box: Any, width: int, height: int, source: str = "drawn", confidence: float | None = None
    ) -> Region:
        """The fewest cells that cover a box (left, top, right, bottom) in pixels; RegionError for an invalid box, and
        for a drawn one in shares of the image.
        """
        left, top, right, bottom = _checked(box, width, height)
        if source == "drawn" and looks_like_shares((left, top, right, bottom), width, height):
            raise RegionError(
                f"The box ({left:g}, {top:g}, {right:g}, {bottom:g}) is less than a pixel; give left, top, right, "
                f"bottom in pixels of the image, which is {width} x {height}, not as shares of it."
            )
        x0, x1 = _cells(left, right, width)
        y0, y1 = _cells(top, bottom, height)
        return cls(x0, y0, x1, y1, width, height, source, confidence)

    @property
    def grid(self) -> tuple[int, int, int, int]:
        """(x0, y0, x1, y1), inclusive cells."""
        return (self.x0, self.y0, self.x1, self.y1)

    @property
    def box(self) -> tuple[float, float, float, float]:
        """(left, top, right, bottom) in pixels of exactly these cells."""
        across, down = self.width / GRID, self.height / GRID
        return (self.x0 * across, self.y0 * down, (self.x1 + 1) * across, (self.y1 + 1) * down)

    @property
    def is_whole(self) -> bool:
        """Whether it covers every cell, whatever its source."""
        return self.grid == (0, 0, GRID - 1, GRID - 1)

    @property
    def share(self) -> float:
        """Of the image's cells, 0 to 1."""
        return (self.x1 - self.x0 + 1) * (self.y1 - self.y0 + 1) / GRID**2

    def mask(self, boxes: NDArray[np.floating]) -> NDArray[np.bool_]:
        """(N,) bool: whether the centre of each pixel box (N, 4) is in the region. False for NaN rows (no position)."""
        boxes = np.asarray(boxes, dtype=float).reshape(-1, 4)
        x, y = (boxes[:, 0] + boxes[:, 2]) / 2, (boxes[:, 1] + boxes[:, 3]) / 2  # (N,)
        left, top, right, bottom = self.box
        return (x >= left) & (x < right) & (y >= top) & (y < bottom)


def numbers_in(text: str) -> list[str]:
    """The parts of a list of numbers as people type it: between commas or spaces, in brackets or none."""
    return text.strip().strip("[]()").replace(",", " ").split()


def looks_like_shares(box: Sequence[float], width: int, height: int) -> bool:
    """Whether a box in pixels lies within the first one of an image that has far more: its numbers are 0 to 1."""
    return max(box) <= 1 and min(width, height) >= 2 * GRID


def random_region(region: Region, rng: random.Random) -> Region:
    """A region of the same size anywhere in the image, without a confidence: the random baseline of localizers."""
    width, height = region.x1 - region.x0, region.y1 - region.y0
    x0, y0 = rng.randint(0, GRID - 1 - width), rng.randint(0, GRID - 1 - height)
    return replace(region, x0=x0, y0=y0, x1=x0 + width, y1=y0 + height, confidence=None)


def _checked(box: Any, width: int, height: int) -> tuple[float, float, float, float]:
    """Four finite, ordered numbers inside the image; RegionError otherwise."""
    message = "The box needs four numbers: left, top, right, bottom in pixels"
    try:
        left, top, right, bottom = (float(value) for value in box)
    except (TypeError, ValueError):
        raise RegionError(f"{message}, not {truncated_repr(box)}.") from None
    shown = f"({left:g}, {top:g}, {right:g}, {bottom:g})"
    if not all(map(math.isfinite, (left, top, right, bottom))):
        raise RegionError(f"{message}, not {shown}.")
    if left >= right or top >= bottom:
        raise RegionError(
            f"The box {shown} is upside down or empty; left must be less than right and top less than bottom."
        )
    if left < -SLACK or top < -SLACK or right > width + SLACK or bottom > height + SLACK:
        raise RegionError(f"The box {shown} lies outside the image, which is {width} pixels wide and {height} high.")
    return left, top, right, bottom


def _cells(low: float, high: float, side: int) -> tuple[int, int]:
    """First and last cell that the span low..high of an axis of `side` pixels touches."""
    first = min(math.floor(low * GRID / side + SLACK), GRID - 1)
    last = math.ceil(high * GRID / side - SLACK) - 1
    return max(first, 0), min(max(last, first), GRID - 1)
