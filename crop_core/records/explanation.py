"""How a region came about: what a localizer saw, and which of it decided. The same shape for every localizer.

Items have a place in the image: lines of text, boxes of a detector. Maps give every cell of an even grid over the image
a value: attention, probability. Knows nothing of how either is drawn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field, replace
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, FiniteFloat

from crop_core.records.base import Array, Prose, Record, RecordError, Word, limit
from crop_core.records.formatting import format_probability
from crop_core.records.region import Region

MAX_ITEMS, MAX_MAPS, MAX_SIDE = 2000, 64, 256  # in an untrusted file
SHOWN_ITEMS = 3  # in a sentence
Coordinate = Annotated[float, limit(200_000, -100_000)]  # pixels
Corner = tuple[Coordinate, Coordinate]
Share = Annotated[float, limit(1 + 1e-6)]


class ExplanationError(RecordError):
    """An invalid explanation; the message is one sentence."""


class ExplainedItem(Record, error=ExplanationError):
    """One thing that the localizer saw.

    corners: (x, y) in pixels of the original, clockwise from the top left one of the thing itself, which may be turned.
    label: its text or phrase. score: 0..1, None without one. chosen: whether the region holds it, for this `reason`.
    """

    corners: tuple[Corner, Corner, Corner, Corner]
    label: Prose = ""
    score: Share | None = None
    chosen: bool = False
    reason: Word = ""

    @classmethod
    def of_box(cls, box: Sequence[float], label: str, score: float | None, chosen: bool = True) -> ExplainedItem:
        """An upright one: box is left, top, right, bottom in pixels."""
        left, top, right, bottom = box
        return cls(((left, top), (right, top), (right, bottom), (left, bottom)), label, score, chosen)

    def scaled(self, across: float, down: float) -> ExplainedItem:
        """The item in an image whose sides are so many times as long."""
        first, second, third, fourth = ((x * across, y * down) for x, y in self.corners)
        return replace(self, corners=(first, second, third, fourth))


class ExplanationMap(Record, error=ExplanationError, eq=False):
    """values: (R, C), rows from top to bottom, of an even grid over the image, at least 0; brightest is largest."""

    title: Word
    values: Annotated[
        NDArray[np.float64], Array(np.float64, Annotated[list[FiniteFloat], Field(max_length=MAX_SIDE)], 0, 1e12)
    ]

    def __post_init__(self) -> None:
        if self.values.ndim != 2 or not self.values.size or not (self.values >= 0).all():
            raise ExplanationError(
                f"The map {self.title!r} of shape {self.values.shape} needs rows and columns of values from 0 on."
            )


class Explanation(Record, error=ExplanationError, eq=False):
    """How the region of one image came about.

    localizer: its name. summary: one sentence. items and maps: of which either may be empty.
    """

    localizer: Word
    summary: Prose
    items: Annotated[list[ExplainedItem], limit(MAX_ITEMS)] = field(default_factory=list)
    maps: Annotated[list[ExplanationMap], limit(MAX_MAPS)] = field(default_factory=list)

    @property
    def chosen(self) -> list[ExplainedItem]:
        """The items that the region holds."""
        return [item for item in self.items if item.chosen]

    def scaled(self, across: float, down: float) -> Explanation:
        """The explanation for an image whose sides are so many times as long."""
        return replace(self, items=[item.scaled(across, down) for item in self.items])

    def describe(self) -> str:
        """The summary and the first chosen items, for a terminal."""
        parts = [_item_words(item) for item in self.chosen[:SHOWN_ITEMS]]
        more = len(self.chosen) - len(parts)
        return " ".join([self.summary, "; ".join([*parts, *([f"{more} more"] if more else [])])]).strip()


class Localization(Record, eq=False):
    """A region by itself, with what led to it and what it cost: seconds of wall time; flops None where the work was not
    counted; weights_bytes of the localizer's own weights.
    """

    region: Region
    explanation: Explanation | None
    notices: list[Prose]
    seconds: float
    flops: int | None
    weights_bytes: int


def _item_words(item: ExplainedItem) -> str:
    score = "" if item.score is None else f" ({format_probability(item.score)})"
    reason = f", {item.reason}" if item.reason else ""
    return f"“{item.label}”{score}{reason}"
