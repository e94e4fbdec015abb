"""Method grids: what each method keeps, a small view of every run with its answer below; for one image, or for several.

For one image the views are wrapped into rows; a comparison sheet has a line an image and a column a method.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.patches import Patch
from numpy.typing import NDArray

from crop_core.records.formatting import format_number, format_probability
from crop_core.records.methods import method_of
from ui.export import trace_panels
from ui.export.figure import pixels
from ui.export.figure_style import INK, Paint, area, grown, quoted, width
from ui.export.figure_style import small as letter_size
from ui.export.page_layout import Drawn, Page
from ui.export.trace_panels import FADED, HIDDEN, Canvas
from ui.views import palette

if TYPE_CHECKING:
    from crop_core.records.results import RunResult
    from crop_core.records.sheet import Sheet

WIDE, GAP = 78.0, 7.0  # points: width of a view, `grown`, and between two
NARROW = 40.0  # points, `grown`: the narrowest view of a sheet
KEPT = Paint("read in every layer", "#ffffff", frame=INK)
MISSING = "–"  # in place of a run that failed
NOTE = "Below each: its answer, × where it is not {}; how likely that one is; visual tokens per layer."
Paints = dict[str, Paint]  # by label


def methods(image: NDArray[np.uint8], results: list[RunResult], page: Page, x: float, y: float, room: float) -> Drawn:
    """One view a run, in rows as even as possible, with a note that explains the words below each."""
    lines = -(-len(results) // max(1, round(room / grown(WIDE))))
    columns = -(-len(results) // lines)
    paints: Paints = {KEPT.label: KEPT}
    bottom = y
    for start in range(0, len(results), columns):
        beside = results[start : start + columns]
        bottom = _names(page, [each.name for each in beside], columns, x, bottom, room)
        bottom = _line(page, image, beside, columns, x, bottom, room, paints) + GAP
    note = NOTE.format(quoted("", results[0].text, grown(120)))
    return _handles(paints), page.text(x, bottom, note, room) - y


def sheet(shown: Sheet, page: Page, x: float, y: float, room: float) -> Drawn:
    """A line of views an image below its question, a column a method; several lines where the columns do not fit."""
    columns = _columns(shown.methods, room)
    bands = [shown.methods[start : start + columns] for start in range(0, len(shown.methods), columns)]
    paints: Paints = {KEPT.label: KEPT}
    bottom = _names(page, bands[0], columns, x, y, room) + 2 if len(bands) == 1 else y
    for row in shown.rows:
        bottom = page.text(x, bottom, f"“{row.question}”", room, max_lines=2) + 2
        for band in bands:
            if len(bands) > 1:
                bottom = _names(page, band, columns, x, bottom, room)
            results = [row.by_name.get(name) for name in band]
            bottom = _line(page, pixels(row.image), results, columns, x, bottom, room, paints) + GAP
    common = {
        name: replace(paint, label=name) for label, paint in paints.items() for name in [label.partition(" (")[0]]
    }
    return _handles(common), page.text(x, bottom, NOTE.format("the baseline's"), room) - y


def _columns(names: Sequence[str], room: float) -> int:
    """Columns of a sheet, as even as possible, each as wide as every word of the names."""
    words = [width(word, letter_size(), "bold") for name in names for word in name.split()]
    fit = max(1, int((room + GAP) / (max(grown(NARROW), *words) + GAP)))
    return -(-len(names) // -(-len(names) // fit))


def _places(columns: int, x: float, room: float) -> list[tuple[float, float]]:
    """(left, width) of every column."""
    wide = (room + GAP) / columns - GAP
    return [(x + place * (wide + GAP), wide) for place in range(columns)]


def _names(page: Page, names: Sequence[str], columns: int, x: float, y: float, room: float) -> float:
    """Write the names above a line of views; returns where the views begin."""
    places = zip(names, _places(columns, x, room), strict=False)
    return max(page.text(left, y, name, wide, weight="bold") for name, (left, wide) in places) + 2


def _line(
    page: Page,
    image: NDArray[np.uint8],
    results: Sequence[RunResult | None],
    columns: int,
    x: float,
    y: float,
    room: float,
    paints: Paints,
) -> float:
    """Draw views side by side, collecting their paints; returns where they end."""
    ends = [y]
    for result, (left, wide) in zip(results, _places(columns, x, room), strict=False):
        if result is None:
            ends.append(page.text(left, y, MISSING, wide))
        else:
            ends.append(_view(page, image, result, left, y, wide, paints))
    return max(ends)


def _view(
    page: Page, image: NDArray[np.uint8], result: RunResult, x: float, y: float, wide: float, paints: Paints
) -> float:
    """Draw the image and the answer below it; returns where it ends."""
    canvas = Canvas.on(page, result.trace, image, x, y, wide)
    paints.update({paint.label: paint for paint in _kept(canvas, method_of(result.method).needs_region)})
    answer = f"{'' if result.same else '× '}“{result.text}”"
    bottom = page.text(x, y + canvas.height + 2, answer, wide, max_lines=2)
    numbers = f"{format_probability(result.answer_probability)}, {format_number(result.trace.mean_tokens)}"
    return page.text(x, bottom + 1, numbers, wide)


def _handles(paints: Paints) -> list[Patch]:
    """Handles of the legend; what the model does not see comes last."""
    return [paint.handle for paint in sorted(paints.values(), key=HIDDEN.__eq__)]


def _kept(canvas: Canvas, reads_region: bool) -> list[Paint]:
    """Tokens of every layer are clear, pruned ones the paler the earlier, pooled ones outlined."""
    trace, pooled = canvas.trace, trace_panels.pooled_tokens(canvas.trace)
    died = trace.died_at
    canvas.image(pooled)
    paints = [trace_panels.gone("pruned: the earlier, the paler")] if (died < trace.layers).any() else []
    for layer in np.unique(died[died < trace.layers]):
        alpha = FADED * (1 - layer / trace.layers)
        area(canvas.axes, canvas.tokens(died == layer), facecolor=palette.VEIL, alpha=alpha)
    for ring in np.unique(trace.shown_ring[pooled & trace.on_image]).tolist():
        paints.append(trace_panels.ring_paint(ring, f"pooled, ring {ring}" if ring else "pooled, in no ring"))
        canvas.pooled(pooled & (trace.shown_ring == ring), paints[-1])
    hidden = canvas.hidden()
    if not reads_region:
        return [*paints, *hidden]
    canvas.region()
    return [*paints, trace_panels.region_paint(trace), *hidden]
