"""The alive curve as shapes: visual tokens in each layer, with pruning and without."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ui import palette
from ui.publish.axes import Axes, nice, quarters
from ui.publish.keys import Key
from ui.publish.panels import Panel
from ui.publish.shapes import Lines, Shape, dashed

if TYPE_CHECKING:
    from crop_core.trace import TokenTrace


def alive(trace: TokenTrace, name: str, x: float, y: float, width: float, height: float) -> Panel:
    """A step curve of the method `name`, and the dashed one of every token, in a box of width x height points."""
    layers, every = trace.layers, trace.visual_tokens
    most = nice(every)
    axes = Axes.within(x, y, width, height, (0, layers), (0, most))
    at = axes.points(np.arange(layers + 1.0), np.append(trace.alive_counts, trace.alive_counts[-1]))
    corners = np.stack([at[1:, 0], at[:-1, 1]], axis=1)  # where each layer's step ends
    steps = np.concatenate([np.stack([at[:-1], corners], axis=1), np.stack([corners, at[1:]], axis=1)[:-1]])
    full = axes.points(np.array([0.0, layers]), np.array([every, every]))
    ticks = [(layer + 0.5, str(layer)) for layer in range(0, layers, max(1, -(-layers // 8)))]
    shapes: list[Shape] = [
        *axes.shapes(ticks, quarters(most), "LLM layer"),
        Lines(dashed(full[None], 3), palette.BASELINE, 1.2),
        Lines(steps, palette.CROP, 1.6),
    ]
    keys = [
        Key(f"{name}: {trace.mean_tokens:.1f} a layer", palette.CROP, 1.0),
        Key(f"every token: {every} (dashed)", palette.BASELINE, 0.5, "", palette.BASELINE),
    ]
    return shapes, keys
