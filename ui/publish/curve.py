"""The alive curve as shapes: visual tokens in each layer, with pruning and without."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ui import palette
from ui.publish.panels import INK, Key, Panel
from ui.publish.shapes import Lines, Segments, Shape, Words, dashed

if TYPE_CHECKING:
    from crop_core.trace import TokenTrace

SMALL = 7.0  # points
LEFT, BELOW, ABOVE = 34.0, 26.0, 6.0  # points around the axes


def alive(trace: TokenTrace, name: str, x: float, y: float, width: float, height: float) -> Panel:
    """A step curve of the method `name`, and the dashed one of every token, in a box of width x height points."""
    left, right, top, bottom = x + LEFT, x + width - 4, y + ABOVE, y + height - BELOW
    most = nice(trace.visual_tokens)
    layers = trace.layers

    def at(counts: np.ndarray) -> Segments:
        across = left + (right - left) * np.arange(layers + 1) / layers
        down = bottom - (bottom - top) * np.append(counts, counts[-1]) / most
        flat = [[(across[k], down[k]), (across[k + 1], down[k])] for k in range(layers)]
        drops = [[(across[k + 1], down[k]), (across[k + 1], down[k + 1])] for k in range(layers - 1)]
        return np.array(flat + drops)

    full = bottom - (bottom - top) * trace.visual_tokens / most
    every = np.array([[(left, full), (right, full)]])
    shapes: list[Shape] = _axes(left, right, top, bottom, layers, most)
    shapes += [
        Lines(dashed(every, 3), palette.BASELINE, 1.2),
        Lines(at(trace.alive_counts), palette.CROP, 1.6),
        Words((left + right) / 2, y + height - 4, "LLM layer", SMALL, colour=INK, anchor="middle"),
    ]
    keys = [
        Key(f"{name}: {trace.mean_tokens:.1f} a layer", palette.CROP, 1.0),
        Key(f"every token: {trace.visual_tokens} (dashed)", palette.BASELINE, 0.5, "", palette.BASELINE),
    ]
    return shapes, keys


def nice(most: int) -> float:
    """A round number, not below `most`, in four steps of which the axis is labelled."""
    power = 10.0 ** np.floor(np.log10(max(most, 1)))
    return float(next(step * power for step in (1, 1.2, 1.6, 2, 2.4, 3.2, 4, 6, 8, 10) if step * power >= most))


def _axes(left: float, right: float, top: float, bottom: float, layers: int, most: float) -> list[Shape]:
    """Both axes, a quiet grid and its labels."""
    shares = np.arange(5) / 4
    down = bottom - (bottom - top) * shares
    grid = np.array([[(left, y), (right, y)] for y in down])
    axes = np.array([[(left, top), (left, bottom)], [(left, bottom), (right, bottom)]])
    shapes: list[Shape] = [Lines(grid, "#94a3b8", 0.3, 0.6), Lines(axes, INK, 0.6)]
    for share, y in zip(shares, down, strict=True):
        shapes.append(Words(left - 4, y + 2.5, f"{most * share:g}", SMALL, colour=INK, anchor="end"))
    every = max(1, -(-layers // 8))
    for layer in range(0, layers, every):
        middle = left + (right - left) * (layer + 0.5) / layers
        shapes.append(Words(middle, bottom + 9, str(layer), SMALL, colour=INK, anchor="middle"))
    return shapes
