"""Curves: visual tokens against the layer, and the answer against the budget, one dash and mark a method."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.patheffects import withStroke

from ui.export.figure_style import grown, pen, quoted
from ui.export.page_layout import LEFT, RIGHT, Drawn, Page, Panel, nice, quarters
from ui.views import palette, texts
from ui.views.chart_data import ALIVE_TITLE, FLIP_NOTE, Point, curves, flip, flip_label, work_title

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D

    from ui.export.figure import ShownRun

WORK = "GFLOP up to the first token"
HALO = [withStroke(linewidth=2.6, foreground="#ffffff")]  # about a cross


def alive(run: ShownRun) -> Panel:
    """Step curve of the method, and the dashed one of the baseline."""
    trace, total = run.trace, run.trace.visual_tokens
    name = texts.method_name(run.result.method)

    def draw(page: Page, x: float, y: float, room: float) -> Drawn:
        axes, bottom = page.chart(x, y + 4, room, max(60.0, 0.5 * room - 32), "LLM layer")
        layers = np.arange(0, trace.layers, max(1, -(-trace.layers // max(2, int(inside(room) / grown(16))))))
        axes.set(xlim=(0, trace.layers), xticks=layers + 0.5, xticklabels=layers)
        axes.set(ylim=(0, nice(total)), yticks=quarters(nice(total)))
        full = axes.plot([0, trace.layers], [total, total], color=palette.BASELINE, dashes=(3, 3))
        steps = np.append(trace.alive_counts, trace.alive_counts[-1])
        pruned = axes.step(np.arange(trace.layers + 1), steps, where="post", color=palette.CROP)
        full[0].set_label(f"{texts.BASELINE}: {total}")
        pruned[0].set_label(f"{name}: {trace.mean_tokens:.1f} per layer")
        return [*pruned, *full], bottom - y

    return Panel(ALIVE_TITLE, draw)


def budgets(text: str, points: list[Point], page: Page, x: float, y: float, room: float) -> Drawn:
    """Probability of the baseline's answer `text` above, work below."""
    top = page.text(x, y, quoted("probability of ", text, room), room) + 6
    upper, bottom = page.chart(x, top, room, max(76.0, 0.32 * room - 32), "")
    top = page.text(x, bottom + 8, work_title(points, WORK), room) + 6
    lower, bottom = page.chart(x, top, room, max(46.0, 0.22 * room - 32), "mean visual tokens per layer")
    max_work = nice(max((point.work for point in points if not math.isnan(point.work)), default=0.0))
    upper.set(ylim=(0, 1), yticks=np.arange(5) / 4, yticklabels=[f"{25 * k} %" for k in range(5)])
    lower.set(ylim=(0, max_work), yticks=quarters(max_work, 5 if room > grown(120) else 3))
    for axes in (upper, lower):
        _tokens(axes, [point.tokens for point in points], room)
    handles = [
        _curve(
            upper, lower, curve, {**pen(place), "color": palette.method_colour(place), "label": flip_label(name, curve)}
        )
        for place, (name, curve) in enumerate(curves(points).items())
    ]
    return handles, page.text(x, bottom + 4, FLIP_NOTE, room) - y


def inside(room: float) -> float:
    """Width in points of the axes of a chart in `room` points."""
    return room - grown(LEFT) - RIGHT


def _tokens(axes: Axes, tokens: list[float], room: float) -> None:
    """Horizontal axis, log2."""
    low, high = np.log2(max(min(tokens), 0.5)) - 0.15, np.log2(max(tokens)) + 0.15
    step = max(1, int(np.ceil(grown(18) * (high - low) / inside(room))))  # so that labels do not overlap
    ticks = [2.0**k for k in range(int(np.ceil(low)), int(high) + 1, step)]
    axes.set_xscale("log", base=2)
    axes.set(xlim=(2**low, 2**high), xticks=ticks, xticklabels=[f"{tick:g}" for tick in ticks])


def _curve(upper: Axes, lower: Axes, curve: list[Point], look: dict[str, Any]) -> Line2D:
    """Both lines of a method, and a drop line at its flip."""
    tokens = [point.tokens for point in curve]
    (line,) = upper.plot(
        tokens, [point.answer_probability for point in curve], markevery=[p.same for p in curve], **look
    )
    lower.plot(tokens, [point.work for point in curve], **look)
    other = [point for point in curve if not point.same]
    if at := flip(curve):
        places = [point.tokens for point in other], [point.answer_probability for point in other]
        look = {"color": look["color"], "clip_on": False, "zorder": 3, "path_effects": HALO}
        upper.vlines(at.tokens, 0, at.answer_probability, look["color"], linewidth=0.5, alpha=0.7)
        upper.plot(*places, "x", markersize=4.4, markeredgewidth=1.2, **look)
    return line
