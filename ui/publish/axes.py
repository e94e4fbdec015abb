"""Axes as shapes: two lines, a quiet grid, and labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ui.publish import fonts
from ui.publish.keys import INK
from ui.publish.shapes import Lines, Shape, Words

SMALL = 7.0  # points
LEFT, BELOW, ABOVE = 34.0, 26.0, 6.0  # points around the axes
STEPS = (1, 1.2, 1.6, 2, 2.4, 3.2, 4, 6, 8, 10)
Ticks = Sequence[tuple[float, str]]  # value, label


@dataclass(frozen=True)
class Axes:
    """The box between two axes, in points; across and down: the values at its left and right, and bottom and top."""

    left: float
    top: float
    right: float
    bottom: float
    across: tuple[float, float]
    up: tuple[float, float]

    @classmethod
    def within(
        cls, x: float, y: float, width: float, height: float, across: tuple[float, float], up: tuple[float, float]
    ) -> Axes:
        """Axes that leave room for their labels in a box of width x height points."""
        return cls(x + LEFT, y + ABOVE, x + width - 4, y + height - BELOW, across, up)

    def x(self, values: NDArray[np.float64] | float) -> NDArray[np.float64]:
        """Where values of the axis across lie."""
        low, high = self.across
        return self.left + (self.right - self.left) * (np.asarray(values, dtype=float) - low) / (high - low)

    def y(self, values: NDArray[np.float64] | float) -> NDArray[np.float64]:
        """Where values of the upright axis lie."""
        low, high = self.up
        return self.bottom - (self.bottom - self.top) * (np.asarray(values, dtype=float) - low) / (high - low)

    def points(self, across: NDArray[np.float64], up: NDArray[np.float64]) -> NDArray[np.float64]:
        """(P, 2) places of pairs of values."""
        return np.stack([self.x(across), self.y(up)], axis=-1)

    def shapes(self, across: Ticks, up: Ticks, title: str) -> list[Shape]:
        """The axes with a grid at the upright ticks; title: below."""
        grid = [((self.left, y), (self.right, y)) for y in (float(self.y(value)) for value, _ in up)]
        marks = [((x, self.bottom), (x, self.bottom + 2)) for x in (float(self.x(value)) for value, _ in across)]
        corner = (self.left, self.bottom)
        told = fonts.shortened(title, self.right - self.left, SMALL)
        lines = [((self.left, self.top), corner), (corner, (self.right, self.bottom)), *marks]
        shapes: list[Shape] = [
            Lines(np.array(grid).reshape(-1, 2, 2), "#94a3b8", 0.3, 0.6),
            Lines(np.array(lines), INK, 0.6),
            Words((self.left + self.right) / 2, self.bottom + BELOW - 4, told, SMALL, colour=INK, anchor="middle"),
        ]
        for value, label in up:
            shapes.append(Words(self.left - 4, float(self.y(value)) + 2.5, label, SMALL, colour=INK, anchor="end"))
        for value, label in across:
            shapes.append(Words(float(self.x(value)), self.bottom + 9, label, SMALL, colour=INK, anchor="middle"))
        return shapes


def nice(most: float) -> float:
    """A round number, not below `most`, in four steps of which an axis is labelled; 1 for none."""
    if not most > 0:
        return 1.0
    power = 10.0 ** np.floor(np.log10(most))
    return float(next((step * power for step in STEPS if step * power >= most), 10 * power))


def quarters(most: float) -> Ticks:
    """Five ticks from 0 to `most`."""
    return [(most * k / 4, f"{most * k / 4:g}") for k in range(5)]
