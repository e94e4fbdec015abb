"""Visual tokens in each layer, with pruning and without."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ui.export.page_layout import Drawn, Page, Panel, nice, quarters
from ui.views import palette, texts

if TYPE_CHECKING:
    from ui.export.figure import ShownRun


def alive(run: ShownRun) -> Panel:
    """A step curve of the method, and the dashed one of every token."""
    trace, every = run.trace, run.trace.visual_tokens
    name = texts.method_name(run.result.method)

    def draw(page: Page, x: float, y: float, room: float) -> Drawn:
        axes, bottom = page.chart(x, y + 4, room, max(60.0, 0.5 * room - 32), "LLM layer")
        layers = np.arange(0, trace.layers, max(1, -(-trace.layers // max(2, int((room - 38) / 16)))))
        axes.set(xlim=(0, trace.layers), xticks=layers + 0.5, xticklabels=layers)
        axes.set(ylim=(0, nice(every)), yticks=quarters(nice(every)))
        full = axes.plot([0, trace.layers], [every, every], color=palette.BASELINE, dashes=(3, 3))
        steps = np.append(trace.alive_counts, trace.alive_counts[-1])
        pruned = axes.step(np.arange(trace.layers + 1), steps, where="post", color=palette.CROP)
        full[0].set_label(f"every token: {every}")
        pruned[0].set_label(f"{name}: {trace.mean_tokens:.1f} a layer")
        return [*pruned, *full], bottom - y

    return Panel("Visual tokens in each layer", draw)
