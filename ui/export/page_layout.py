"""The page of a figure: panels side by side, each a title, an image and its legend, and a caption below.

Knows nothing of what the images show. Places are points (1/72 inch) from the top left corner.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from ui.export.figure_style import SMALL, TITLE, lines, shortened, style

MARGIN, GAP = 4.0, 9.0  # points
NARROW = 60.0  # points that a panel needs beside another one
LEFT, RIGHT = 34.0, 4.0  # points beside the axes of a chart
DPI = 300
CM = 72 / 2.54  # points
STEPS = (1, 1.2, 1.6, 2, 2.4, 3.2, 4, 6, 8, 10)


class RunFigure(Figure):
    """A figure that carries what it shows, for the metadata of its files. title: the question."""

    title: str = ""
    facts: dict[str, str]


class Page:
    """A figure in the making, `width` points wide and as high as what is put on it."""

    def __init__(self, width: float) -> None:
        self.width = width
        self.figure = RunFigure(figsize=(width / 72, 1), dpi=DPI)
        FigureCanvasAgg(self.figure)
        self._placed: list[Callable[[float], Any]] = []  # what is done once the height is known

    def axes(self, x: float, y: float, width: float, height: float) -> Axes:
        """Axes whose box has this top left corner and size."""
        axes = self.figure.add_axes((0, 0, 1, 1))
        self._placed.append(
            lambda page: axes.set_position((x / self.width, 1 - (y + height) / page, width / self.width, height / page))
        )
        return axes

    def chart(
        self, x: float, y: float, width: float, height: float, label: str, left: float = LEFT
    ) -> tuple[Axes, float]:
        """Axes of `height` points with the label of the axis across, and where that ends. left: beside them."""
        axes = self.axes(x + left, y, width - left - RIGHT, height)
        axes.xaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_major_formatter("{x:g}")
        start = left if width > 2 * NARROW else 0.0  # a narrow chart has more room for words than its axis is long
        below = self.text(x + start, y + height + 13, label, width - start - RIGHT, centred=True)
        return axes, below

    def text(
        self,
        x: float,
        y: float,
        text: str,
        room: float,
        size: float = SMALL,
        weight: str = "normal",
        most: int = 99,
        centred: bool = False,
    ) -> float:
        """Words below (x, y) in at most `most` lines of `room` points; returns where they end."""
        rows = lines(text, room, size, weight)
        if len(rows) > most:
            rows[most - 1 :] = [shortened(" ".join(rows[most - 1 :]), room, size, weight)]
        if not rows:
            return y
        artist = self.figure.text(0, 0, "\n".join(rows), size=size, weight=weight, va="top")
        artist.set_x((x + room / 2 if centred else x) / self.width)
        artist.set_horizontalalignment("center" if centred else "left")
        self._placed.append(lambda page: artist.set_y(1 - y / page))
        return y + self._points(artist)[1]

    def legend(self, handles: Sequence[Artist], x: float, y: float, room: float) -> float:
        """The handles with their labels in as many columns as go into `room` points; returns where they end."""
        if not handles:
            return y
        handle = (26 if any(isinstance(each, Line2D) for each in handles) else SMALL) / SMALL
        space = room - SMALL * (handle + 0.45)
        labels = ["\n".join(lines(str(each.get_label()), space)) for each in handles]
        for columns in range(len(handles), 0, -1):
            legend = self.figure.legend(handles, labels, loc="upper left", ncols=columns, handlelength=handle)
            width, height = self._points(legend)
            if width <= room or columns == 1:
                break
            legend.remove()
        self._placed.append(
            lambda page: legend.set_bbox_to_anchor((x / self.width, 1 - y / page), self.figure.transFigure)
        )
        return y + height

    def finish(self, height: float) -> RunFigure:
        """The figure, so many points high."""
        self.figure.set_size_inches(self.width / 72, height / 72)
        for place in self._placed:
            place(height)
        return self.figure

    def _points(self, artist: Any) -> tuple[float, float]:
        """Width and height of a text or a legend."""
        box = artist.get_window_extent()
        return box.width * 72 / DPI, box.height * 72 / DPI


Drawn = tuple[Sequence[Artist], float]  # handles of the legend, height in points


@dataclass(frozen=True)
class Panel:
    """draw: puts the image on a page, its top left corner at (x, y), so many points wide."""

    title: str
    draw: Callable[[Page, float, float, float], Drawn]


def lay_out(panels: Sequence[Panel], width: float, title: str, facts: dict[str, str], caption: str = "") -> RunFigure:
    """The figure of `width` centimetres. Panels that would be too narrow beside each other stand in several rows.

    title and facts: for its metadata. caption: none when empty.
    """
    points = width * CM
    across = min(len(panels), max(1, int(points / NARROW)))
    with style("".join([title, caption, *facts.values(), *(panel.title for panel in panels)])):
        page = Page(points)
        room = (points - 2 * MARGIN - GAP * (across - 1)) / across
        bottom = 0.0
        for row in range(0, len(panels), across):
            beside = [(panel, MARGIN + place * (room + GAP)) for place, panel in enumerate(panels[row : row + across])]
            y = bottom + MARGIN
            top = max(page.text(x, y, panel.title, room, TITLE, "bold") for panel, x in beside) + 3
            bottom = max(_draw(page, panel, x, top, room) for panel, x in beside)
        bottom = page.text(MARGIN, bottom + 4, caption, points - 2 * MARGIN)
        figure = page.finish(bottom + MARGIN)
    figure.title, figure.facts = title, facts
    return figure


def _draw(page: Page, panel: Panel, x: float, y: float, room: float) -> float:
    handles, height = panel.draw(page, x, y, room)
    return page.legend(handles, x, y + height + 5, room)


def nice(most: float) -> float:
    """A round number, not below `most`, in four steps of which an axis is labelled; 1 for none."""
    if not most > 0:
        return 1.0
    power = 10.0 ** np.floor(np.log10(most))
    return float(next((step * power for step in STEPS if step * power >= most), 10 * power))


def quarters(most: float, count: int = 5) -> NDArray[np.float64]:
    """Ticks from 0 to `most`."""
    return np.linspace(0, most, count)
