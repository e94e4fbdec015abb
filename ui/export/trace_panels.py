"""The three views of a trace: region, compression, pruning at a layer. Reads a trace only.

Hue never stands alone: pooled rings are outlined and hatched, pruned tokens pale, those pruned in the layer hatched.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from crop_core.records.methods import method_of
from crop_core.records.region import GRID
from crop_core.records.trace import PADDING, UNPLACED
from ui.export.figure import greyed, smaller
from ui.export.figure_style import CROSSED, DOTTED, FALLING, INK, LYING, QUIET, RISING, Boxes, Paint, area, segments
from ui.export.page_layout import Drawn, Page, Panel
from ui.views import palette

if TYPE_CHECKING:
    from crop_core.records.trace import TokenTrace
    from ui.export.figure import ShownRun

PATTERNS = {"lying": LYING, "none": "", "rising": RISING, "falling": FALLING, "crossed": CROSSED}
TINT, FADED = 0.38, 0.86  # opacity of a pooled group's colour, and of the veil over pruned tokens
DENSE = 400 / 72  # pixels of an image to a point of the figure
HIDDEN = Paint("not seen by the model", "#475569", hatch=RISING)


@dataclass(frozen=True, eq=False)
class Canvas:
    """Axes over the image (pixels) of a trace, in the trace's pixels; width and height in points."""

    trace: TokenTrace
    axes: Axes
    pixels: NDArray[np.uint8]
    width: float
    height: float

    @classmethod
    def on(cls, page: Page, trace: TokenTrace, pixels: NDArray[np.uint8], x: float, y: float, width: float) -> Canvas:
        """Canvas with its top left corner at (x, y)."""
        across, down = trace.image_size
        height = down * width / across
        axes = page.axes(x, y, width, height)
        axes.set(xlim=(0, across), ylim=(down, 0))
        axes.set_axis_off()
        return cls(trace, axes, smaller(pixels, round(DENSE * max(width, height))), width, height)

    @property
    def drawn(self) -> NDArray[np.bool_]:
        """(N,) whether a token has a box in the finest view."""
        return np.isfinite(self.trace.boxes).all(axis=1) & (self.trace.view == self.trace.view.max())

    def tokens(self, chosen: NDArray[np.bool_]) -> Boxes:
        """(K, 4) the boxes of the chosen tokens (N,) that are drawn."""
        return self.trace.boxes[chosen & self.drawn]

    def image(self, grey: NDArray[np.bool_] | None = None) -> None:
        """Draw the image, without colour under the tokens `grey` (N,)."""
        width, height = self.trace.image_size
        pixels = self.pixels
        if grey is not None:
            pixels = greyed(pixels, self.tokens(grey) / [width, height, width, height])
        self.axes.imshow(pixels, extent=(0, width, height, 0), aspect="auto")

    def region(self) -> None:
        """Draw the region's frame, inside its edge."""
        inset = self.trace.image_size[0] / self.width
        left, top, right, bottom = self.trace.region.box
        size = max(right - left - 2 * inset, 0), max(bottom - top - 2 * inset, 0)
        for colour, width, alpha in (("#ffffff", 3.2, 0.9), (palette.REGION, 1.6, 1.0)):
            frame = Rectangle((left + inset, top + inset), *size, fill=False, joinstyle="miter")
            frame.set(edgecolor=colour, linewidth=width, alpha=alpha)
            self.axes.add_patch(frame)

    def hidden(self) -> list[Paint]:
        """Hatch what the model cannot see; its paint, if any."""
        boxes = outside(self.trace.visible, (0, 0, *self.trace.image_size))
        area(self.axes, boxes, facecolor="#f8fafc", alpha=0.72)
        HIDDEN.fill(self.axes, boxes)
        return [HIDDEN] if len(boxes) else []

    def outlines(self, group: NDArray[np.int64], colour: str, width: float, alpha: float = 1.0) -> None:
        """Outline each group of tokens, by its number (N,), negative for none: the edges that no two tokens share."""
        shown = self.drawn & (group >= 0)
        sides = self.trace.boxes[shown][:, [0, 1, 2, 1, 2, 1, 2, 3, 0, 3, 2, 3, 0, 1, 0, 3]].reshape(-1, 4)
        owned = np.column_stack([np.repeat(group[shown], 4), np.round(sides, 3)])
        edges, times = np.unique(owned, axis=0, return_counts=True)
        ends = np.unique(edges[times == 1, 1:], axis=0).reshape(-1, 2, 2)
        segments(self.axes, ends, edgecolor=colour, linewidth=width, alpha=alpha)

    def pooled(self, chosen: NDArray[np.bool_], paint: Paint) -> None:
        """Draw one ring of pooled groups."""
        paint.fill(self.axes, self.tokens(chosen))
        self.outlines(np.where(chosen, self.trace.group, -1), paint.colour, 0.7)


def outside(box: tuple[float, ...], of: tuple[float, ...]) -> Boxes:
    """(K, 4) the box `of` without `box`, as up to four boxes."""
    (left, top, right, bottom), (x0, y0, x1, y1) = box, of
    parts = np.array([(x0, y0, x1, top), (x0, bottom, x1, y1), (x0, top, left, bottom), (right, top, x1, bottom)])
    return parts[(parts[:, 2:] - parts[:, :2] > 1e-6).all(axis=1)]


def region(run: ShownRun) -> Panel:
    """8x8 grid and region, everything outside it dimmed."""

    def draw(canvas: Canvas) -> list[Paint]:
        width, height = canvas.trace.image_size
        canvas.image()
        if not reads_region(run):
            return [Paint(method_of(run.result.method).no_region, "#ffffff", frame=QUIET)]
        area(canvas.axes, outside(canvas.trace.region.box, (0, 0, width, height)), facecolor="#0f172a", alpha=0.32)
        shares = np.arange(1, GRID) / GRID
        grid = np.array([[(k, 0), (k, 1)] for k in shares] + [[(0, k), (1, k)] for k in shares]) * [width, height]
        segments(canvas.axes, grid, edgecolor="#0f172a", linewidth=0.9, alpha=0.35)
        segments(canvas.axes, grid, edgecolor="#ffffff", linewidth=0.45, alpha=0.75)
        return [region_paint(canvas.trace)]

    return _panel("Region", run, draw)


def compression(run: ShownRun) -> Panel:
    """Retained tokens clear, each pooled group one tinted and outlined cell, pruned tokens veiled."""
    trace, ring = run.trace, run.trace.shown_ring
    pooled, shown = pooled_tokens(trace), trace.on_image
    kept, pruned = (trace.group >= 0) & ~pooled & shown, trace.group < 0

    def draw(canvas: Canvas) -> list[Paint]:
        veil = gone(f"pruned: {pruned.sum()}")
        canvas.image(pooled)
        veil.fill(canvas.axes, canvas.tokens(pruned))
        paints = [Paint(f"retained: {kept.sum()}", "#ffffff", frame=INK)] if kept.any() else []
        if trace.input_tokens < trace.visual_tokens:
            canvas.outlines(np.where(kept, trace.group, -1), INK, 0.25, 0.5)
        for number in np.unique(ring[pooled & shown]).tolist():
            chosen = pooled & (ring == number)
            name = ring_name(number, int(ring.max()))
            paints.append(ring_paint(number, f"{name}: {chosen.sum()} to {_groups(trace, chosen)}"))
            canvas.pooled(chosen, paints[-1])
        return [*paints, *([veil] if pruned.any() else []), *beside_image(trace)]

    return _panel(f"Compression: {trace.visual_tokens} to {trace.input_tokens} tokens", run, draw)


def _groups(trace: TokenTrace, chosen: NDArray[np.bool_]) -> int:
    """Number of LLM input tokens that the chosen tokens (N,) went into, whole or in part."""
    return len(np.unique(trace.group[chosen]))


def beside_image(trace: TokenTrace) -> list[Paint]:
    """Entries of the legend for tokens that show no part of the image: how many, and how many of the LLM's are theirs
    alone.
    """
    names = {PADDING: "padding", UNPLACED: "no position"}
    counts = {ring: (trace.shown_ring == ring).sum() for ring in names}
    return [
        Paint(f"{name}: {counts[ring]} to {(trace.input_ring == ring).sum()}", QUIET, hatch=DOTTED)
        for ring, name in names.items()
        if counts[ring]
    ]


def pruning(run: ShownRun) -> Panel:
    """Tokens alive in the layer clear, those pruned there hatched, those pruned before veiled."""
    trace, layer = run.trace, run.layer
    now, before = trace.died_at == layer, trace.died_at < layer
    if layer == 0:  # what compression pruned never entered a layer
        now, before = np.zeros_like(now), now

    def draw(canvas: Canvas) -> list[Paint]:
        cut = Paint(f"pruned here: {len(np.unique(trace.group[now]))}", palette.CUT, 0.5, CROSSED)
        veil = gone("pruned before")
        canvas.image(now | before)
        veil.fill(canvas.axes, canvas.tokens(before))
        cut.fill(canvas.axes, canvas.tokens(now))
        canvas.outlines(np.where(trace.died_at > layer, trace.group, -1), INK, 0.25, 0.5)
        alive = Paint(f"alive: {trace.alive_counts[layer]}", "#ffffff", frame=INK)
        return [alive, *([cut] if now.any() else []), *([veil] if before.any() else [])]

    return _panel(f"Pruning: layer {layer} (of 0–{trace.layers - 1})", run, draw)


def reads_region(run: ShownRun) -> bool:
    """Whether the run's method reads a region."""
    return method_of(run.result.method).needs_region


def _panel(title: str, run: ShownRun, draw: Callable[[Canvas], list[Paint]]) -> Panel:
    """Panel of one image, with what the model cannot see and the region on top."""

    def on_page(page: Page, x: float, y: float, room: float) -> Drawn:
        canvas = Canvas.on(page, run.trace, run.pixels, x, y, room)
        paints = [*draw(canvas), *canvas.hidden()]
        if reads_region(run):
            canvas.region()
        return [paint.handle for paint in paints], canvas.height

    return Panel(title, on_page)


def pooled_tokens(trace: TokenTrace) -> NDArray[np.bool_]:
    """(N,) whether a token shares its LLM input token with others."""
    sizes = np.bincount(trace.group[trace.group >= 0], minlength=trace.input_tokens)
    return (trace.group >= 0) & (sizes[trace.group] > 1)


def ring_name(ring: int, last: int) -> str:
    """Name of a ring of pooled tokens in a legend, as on the page; last: the outermost ring."""
    if ring == 0:
        return "pooled"
    return f"ring {ring}{' (near)' if ring == 1 else ' (far)' if ring == last else ''}"


def ring_paint(ring: int, label: str) -> Paint:
    """Paint of a ring, 0 being the region; rings beyond the list share its last hatch."""
    return Paint(label, palette.ring_colour(ring), TINT, PATTERNS[palette.ring_hatch(ring)])


def gone(label: str) -> Paint:
    """Veil over pruned tokens."""
    return Paint(label, palette.VEIL, FADED, frame=QUIET)


def region_paint(trace: TokenTrace) -> Paint:
    """Paint of the region's frame, with its source."""
    confidence = "" if trace.region.confidence is None else f", confidence {100 * trace.region.confidence:.0f} %"
    return Paint(f"region ({trace.region.source}{confidence})", "#ffffff", frame=palette.REGION)
