"""The paints and pens of figures, and their swatches in a legend. Hue never stands alone: each has a hatch, a
lightness, or a dash and a mark of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ui.publish.shapes import Area, Boxes, Faces, Lines, Shape, frame_lines, hatch, stroked

INK = "#1e293b"
STEP = 4.0  # points between the lines of a hatch
DASHES: tuple[tuple[float, ...], ...] = (  # points on and off
    (),
    (4, 4),
    (0.8, 3),
    (5, 3.2, 0.8, 3.2),
    (10, 3.5),
    (5, 3.2, 0.8, 3.2, 0.8, 3.2),
)
MARKS = tuple(  # corners on a circle about (0, 0)
    np.array([(np.sin(turn + at), -np.cos(turn + at)) for at in np.arange(corners) * 2 * np.pi / corners])
    for corners, turn in ((16, 0.0), (3, 0.0), (4, np.pi / 4), (3, np.pi), (4, 0.0))
)
CROSS = np.array([[(-1, -1), (1, 1)], [(-1, 1), (1, -1)]]) * 0.85


@dataclass(frozen=True)
class Key:
    """A line of the legend: a swatch in this paint, and words."""

    label: str
    colour: str
    alpha: float = 0.0
    pattern: str = ""
    frame: str = ""
    wide: float = 7.0  # points of the swatch

    def paint(self, boxes: Boxes, step: float = STEP) -> list[Shape]:
        """Boxes in this paint."""
        return [Area(boxes, self.colour, self.alpha), Lines(hatch(boxes, self.pattern, step), self.colour, 0.5, 0.9)]

    def swatch(self, box: NDArray[np.float64]) -> list[Shape]:
        """This paint in a box (4,)."""
        return [*self.paint(box[None], 3.5), Lines(frame_lines(box), self.frame or self.colour, 0.6)]


@dataclass(frozen=True)
class Pen:
    """A line of the legend: a line in this pen with its mark, and words. place: of the line in its figure."""

    label: str
    colour: str
    place: int
    wide: float = 26.0

    def line(self, points: NDArray[np.float64]) -> Shape:
        """Through the points (P, 2)."""
        return Lines(stroked(points, DASHES[self.place % len(DASHES)]), self.colour, 1.3)

    def marks(self, points: NDArray[np.float64], crossed: Sequence[bool]) -> list[Shape]:
        """At the points (P, 2): this pen's mark, or a cross."""
        chosen, corners = np.asarray(crossed, dtype=bool), MARKS[self.place % len(MARKS)]
        crosses = (points[chosen, None, None] + 2.6 * CROSS).reshape(-1, 2, 2)
        return [
            Faces(points[~chosen, None] + 2.5 * corners, self.colour),
            Lines(crosses, "#ffffff", 2.6),
            Lines(crosses, self.colour, 1.2),
        ]

    def swatch(self, box: NDArray[np.float64]) -> list[Shape]:
        """The line through the middle of a box (4,)."""
        left, top, right, bottom = box
        middle = (top + bottom) / 2
        ends = np.array([(left, middle), (right, middle)])
        return [self.line(ends), *self.marks(ends.mean(axis=0, keepdims=True), [False])]
