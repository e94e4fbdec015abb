"""The three pictures of a trace as shapes: region, compression, pruning at a layer. Reads a trace only.

Hue never stands alone: pooled rings are outlined and hatched apart, what is gone is pale, what goes now is hatched.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from crop_core.region import GRID
from ui import palette
from ui.publish import photo
from ui.publish.keys import INK, STEP, Key
from ui.publish.shapes import Area, Boxes, Lines, Photo, Segments, Shape, frame_lines, hatch, merged, outside

if TYPE_CHECKING:
    from crop_core.trace import TokenTrace

HATCHES = ("-", "", "/", "\\", "x")  # of the region, and of rings from near to far
INWARDS = np.array([1.0, 1.0, -1.0, -1.0])  # a point off every side of a box
TINT, FADED = 0.38, 0.86  # how much of a pooled group's colour, and of the veil over what is gone


Panel = tuple[list[Shape], list[Key]]


@dataclass(frozen=True, eq=False)
class Canvas:
    """A photo (pixels) of a trace whose top left corner lies at (x, y), `width` points wide."""

    trace: TokenTrace
    picture: NDArray[np.uint8]
    x: float
    y: float
    width: float

    @property
    def scale(self) -> float:
        """Points per pixel of the trace."""
        return self.width / self.trace.image_size[0]

    @property
    def height(self) -> float:
        """Points."""
        return self.trace.image_size[1] * self.scale

    @property
    def box(self) -> tuple[float, float, float, float]:
        """Where the photo lies."""
        return (self.x, self.y, self.x + self.width, self.y + self.height)

    def place(self, boxes: NDArray[np.float64]) -> Boxes:
        """Pixel boxes (..., 4) in points, cut off at the photo's edges."""
        width, height = self.trace.image_size
        inside = np.clip(boxes, 0, [width, height, width, height])
        return inside * self.scale + [self.x, self.y, self.x, self.y]

    def tokens(self, chosen: NDArray[np.bool_]) -> Boxes:
        """(K, 4) the area of the chosen tokens (N,) that have a place in the finest view."""
        trace = self.trace
        drawn = chosen & np.isfinite(trace.boxes).all(axis=1) & (trace.view == trace.view.max())
        return merged(self.place(trace.boxes[drawn]))

    def photo(self, grey: NDArray[np.bool_] | None = None) -> Photo:
        """The photo; without colour where the tokens `grey` (N,) are."""
        if grey is None:
            return Photo(self.picture, self.box)
        size = np.array([self.width, self.height] * 2)
        boxes = (self.tokens(grey) - np.array([self.x, self.y] * 2)) / size
        return Photo(photo.greyed(self.picture, boxes), self.box)

    def frame(self) -> list[Shape]:
        """What every picture shows: what the model cannot see, and the region."""
        region = self.place(np.array(self.trace.region.box))
        return [
            *self.hidden(),
            Area(outside(region + 2.6 * INWARDS, region - 0.6 * INWARDS), "#ffffff", 0.9),
            Area(outside(region + 1.8 * INWARDS, region + 0.2 * INWARDS), palette.REGION),
        ]

    def hidden(self) -> list[Shape]:
        """What the model cannot see, hatched."""
        boxes = outside(self.place(np.array(self.trace.visible)), self.box)
        return [Area(boxes, "#f8fafc", 0.72), Lines(hatch(boxes, "/", STEP), INK, 0.5, 0.6)]

    def outlines(self, members: list[NDArray[np.int64]]) -> Segments:
        """(K, 2, 2) around each group of tokens: the edges that no two tokens of one group share."""
        edges: dict[tuple[int, ...], Segments] = {}
        for group in members:
            edges.update(self._outline(group))
        return np.array(list(edges.values())).reshape(-1, 2, 2)

    def _outline(self, group: NDArray[np.int64]) -> dict[tuple[int, ...], Segments]:
        edges: dict[tuple[int, ...], Segments] = {}
        trace = self.trace
        for token in group:
            if trace.view[token] != trace.view.max() or np.isnan(trace.boxes[token]).any():
                continue
            for edge in frame_lines(self.place(trace.boxes[token])):
                key = tuple(np.round(np.sort(edge, axis=0).ravel() * 50).astype(int))
                if edges.pop(key, None) is None:
                    edges[key] = edge
        return edges


def region(canvas: Canvas) -> Panel:
    """The 8x8 grid and the region, everything outside it dimmed."""
    left, top, right, bottom = canvas.box
    shares = np.arange(1, GRID) / GRID
    across, down = left + shares * canvas.width, top + shares * canvas.height
    grid = np.array(
        [[(x, top), (x, bottom)] for x in across] + [[(left, y), (right, y)] for y in down],
    )
    dimmed = outside(canvas.place(np.array(canvas.trace.region.box)), canvas.box)
    shapes: list[Shape] = [
        canvas.photo(),
        Area(dimmed, "#0f172a", 0.32),
        Lines(grid, "#0f172a", 0.9, 0.35),
        Lines(grid, "#ffffff", 0.45, 0.75),
        *canvas.frame(),
    ]
    return shapes, [region_key(canvas), *hidden_key(canvas)]


def compression(canvas: Canvas) -> Panel:
    """Retained tokens clear, each pooled group one tinted and outlined cell, dropped tokens veiled."""
    trace = canvas.trace
    pooled = pooled_tokens(trace)
    kept, dropped = (trace.group >= 0) & ~pooled, trace.group < 0
    shapes: list[Shape] = [canvas.photo(pooled), *_gone(canvas, dropped)]
    keys = [Key(f"retained: {kept.sum()}", "#ffffff", 0, "", INK)] if kept.any() else []
    if trace.input_tokens < trace.visual_tokens:
        shapes.append(Lines(canvas.outlines([np.array([token]) for token in np.flatnonzero(kept)]), INK, 0.25, 0.5))
    for ring in np.unique(trace.ring[pooled]).tolist():
        chosen = pooled & (trace.ring == ring)
        after = len(np.unique(trace.group[chosen]))
        key = ring_key(ring, f"pooled: {chosen.sum()} to {after}")
        shapes += pooled_shapes(canvas, chosen, key)
        keys.append(key)
    if dropped.any():
        keys.append(gone_key(f"dropped: {dropped.sum()}"))
    return [*shapes, *canvas.frame()], [*keys, *hidden_key(canvas)]


def pruning(canvas: Canvas, layer: int) -> Panel:
    """Tokens alive in `layer` clear, those that go there hatched, all that went before veiled."""
    trace = canvas.trace
    now, gone = trace.died_at == layer, trace.died_at < layer
    if layer == 0:  # what compression dropped never entered a layer
        now, gone = np.zeros_like(now), now
    key = Key(f"cut here: {len(np.unique(trace.group[now]))}", palette.CUT, 0.5, "x")
    shapes: list[Shape] = [canvas.photo(now | gone), *_gone(canvas, gone), *key.paint(canvas.tokens(now))]
    alive = [np.flatnonzero(trace.group == group) for group in np.unique(trace.group[trace.died_at > layer])]
    shapes.append(Lines(canvas.outlines(alive), INK, 0.25, 0.5))
    keys = [Key(f"alive: {trace.alive_counts[layer]}", "#ffffff", 0, "", INK)]
    keys += [key] if now.any() else []
    keys += [gone_key("gone before")] if gone.any() else []
    return [*shapes, *canvas.frame()], [*keys, *hidden_key(canvas)]


def pooled_tokens(trace: TokenTrace) -> NDArray[np.bool_]:
    """(N,) whether a token shares its place in the LLM with others."""
    sizes = np.bincount(trace.group[trace.group >= 0], minlength=trace.input_tokens)
    return (trace.group >= 0) & (sizes[trace.group] > 1)


def pooled_shapes(canvas: Canvas, chosen: NDArray[np.bool_], key: Key) -> list[Shape]:
    """One ring of pooled groups."""
    groups = [np.flatnonzero(canvas.trace.group == group) for group in np.unique(canvas.trace.group[chosen])]
    return [*key.paint(canvas.tokens(chosen)), Lines(canvas.outlines(groups), key.colour, 0.7)]


def _gone(canvas: Canvas, tokens: NDArray[np.bool_]) -> list[Shape]:
    return [Area(canvas.tokens(tokens), palette.VEIL, FADED)]


def ring_key(ring: int, label: str) -> Key:
    """The paint of a ring, 0 being the region; rings beyond the list share its last hatch."""
    return Key(label, palette.ring_colour(ring), TINT, HATCHES[min(max(ring, 0), len(HATCHES) - 1)])


def gone_key(label: str) -> Key:
    """The veil over what is gone."""
    return Key(label, palette.VEIL, FADED, "", "#94a3b8")


def region_key(canvas: Canvas) -> Key:
    region = canvas.trace.region
    sure = "" if region.confidence is None else f", confidence {100 * region.confidence:.0f} %"
    return Key(f"region ({region.source}{sure})", "#ffffff", 0, "", palette.REGION)


def hidden_key(canvas: Canvas) -> list[Key]:
    """Only where the model does not see all of the photo."""
    hidden = len(outside(canvas.place(np.array(canvas.trace.visible)), canvas.box))
    return [Key("not seen by the model", INK, 0.0, "/")] if hidden else []
