"""The paints and pens of figures and their handles in the legend. Hue never stands alone: each has a hatch, a
lightness, or a dash and a mark of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.patches import Patch, PathPatch
from matplotlib.path import Path
from numpy.typing import NDArray

Boxes = NDArray[np.float64]  # (K, 4): left, top, right, bottom, in the values of the axes

DOT = (0.8, 3.2)  # points on and off
DASHES: tuple[tuple[float, ...], ...] = ((), (4, 4), (0.8, 3), (5, 3.2, *DOT), (10, 3.5), (5, 3.2, *DOT, *DOT))
MARKS = "o^svD"
LYING, RISING, FALLING, CROSSED = "-" * 3, "/" * 6, "\\" * 6, "x" * 6  # hatches, 4 points apart


@dataclass(frozen=True)
class Paint:
    """What fills an area. label: in the legend. alpha: of the fill; the hatch is opaque, as not all
    backends know another one. frame: the swatch's edge."""

    label: str
    colour: str
    alpha: float = 0.0
    hatch: str = ""
    frame: str = ""

    @property
    def look(self) -> dict[str, Any]:
        """Of a patch on white, framed."""
        return {
            "facecolor": tuple(1 - self.alpha * (1 - part) for part in to_rgb(self.colour)),
            "edgecolor": self.frame or self.colour,
            "hatch": self.hatch or None,
            "linewidth": 0.6,
        }

    @property
    def handle(self) -> Patch:
        """Its line of the legend."""
        return Patch(label=self.label, **self.look)

    def fill(self, axes: Axes, boxes: Boxes) -> None:
        """Boxes in this paint, through which what lies below is seen."""
        if self.alpha:
            area(axes, boxes, facecolor=self.colour, alpha=self.alpha)
        if self.hatch:
            area(axes, boxes, facecolor="none", edgecolor=self.colour, hatch=self.hatch)


def area(axes: Axes, boxes: Boxes, **look: Any) -> None:
    """Boxes as one patch: where they touch there is no seam."""
    if len(boxes):
        corners = joined(boxes)[:, [0, 1, 2, 1, 2, 3, 0, 3]].reshape(-1, 4, 2)
        axes.add_patch(PathPatch(Path.make_compound_path_from_polys(corners), linewidth=0, **look))


def joined(boxes: Boxes) -> Boxes:
    """The same area in fewer boxes: neighbours in a row become one."""
    boxes = boxes[np.lexsort((boxes[:, 0], boxes[:, 3], boxes[:, 1]))]
    steps = np.abs(boxes[1:, [0, 1, 3]] - boxes[:-1, [2, 1, 3]])
    first = np.concatenate([[True], (steps > 1e-3).any(axis=1)])
    rows = boxes[first]
    rows[:, 2] = boxes[np.roll(first, -1), 2]
    return rows


def segments(axes: Axes, ends: NDArray[np.float64], **look: Any) -> None:
    """Lines (K, 2, 2) as one patch."""
    codes = np.tile([Path.MOVETO, Path.LINETO], len(ends))
    axes.add_patch(PathPatch(Path(ends.reshape(-1, 2), codes), fill=False, capstyle="projecting", **look))


def pen(place: int) -> dict[str, Any]:
    """Dash and mark of the line in this place of a figure."""
    dash = DASHES[place % len(DASHES)]
    return {"linestyle": (0, dash) if dash else "-", "marker": MARKS[place % len(MARKS)], "clip_on": False}
