"""Where the model looked, as it was read: a heat map over the image with its scale. Reads a result only."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from numpy.typing import NDArray

from crop_core.records.attention import MAX_STEPS
from crop_core.records.formatting import truncated_repr
from ui.export.letters import FigureError
from ui.export.page_layout import Drawn, Page, Panel
from ui.export.trace_panels import Canvas
from ui.views import palette, texts

if TYPE_CHECKING:
    from crop_core.records.attention import Attention
    from ui.export.figure import ShownRun

DENSEST = 0.85  # opacity of the largest attention
SCALE_HEIGHT, GAP = 6, 4  # points
NONE = "Not read: open “Where did the model look?” on the page and press Show."
GREY = "#b4b8bd"  # of the image's place in the scale


def baseline(run: ShownRun) -> Panel:
    """Attention of the baseline."""
    return _panel("Attention in the baseline", run, is_baseline=True)


def pruned(run: ShownRun) -> Panel:
    """Attention of the pruned run."""
    return _panel(f"Attention {texts.run_name(run.result.method).lower()}", run, is_baseline=False)


def check_word(looked: Attention, word: int) -> int:
    """Index of an answer token that is counted from 1; FigureError for one that was not read."""
    if not 1 <= word <= len(looked.words):
        raise FigureError(
            f"There is no attention for answer token {truncated_repr(word)}; it was read for the first "
            f"{len(looked.words)}, and for at most {MAX_STEPS}."
        )
    return word - 1


def _panel(title: str, run: ShownRun, is_baseline: bool) -> Panel:
    looked = run.result.attention_to(run.image, is_baseline)

    def draw(page: Page, x: float, y: float, room: float) -> Drawn:
        canvas = Canvas.on(page, run.trace, run.pixels, x, y, room)
        canvas.image(canvas.trace.on_image)
        canvas.hidden()
        if looked is None:
            return [], page.text(x, y + canvas.height + GAP, NONE, room) - y
        step = check_word(looked, run.word)
        shares = looked.on_tokens(run.layer, step, run.trace)
        _heat(canvas, shares)
        below = _scale(page, x, y + canvas.height + GAP, room, float(shares.max()))
        words = (
            f"Layer {run.layer}, writing “{looked.words[step]}”: {100 * looked.layers[run.layer].on_image[step]:.0f} % "
            "of the attention is on the image."
        )
        return [], page.text(x, below + GAP, words, room) - y

    return Panel(title, draw)


def _heat(canvas: Canvas, shares: NDArray[np.float64]) -> None:
    """Every token's box, denser where its share (N,) is larger."""
    boxes, values = canvas.trace.boxes[canvas.drawn], shares[canvas.drawn]
    opacity = DENSEST * values / max(shares.max(), 1e-12)
    for (left, top, right, bottom), alpha in zip(boxes, opacity, strict=True):
        canvas.axes.fill([left, right, right, left], [top, top, bottom, bottom], palette.CUT, alpha=alpha, linewidth=0)


def _scale(page: Page, x: float, y: float, room: float, most: float) -> float:
    """The colour scale with both ends; returns where it ends."""
    colours = LinearSegmentedColormap.from_list("attention", [GREY, palette.CUT])
    axes = page.axes(x, y, room, SCALE_HEIGHT)
    axes.set_axis_off()
    axes.imshow(np.linspace(0, DENSEST, 128)[None], cmap=colours, vmin=0, vmax=1, aspect="auto")
    return page.text(x, y + SCALE_HEIGHT + GAP / 2, f"0 to {100 * most:.2g} % of the attention on one token", room)
