"""What each method keeps, as shapes: a small picture of every way to ask, with its answer below."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from crop_core.units import chance, number
from ui import palette
from ui.publish import fonts, panels, photo
from ui.publish.keys import INK, Key
from ui.publish.panels import FADED, Canvas
from ui.publish.shapes import Area, Shape, Words

if TYPE_CHECKING:
    from crop_core.records import Told
    from ui.publish.sheet import Drawn

WIDE, GAP = 78.0, 7.0  # points that a picture wants, and between two
SMALL, LINE = 7.0, 9.0  # points
DENSE = 600 / 72  # pixels of a photo to a point of the figure
KEPT = Key("read in every layer", "#ffffff", 0, "", INK)


def multiples(pixels: NDArray[np.uint8], told: list[Told], x: float, y: float, room: float) -> Drawn:
    """One picture a way, in rows that are as even as can be; what the words below mean stands under them."""
    rows = -(-len(told) // max(1, round(room / WIDE)))
    columns = -(-len(told) // rows)
    width = (room + GAP) / columns - GAP
    small = photo.smaller(pixels, round(DENSE * width))
    shapes: list[Shape] = []
    keys: dict[str, Key] = {KEPT.label: KEPT}
    bottom = y
    for row in range(rows):
        top, bottom = bottom, bottom
        for place, each in enumerate(told[row * columns : (row + 1) * columns]):
            canvas = Canvas(each.trace, small, x + place * (width + GAP), top + LINE, width)
            added, used, low = _one(canvas, each)
            shapes, keys, bottom = [*shapes, *added], {**keys, **used}, max(bottom, low)
        bottom += GAP
    for line in fonts.lines(_note(told[0].text), room, SMALL):
        shapes.append(Words(x, bottom + SMALL, line, SMALL))
        bottom += LINE
    return shapes, list(keys.values()), bottom - y


def _note(text: str) -> str:
    full = fonts.quoted("", text, 120, SMALL)
    return f"Below each: its answer, × where it is not {full}; how likely that one is; visual tokens a layer."


def _one(canvas: Canvas, told: Told) -> tuple[list[Shape], dict[str, Key], float]:
    """Name, picture and answer; and where they end."""
    shapes, used = _kept(canvas)
    name = fonts.shortened(told.name, canvas.width, SMALL, bold=True)
    shapes.append(Words(canvas.x, canvas.y - 2.5, name, SMALL, bold=True))
    answer = fonts.lines(f"{'' if told.same else '× '}“{told.text}”", canvas.width, SMALL)
    if len(answer) > 2:
        answer = [answer[0], fonts.shortened(" ".join(answer[1:]), canvas.width, SMALL)]
    bottom = canvas.y + canvas.height
    numbers = f"{chance(told.chance)}, {number(told.trace.mean_tokens)}"
    for line in (*answer, *fonts.lines(numbers, canvas.width, SMALL)):
        bottom += LINE
        shapes.append(Words(canvas.x, bottom, line, SMALL))
    return shapes, used, bottom


def _kept(canvas: Canvas) -> tuple[list[Shape], dict[str, Key]]:
    """What is read in every layer is clear, the earlier a token is gone the paler it is, and what was pooled is
    outlined.
    """
    trace, pooled = canvas.trace, panels.pooled_tokens(canvas.trace)
    died, gone = trace.died_at, panels.gone_key("dropped: the earlier, the paler")
    shapes: list[Shape] = [canvas.photo(pooled)]
    keys = {gone.label: gone} if (died < trace.layers).any() else {}
    for layer in np.unique(died[died < trace.layers]):
        shapes.append(Area(canvas.tokens(died == layer), palette.VEIL, FADED * (1 - layer / trace.layers)))
    for ring in np.unique(trace.ring[pooled]).tolist():
        key = panels.ring_key(ring, f"pooled, ring {ring}" if ring else "pooled, in no ring")
        keys[key.label] = key
        shapes += panels.pooled_shapes(canvas, pooled & (trace.ring == ring), key)
    if trace.region.source == "whole":
        return [*shapes, *canvas.hidden()], keys
    found = panels.region_key(canvas)
    hidden = panels.hidden_key(canvas)
    return [*shapes, *canvas.frame()], {**keys, found.label: found, **{key.label: key for key in hidden}}
