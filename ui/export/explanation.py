"""How the region came about: the lines or boxes that the localizer saw, or its map. Reads a trace only."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.patches import Polygon

from ui.export.figure_style import INK, Paint
from ui.export.page_layout import Drawn, Page, Panel
from ui.export.trace_panels import Canvas, region_paint
from ui.views import palette

if TYPE_CHECKING:
    from crop_core.records.explanation import Explanation, ExplanationMap
    from ui.export.figure import ShownRun

TITLE = "How the region came about"
NONE = "Not recorded: the region was given, or the run is of an earlier version."
DENSEST = 0.8  # opacity of a map's largest value


def explanation(run: ShownRun) -> Panel:
    """The first map, and every item; chosen ones filled. Below, what they say."""

    def draw(page: Page, x: float, y: float, room: float) -> Drawn:
        canvas, own = Canvas.on(page, run.trace, run.pixels, x, y, room), run.trace.explanation
        canvas.image()
        paints = [region_paint(run.trace)]
        if own is not None:
            if own.maps:
                _map(canvas, own.maps[0])
                paints.append(Paint(own.maps[0].title.lower(), palette.REGION, DENSEST))
            paints += _items(canvas, own)
        canvas.region()
        below = page.text(x, y + canvas.height + 4, NONE if own is None else own.describe(), room)
        return [paint.handle for paint in paints], below - y

    return Panel(TITLE, draw)


def _map(canvas: Canvas, shown: ExplanationMap) -> None:
    """The map as cells of one colour, denser where it is larger."""
    width, height = canvas.trace.image_size
    rows, columns = shown.values.shape
    cells = np.zeros((rows, columns, 4))
    cells[..., :3] = [int(palette.REGION[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    cells[..., 3] = DENSEST * shown.values / max(shown.values.max(), 1e-12)
    canvas.axes.imshow(cells, extent=(0, width, height, 0), aspect="auto", interpolation="nearest")


def _items(canvas: Canvas, own: Explanation) -> list[Paint]:
    """Every item's outline; the paints that the legend names."""
    for item in own.items:
        look = {"facecolor": palette.REGION + "38", "edgecolor": palette.REGION, "linewidth": 1.2}
        plain = {"facecolor": "none", "edgecolor": INK, "linewidth": 0.5, "linestyle": (0, (3, 2))}
        canvas.axes.add_patch(Polygon(item.corners, closed=True, **(look if item.chosen else plain)))
    others = len(own.items) - len(own.chosen)
    chosen = [Paint(f"chosen: {len(own.chosen)}", palette.REGION, 0.22)] if own.chosen else []
    return [*chosen, *([Paint(f"not chosen: {others}", "#ffffff", frame=INK)] if others else [])]
