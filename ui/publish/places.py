"""Where the answer lives, as shapes: over the photo, cell by cell, the probability of the full answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from plotly.colors import sample_colorscale

from crop_core.region import GRID
from ui.publish import fonts, panels
from ui.publish.keys import INK
from ui.publish.panels import Canvas
from ui.publish.shapes import Area, Lines, Shape, Words, boxes_of, frame_lines

if TYPE_CHECKING:
    from crop_core.records import Told
    from crop_core.trace import TokenTrace
    from ui.publish.sheet import Drawn

SCALE, OPAQUE = "Cividis", 0.7  # as on screen; its lightness rises with the value
SMALL = 7.0  # points
NARROW = 18.0  # points of a cell in which no number fits
DARK = 0.47  # probability up to which white can be read on the colour, and black above it
BAR, PIECES = 7.0, 64  # points of the colour bar's height, and of how many colours it is made


def chances(told: list[Told]) -> NDArray[np.float64]:
    """(8, 8) rows of cells; NaN where none was asked. The ways after the first are called "x,y" by their cell."""
    cells = np.full((GRID, GRID), np.nan)
    for each in told[1:]:
        x, y = (int(part) for part in each.name.split(","))
        cells[y, x] = each.chance
    return cells


def colour(value: float) -> str:
    """Hex colour of a probability."""
    red, green, blue = sample_colorscale(SCALE, [min(max(value, 0.0), 1.0)], colortype="tuple")[0]
    return "#" + "".join(f"{round(255 * part):02x}" for part in (red, green, blue))


def places(
    text: str, cells: NDArray[np.float64], trace: TokenTrace, pixels: NDArray[np.uint8], x: float, y: float, room: float
) -> Drawn:
    """Each cell in its colour, with its percentage where there is room, and the colour bar below. text: the answer."""
    canvas = Canvas(trace, pixels, x, y, room)
    shapes: list[Shape] = [canvas.photo(np.ones(trace.visual_tokens, dtype=bool))]
    side = np.array([canvas.width, canvas.height]) / GRID
    found = [
        (float(cells[row, column]), (x, y) + side * (column, row)) for row, column in np.argwhere(np.isfinite(cells))
    ]
    shapes += [Area(np.array([[*corner, *(corner + side)]]), colour(value), OPAQUE) for value, corner in found]
    shapes += canvas.hidden()
    if side.min() >= NARROW:
        shapes += [shape for value, corner in found for shape in _number(value, *(corner + side / 2))]
    added, bottom = _bar(text, x, y + canvas.height + 4, room)
    return [*shapes, *added], panels.hidden_key(canvas), bottom - y


def _number(value: float, across: float, down: float) -> list[Shape]:
    """On the pure colour, whatever the photo below is like."""
    label, shade = f"{100 * value:.0f}", colour(value)
    half = fonts.width(label, SMALL) / 2 + 1.5
    pad = np.array([[across - half, down - 4.5, across + half, down + 4.5]])
    ink = "#ffffff" if value < DARK else "#000000"
    return [Area(pad, shade), Words(across, down + 2.6, label, SMALL, colour=ink, anchor="middle")]


def _bar(text: str, x: float, y: float, room: float) -> tuple[list[Shape], float]:
    """0 to 100 % from left to right, each colour up to the end, and what it is of; and where that ends."""
    edges = np.linspace(x, x + room, PIECES + 1)
    shapes: list[Shape] = [
        Area(boxes_of([(edges[k], y, x + room, y + BAR)]), colour((k + 0.5) / PIECES)) for k in range(PIECES)
    ]
    shapes.append(Lines(frame_lines((x, y, x + room, y + BAR)), INK, 0.5))
    below = y + BAR + SMALL + 1
    for value, anchor in ((0.0, "start"), (0.5, "middle"), (1.0, "end")):
        shapes.append(Words(x + room * value, below, f"{100 * value:.0f} %", SMALL, colour=INK, anchor=anchor))
    said = fonts.quoted("probability of ", text, room, SMALL)
    return [*shapes, Words(x, below + 9, said, SMALL, colour=INK)], below + 11
