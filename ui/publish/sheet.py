"""The page of a figure: columns side by side, each a title, a picture and its legend, and a caption below.

Knows nothing of what the pictures show.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ui.publish import fonts
from ui.publish.keys import Key, Pen
from ui.publish.shapes import Drawing, Shape, Words

CM = 72 / 2.54  # points
MARGIN, GAP = 4.0, 9.0  # points
TITLE, SMALL = 8.0, 7.0  # points, whatever the figure's width
LINE = 9.5  # points from a line of small text to the next
SWATCH = 7.0  # points of height
LOW, HIGH = 3.0, 40.0  # centimetres


class FigureError(ValueError):
    """A figure that cannot be drawn; the message is one sentence."""


Drawn = tuple[list[Shape], Sequence[Key | Pen], float]  # shapes, legend, height in points


@dataclass(frozen=True)
class Column:
    """draw: the picture whose top left corner lies at (x, y), so many points wide."""

    title: str
    draw: Callable[[float, float, float], Drawn]


def check_width(width: float) -> None:
    """FigureError for centimetres that no figure can have."""
    if not LOW <= width <= HIGH:
        raise FigureError(f"A figure of {width:g} cm cannot be drawn; give a width from {LOW:g} to {HIGH:g} cm.")


def sheet(columns: Sequence[Column], width: float, title: str, facts: dict[str, str], caption: str = "") -> Drawing:
    """The drawing of `width` centimetres. title and facts: for its metadata. caption: none when empty."""
    check_width(width)
    points = width * CM
    room = (points - 2 * MARGIN - GAP * (len(columns) - 1)) / len(columns)
    shapes: list[Shape] = []
    bottom = 0.0
    for place, column in enumerate(columns):
        added, low = _column(column, MARGIN + place * (room + GAP), room)
        shapes += added
        bottom = max(bottom, low)
    for line in fonts.lines(caption, points - 2 * MARGIN, SMALL):
        bottom += LINE
        shapes.append(Words(MARGIN, bottom, line, SMALL))
    return Drawing(points, bottom + MARGIN, shapes, title, facts)


def _column(column: Column, x: float, room: float) -> tuple[list[Shape], float]:
    """The shapes, and where they end."""
    top = MARGIN + TITLE + 4
    title = Words(x, MARGIN + TITLE, fonts.shortened(column.title, room, TITLE, bold=True), TITLE, bold=True)
    shapes, keys, height = column.draw(x, top, room)
    below, bottom = legend(keys, x, top + height + 4, room)
    return [title, *shapes, *below], bottom


def legend(keys: Sequence[Key | Pen], x: float, y: float, room: float) -> tuple[list[Shape], float]:
    """Swatches and words in as many lines as `room` points ask for, and where they end."""
    shapes: list[Shape] = []
    across, line = x, y
    for key in keys:
        label = fonts.shortened(key.label, room - key.wide - 3, SMALL)
        wide = key.wide + 3 + fonts.width(label, SMALL) + 8
        if across > x and across + wide - 8 > x + room:
            across, line = x, line + LINE
        shapes += key.swatch(np.array([across, line, across + key.wide, line + SWATCH]))
        shapes.append(Words(across + key.wide + 3, line + SWATCH - 1, label, SMALL))
        across += wide
    return shapes, line + SWATCH + 2
