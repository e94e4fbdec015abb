"""Method grid: what each method keeps, a small view of every run with its answer below."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from crop_core.records.formatting import format_number, format_probability
from ui.export import trace_panels
from ui.export.figure_style import INK, Paint, area, quoted
from ui.export.page_layout import Drawn, Page
from ui.export.trace_panels import FADED, HIDDEN, Canvas
from ui.views import palette

if TYPE_CHECKING:
    from crop_core.records.results import RunResult

WIDE, GAP = 78.0, 7.0  # points: width of a view, and between two
KEPT = Paint("read in every layer", "#ffffff", frame=INK)


def methods(pixels: NDArray[np.uint8], results: list[RunResult], page: Page, x: float, y: float, room: float) -> Drawn:
    """One view a run, in rows as even as possible, with a note that explains the words below each."""
    rows = -(-len(results) // max(1, round(room / WIDE)))
    columns = -(-len(results) // rows)
    width = (room + GAP) / columns - GAP
    paints: dict[str, Paint] = {KEPT.label: KEPT}
    bottom = y
    for row in range(rows):
        beside = results[row * columns : (row + 1) * columns]
        drawn = [_one(page, pixels, each, x + k * (width + GAP), bottom, width) for k, each in enumerate(beside)]
        bottom = max(low for _, low in drawn) + GAP
        paints |= {paint.label: paint for used, _ in drawn for paint in used}
    baseline = quoted("", results[0].text, 120)
    note = f"Below each: its answer, × where it is not {baseline}; how likely that one is; visual tokens per layer."
    ordered = sorted(paints.values(), key=HIDDEN.__eq__)  # that one last
    return [paint.handle for paint in ordered], page.text(x, bottom, note, room) - y


def _one(
    page: Page, pixels: NDArray[np.uint8], result: RunResult, x: float, y: float, width: float
) -> tuple[list[Paint], float]:
    """Draw name, view and answer; returns their paints, and where they end."""
    top = page.text(x, y, result.name, width, weight="bold", max_lines=1) + 2
    canvas = Canvas.on(page, result.trace, pixels, x, top, width)
    used = _kept(canvas)
    bottom = page.text(x, top + canvas.height + 2, f"{'' if result.same else '× '}“{result.text}”", width, max_lines=2)
    return used, page.text(
        x, bottom + 1, f"{format_probability(result.chance)}, {format_number(result.trace.mean_tokens)}", width
    )


def _kept(canvas: Canvas) -> list[Paint]:
    """Tokens of every layer are clear, dropped ones the paler the earlier, pooled ones outlined."""
    trace, pooled = canvas.trace, trace_panels.pooled_tokens(canvas.trace)
    died = trace.died_at
    canvas.image(pooled)
    paints = [trace_panels.gone("dropped: the earlier, the paler")] if (died < trace.layers).any() else []
    for layer in np.unique(died[died < trace.layers]):
        alpha = FADED * (1 - layer / trace.layers)
        area(canvas.axes, canvas.tokens(died == layer), facecolor=palette.VEIL, alpha=alpha)
    for ring in np.unique(trace.ring[pooled]).tolist():
        paints.append(trace_panels.ring_paint(ring, f"pooled, ring {ring}" if ring else "pooled, in no ring"))
        canvas.pooled(pooled & (trace.ring == ring), paints[-1])
    hidden = canvas.hidden()
    if trace.region.source == "whole":
        return [*paints, *hidden]
    canvas.region()
    return [*paints, trace_panels.region_paint(trace), *hidden]
