"""Page of a figure: panels side by side, each a title, a drawing and its legend, and a caption below.

Knows nothing of what the drawings show. Positions are points (1/72 inch) from the top left corner.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from ui.export.figure_style import grown, line_spacing, lines, shortened, small, style, title, width
from ui.export.letters import DEFAULT_LETTERS, Letters

MARGIN, GAP = 4.0, 9.0  # points
NARROW = 60.0  # points that a panel needs beside another one, `grown`
LEFT, RIGHT = 34.0, 4.0  # points beside the axes of a chart, the left ones `grown`
DPI, SCREEN_DPI = 300, 144
CM = 72 / 2.54  # points
STEPS = (1, 1.2, 1.6, 2, 2.4, 3.2, 4, 6, 8, 10)


class RunFigure(Figure):
    """Figure with the metadata of its files. title: the question. letters: those that it was drawn in."""

    title: str = ""
    facts: dict[str, str]
    letters: Letters = DEFAULT_LETTERS

    def savefig(self, fname: Any, *, format: str | None = None, dpi: float | None = None, **options: Any) -> None:
        """As matplotlib's; a PNG, SVG or PDF is the app's file, with metadata and embedded fonts. Other options than
        these three, and other formats, leave it to matplotlib.
        """
        from ui.export.figure_files import FORMATS, write

        kind = (format or Path(getattr(fname, "name", None) or fname).suffix[1:]).upper()
        if options or kind not in FORMATS:
            super().savefig(fname, format=format, dpi=dpi or "figure", **options)
        else:
            write(self, fname, kind, dpi)

    def _repr_png_(self) -> bytes:
        """The figure in a notebook's cell."""
        from ui.export.figure_files import written

        return written(self, "PNG", SCREEN_DPI)


class Page:
    """Figure under construction, `width` points wide and as high as its content."""

    def __init__(self, width: float) -> None:
        self.width = width
        self.figure = RunFigure(figsize=(width / 72, 1), dpi=DPI)
        FigureCanvasAgg(self.figure)
        self._placed: list[Callable[[float], Any]] = []  # run once the height is known

    def axes(self, x: float, y: float, width: float, height: float) -> Axes:
        """Axes with this top left corner and size."""
        axes = self.figure.add_axes((0, 0, 1, 1))
        self._placed.append(
            lambda page: axes.set_position((x / self.width, 1 - (y + height) / page, width / self.width, height / page))
        )
        return axes

    def chart(
        self, x: float, y: float, width: float, height: float, label: str, left: float | None = None
    ) -> tuple[Axes, float]:
        """Axes of `height` points with a label below, and the y where that ends. left: points beside them."""
        left = grown(LEFT) if left is None else left
        axes = self.axes(x + left, y, width - left - RIGHT, height)
        axes.xaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_major_formatter("{x:g}")
        start = left if width > 2 * grown(NARROW) else 0.0  # in a narrow chart the label may be wider than the axis
        below = self.text(x + start, y + height + 6 + small(), label, width - start - RIGHT, centred=True)
        return axes, below

    def text(
        self,
        x: float,
        y: float,
        text: str,
        room: float,
        size: float | None = None,
        weight: str = "normal",
        max_lines: int = 99,
        centred: bool = False,
    ) -> float:
        """Words below (x, y) in at most `max_lines` lines of `room` points; returns where they end."""
        size = size or small()
        rows = lines(text, room, size, weight)
        if len(rows) > max_lines:
            rows[max_lines - 1 :] = [shortened(" ".join(rows[max_lines - 1 :]), room, size, weight)]
        if not rows:
            return y
        look: dict[str, Any] = {"size": size, "weight": weight, "va": "top", "linespacing": line_spacing()}
        artist = self.figure.text(0, 0, "\n".join(rows), **look)
        artist.set_x((x + room / 2 if centred else x) / self.width)
        artist.set_horizontalalignment("center" if centred else "left")
        self._placed.append(lambda page: artist.set_y(1 - y / page))
        return y + self._points(artist)[1]

    def legend(self, handles: Sequence[Artist], x: float, y: float, room: float) -> float:
        """Legend in as many columns as fit into `room` points; returns where it ends."""
        if not handles:
            return y
        handle = max(1.0, 26 / small()) if any(isinstance(each, Line2D) for each in handles) else 1.0
        space = room - small() * (handle + 0.45)
        labels = ["\n".join(lines(str(each.get_label()), space)) for each in handles]
        for columns in range(len(handles), 0, -1):
            legend = self.figure.legend(handles, labels, loc="upper left", ncols=columns, handlelength=handle)
            for text in legend.get_texts():
                text.set_linespacing(line_spacing())
            width, height = self._points(legend)
            if width <= room or columns == 1:
                break
            legend.remove()
        self._placed.append(
            lambda page: legend.set_bbox_to_anchor((x / self.width, 1 - y / page), self.figure.transFigure)
        )
        return y + height

    def finish(self, height: float) -> RunFigure:
        """Finished figure, `height` points high."""
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
    """Part of a figure. draw: draws it on a page with its top left corner at (x, y), `room` points wide."""

    title: str
    draw: Callable[[Page, float, float, float], Drawn]


def lay_out(
    panels: Sequence[Panel],
    centimetres: float,
    question: str,
    facts: dict[str, str],
    caption: str = "",
    letters: Letters = DEFAULT_LETTERS,
) -> RunFigure:
    """Lay out a figure of this width. Panels that would be too narrow side by side go into several rows.

    question and facts: for its metadata. caption: none when empty.
    """
    points = centimetres * CM
    with style("".join([question, caption, *facts.values(), *(panel.title for panel in panels)]), letters):
        across = _across(panels, points)
        page = Page(points)
        room = (points - 2 * MARGIN - GAP * (across - 1)) / across
        bottom = 0.0
        for row in range(0, len(panels), across):
            beside = [(panel, MARGIN + place * (room + GAP)) for place, panel in enumerate(panels[row : row + across])]
            y = bottom + MARGIN
            top = max(page.text(x, y, panel.title, room, title(), "bold") for panel, x in beside) + 3
            bottom = max(_draw(page, panel, x, top, room) for panel, x in beside)
        bottom = page.text(MARGIN, bottom + 4, caption, points - 2 * MARGIN)
        figure = page.finish(bottom + MARGIN)
    figure.title, figure.facts, figure.letters = question, facts, letters
    return figure


def _across(panels: Sequence[Panel], points: float) -> int:
    """How many panels stand side by side: as many as leave room for their legends and for the words of their titles."""
    words = [word for panel in panels for word in panel.title.split()]
    needed = max([grown(NARROW), *(width(word, title(), "bold") for word in words)])
    fit = int((points - 2 * MARGIN + GAP) / (needed + GAP))
    return min(len(panels), max(1, fit))


def _draw(page: Page, panel: Panel, x: float, y: float, room: float) -> float:
    handles, height = panel.draw(page, x, y, room)
    return page.legend(handles, x, y + height + 5, room)


def nice(value: float) -> float:
    """Round number, at least `value`, for the end of an axis with four steps; 1 unless `value` is positive."""
    if not value > 0:
        return 1.0
    power = 10.0 ** np.floor(np.log10(value))
    return float(next((step * power for step in STEPS if step * power >= value), 10 * power))


def quarters(end: float, count: int = 5) -> NDArray[np.float64]:
    """Ticks from 0 to `end`."""
    return np.linspace(0, end, count)
