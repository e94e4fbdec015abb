"""Visual tokens in each layer, with pruning and without."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ui import palette, words
from ui.publish.page_layout import Drawn, Page, Panel, nice, quarters

if TYPE_CHECKING:
    from ui.publish.figure_options import ShownRun


def alive(run: ShownRun) -> Panel:
    """A step curve of the method, and the dashed one of every token."""
    trace, every = run.trace, run.trace.visual_tokens
    name = words.method_name(run.result.method)

    def draw(page: Page, x: float, y: float, room: float) -> Drawn:
        axes, bottom = page.chart(x, y + 4, room, max(60.0, 0.5 * room - 32), "LLM layer")
        axes.set(xlim=(0, trace.layers), ylim=(0, nice(every)))
        apart = max(1, -(-trace.layers // max(2, int((room - 38) / 16))))
        layers = np.arange(0, trace.layers, apart)
        axes.set_xticks(layers + 0.5, [str(layer) for layer in layers])
        axes.set_yticks(**quarters(nice(every)))
        dashed: dict[str, Any] = {"color": palette.BASELINE, "linestyle": (0, (3, 3)), "linewidth": 1.2}
        full = axes.plot([0, trace.layers], [every, every], label=f"every token: {every}", **dashed)
        steps = np.append(trace.alive_counts, trace.alive_counts[-1])
        pruned = axes.plot(
            np.arange(trace.layers + 1),
            steps,
            drawstyle="steps-post",
            color=palette.CROP,
            linewidth=1.6,
            label=f"{name}: {trace.mean_tokens:.1f} a layer",
        )
        return [*pruned, *full], bottom - y

    return Panel("Visual tokens in each layer", draw)
