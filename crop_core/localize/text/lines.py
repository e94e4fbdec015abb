"""A line of text in an image, and quadrilaterals in general. Pure numpy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
UPRIGHT = 1.5  # times as long as wide, from which a box is read along its long side


@dataclass(frozen=True, eq=False)
class Line:
    """One line as it was read.

    quad: (4, 2) corners in pixels, clockwise from where the text begins above: the first two are its upper edge in
    reading direction. text: "" where nothing was read. score: mean probability of its letters, 0..1.
    """

    quad: Floats
    text: str
    score: float

    @property
    def box(self) -> tuple[float, float, float, float]:
        """The upright box around it: left, top, right, bottom in pixels."""
        left, top = self.quad.min(0).tolist()
        right, bottom = self.quad.max(0).tolist()
        return left, top, right, bottom

    @property
    def direction(self) -> Floats:
        """(2,) from the first letter to the last, in pixels."""
        return np.asarray((self.quad[1] - self.quad[0] + self.quad[2] - self.quad[3]) / 2)

    @property
    def height(self) -> float:
        """Of the line, across its reading direction, in pixels."""
        down = (self.quad[3] - self.quad[0] + self.quad[2] - self.quad[1]) / 2
        return float(np.hypot(*down))


def reading_quad(centre: Floats, size: tuple[float, float], degrees: float) -> Floats:
    """The quad (4, 2) of a turned rectangle, as OpenCV's minAreaRect has it, in the direction in which it is read.

    A box that is long and stands is read from top to bottom, any other from left to right; `turned` reverses it.
    """
    radians = np.deg2rad(degrees)
    across = np.array([np.cos(radians), np.sin(radians)])
    axes = [(across, size[0], size[1]), (np.array([-across[1], across[0]]), size[1], size[0])]
    longest = max(size) >= UPRIGHT * min(size)
    axis, length, height = max(axes, key=lambda each: each[1] if longest else abs(each[0][0]))
    axis = axis * (1 if (axis[0] if abs(axis[0]) >= abs(axis[1]) else axis[1]) > 0 else -1)
    along, down = axis * length / 2, np.array([-axis[1], axis[0]]) * height / 2
    return np.stack([centre - along - down, centre + along - down, centre + along + down, centre - along + down])


def turned(quad: Floats) -> Floats:
    """The same quad, read the other way round."""
    return np.roll(quad, 2, axis=0)
