"""Answer map: over the image, cell by cell, the probability of the baseline's answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
from matplotlib.colors import to_hex
from numpy.typing import NDArray

from crop_core.records.region import GRID
from ui.export.figure_style import grown, quoted, small
from ui.export.page_layout import Drawn, Page
from ui.export.trace_panels import Canvas

if TYPE_CHECKING:
    from crop_core.records.trace import TokenTrace

SCALE, OPAQUE = "cividis", 0.7  # as on screen; its lightness rises with the value
NARROW = 18.0  # points, `grown`; no number fits into a narrower cell
DARK = 0.47  # probability below which the number is white, and black above
BAR, PIECES = 7.0, 64  # height of the colour bar in points, and its number of colours
MIDDLES = (np.arange(PIECES) + 0.5) / PIECES


def colour(value: float) -> str:
    """Hex colour of a probability."""
    return to_hex(mpl.colormaps[SCALE](float(value)))


def places(
    text: str,
    cells: NDArray[np.float64],
    trace: TokenTrace,
    pixels: NDArray[np.uint8],
    page: Page,
    x: float,
    y: float,
    room: float,
) -> Drawn:
    """Colour each cell, with its percentage where it fits, frame the trace's region, and put the colour bar below.

    text: the answer.
    """
    canvas = Canvas.on(page, trace, pixels, x, y, room)
    canvas.image(np.ones(trace.visual_tokens, dtype=bool))
    width, height = trace.image_size
    edges = np.linspace(0, width, GRID + 1), np.linspace(0, height, GRID + 1)
    canvas.axes.pcolormesh(*edges, np.ma.masked_invalid(cells), cmap=SCALE, vmin=0, vmax=1, alpha=OPAQUE, linewidth=0)
    hidden = canvas.hidden()
    if not trace.region.is_whole:
        canvas.region()
    if min(canvas.width, canvas.height) >= grown(NARROW) * GRID:
        for row, column in np.argwhere(np.isfinite(cells)):
            _number(canvas, float(cells[row, column]), (column + 0.5) / GRID, (row + 0.5) / GRID)
    bar = page.axes(x, y + canvas.height + 4, room, BAR)
    bar.pcolormesh(np.linspace(0, 1, PIECES + 1), (0, 1), MIDDLES[None], cmap=SCALE, vmin=0, vmax=1, edgecolors="face")
    bar.set_yticks([])
    bar.spines[:].set(visible=True, linewidth=0.5)
    bar.set_xticks((0, 0.5, 1), ("0 %", "50 %", "100 %"))
    bar.tick_params(length=0)
    first, _, last = bar.get_xticklabels()
    first.set_horizontalalignment("left")
    last.set_horizontalalignment("right")
    below = y + canvas.height + 4 + BAR + 4 + small()
    return [paint.handle for paint in hidden], page.text(x, below, quoted("probability of ", text, room), room) - y


def _number(canvas: Canvas, value: float, across: float, down: float) -> None:
    """Write a cell's percentage on an opaque patch of its colour."""
    pad = {"boxstyle": "square,pad=0.2", "facecolor": colour(value), "linewidth": 0}
    ink = "#ffffff" if value < DARK else "#000000"
    width, height = canvas.trace.image_size
    look: dict[str, Any] = {"color": ink, "bbox": pad, "ha": "center", "va": "center_baseline"}
    canvas.axes.text(across * width, down * height, f"{100 * value:.0f}", **look)
