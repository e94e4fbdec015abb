"""Plotly figures: time by stage, visual tokens per layer, budget curves, answer map. Reads records only."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from crop_core.io.data_url import data_url
from crop_core.records.region import GRID
from ui.views import palette, texts
from ui.views.chart_data import (
    ALIVE_TITLE,
    STAGE_NAMES,
    TIMES_TITLE,
    Point,
    curves,
    flip,
    flip_label,
    milliseconds,
    probabilities,
    run_costs,
    stages_taken,
    work_title,
)

if TYPE_CHECKING:
    from PIL import Image

    from crop_core.records.region import Region
    from crop_core.records.results import Comparison, RunResult
    from crop_core.records.timing import Spread

INK = "#7b8794"  # legible in the light and in the dark theme


BAR = {  # below the map, as in its file
    "orientation": "h",
    "y": 0,
    "yanchor": "top",
    "ypad": 6,
    "thickness": 12,
    "len": 0.6,
    "tickvals": [0, 0.5, 1],
    "ticktext": ["0 %", "50 %", "100 %"],
    "title": {"text": "probability", "side": "bottom"},
}


def literal(text: str) -> str:
    """Escaped untrusted text, since Plotly reads <b>, <br> and <a href> as HTML."""
    return escape(texts.quoted(text))


def styled(figure: go.Figure, title: str, height: int) -> go.Figure:
    """Apply the common look: transparent, quiet grid, system font, legend below inside the figure's height."""
    figure.update_layout(
        height=height,
        title={"text": title, "x": 0.01, "y": 0.98, "yanchor": "top", "font": {"size": 14}},
        margin={"l": 8, "r": 12, "t": 36, "b": 8},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"family": "system-ui, sans-serif", "size": 12, "color": INK},
        legend={"orientation": "h", "x": 0, "yref": "container", "y": 0, "yanchor": "bottom", "traceorder": "normal"},
        hovermode="closest",
    )
    figure.update_xaxes(gridcolor="rgba(123,135,148,.22)", zeroline=False, automargin=True)
    figure.update_yaxes(gridcolor="rgba(123,135,148,.22)", zeroline=False, automargin=True)
    return figure


def time_split(result: Comparison) -> go.Figure:
    """Horizontal bars of milliseconds by stage, one bar a run, the baseline above."""
    figure, costs = go.Figure(), run_costs(result)
    for stage in stages_taken(costs.values()):
        name, values = STAGE_NAMES[stage], [milliseconds(cost)[stage] for cost in costs.values()]
        hover = f"{name}: %{{x:.1f}} ms<extra></extra>"
        bar = go.Bar(y=[*costs], x=values, name=name, orientation="h", hovertemplate=hover)
        figure.add_trace(bar.update(marker_color=palette.STAGES[stage]))
    if ranges := {name: cost.ranges["total_s"] for name, cost in costs.items() if len(cost.runs) > 1}:
        figure.add_trace(_whiskers(ranges))
    figure.update_layout(barmode="stack", bargap=0.35)
    figure.update_xaxes(title="milliseconds", rangemode="tozero")
    figure.update_yaxes(autorange="reversed", ticklabelstandoff=4)
    return styled(figure, TIMES_TITLE, 320)


def _whiskers(totals: dict[str, Spread]) -> go.Scatter:
    """Ranges of total times, by the name of the run."""
    spreads = totals.values()
    error = {
        "symmetric": False,
        "array": [1000 * (each.high - each.median) for each in spreads],
        "arrayminus": [1000 * (each.median - each.low) for each in spreads],
        "color": INK,
    }
    hover = [f"total {each}" for each in spreads]
    return go.Scatter(
        y=[*totals],
        x=[1000 * each.median for each in spreads],
        error_x=error,
        mode="markers",
        marker={"size": 1, "color": INK},
        name="range of the total",
        text=hover,
        hovertemplate="%{text}<extra></extra>",
    )


def alive_curve(result: Comparison) -> go.Figure:
    """Visual tokens of all images alive in each LLM layer in both runs, with the mean of the pruned one."""
    layers = list(range(result.crop.trace.layers))
    figure = go.Figure()
    full = [result.crop.total("visual_tokens")] * len(layers)
    alive = np.sum([trace.alive_counts for trace in result.crop.traces], axis=0)
    mean = result.crop.total("mean_tokens")
    pruned = texts.method_name(result.method)
    for name, counts, colour in ((texts.BASELINE, full, palette.BASELINE), (pruned, alive, palette.CROP)):
        line = {"shape": "hv", "color": colour, "width": 2.5}
        hover = "layer %{x}: %{y} visual tokens<extra>" + name + "</extra>"
        figure.add_trace(go.Scatter(x=layers, y=list(counts), name=name, mode="lines", line=line, hovertemplate=hover))
    figure.add_hline(y=mean, line_dash="dot", line_color=INK, annotation_text=f"mean {mean:.1f}")
    figure.update_xaxes(title="LLM layer", dtick=max(1, len(layers) // 7))
    figure.update_yaxes(title="visual tokens alive", rangemode="tozero")
    return styled(figure, ALIVE_TITLE, 320)


def budget_curves(results: list[RunResult]) -> go.Figure:
    """Probability of the baseline's answer, a cross marking another answer, and work, against mean tokens per layer.

    One line a method; the first of `results` is the baseline.
    """
    figure = make_subplots(rows=2, cols=1, shared_xaxes=True, vertical_spacing=0.1, row_heights=[0.6, 0.4])
    points = [Point.of(each) for each in results]
    for place, (name, curve) in enumerate(curves(points).items()):
        for row, line in enumerate(_lines(curve, flip_label(name, curve), place), 1):
            figure.add_trace(line, row=row, col=1)
        if at := flip(curve):
            drop = {"color": palette.method_colour(place), "width": 1, "dash": "dot"}
            ends = {"x0": at.tokens, "x1": at.tokens, "y0": 0, "y1": at.answer_probability}
            figure.add_shape(type="line", **ends, line=drop, row=1, col=1)
    ticks = [16 * 2**k for k in range(12)]
    figure.update_xaxes(type="log", tickvals=ticks)
    figure.update_xaxes(title="mean visual tokens per layer", row=2, col=1)
    figure.update_yaxes(title="probability", range=[-0.03, 1.05], row=1, col=1)
    figure.update_yaxes(title=work_title(points, "GFLOP"), rangemode="tozero", row=2, col=1)
    return styled(figure, f"How likely “{literal(results[0].text)}” stays (× another answer)", 520)


def _lines(points: list[Point], name: str, place: int) -> tuple[go.Scatter, go.Scatter]:
    """Probability and work of one method, with a colour and a dash of its own."""
    look = {
        "name": name,
        "legendgroup": name,
        "mode": "lines+markers",
        "line": {"color": palette.method_colour(place), "dash": palette.method_dash(place), "width": 2.2},
        "x": [each.tokens for each in points],
    }
    symbols = ["circle" if each.same else "x" for each in points]
    answers = [literal(each.text) for each in points]
    probability = go.Scatter(
        **look,
        y=[each.answer_probability for each in points],
        text=answers,
        marker={"symbol": symbols, "size": 9},
        hovertemplate="%{x:.0f} tokens: %{y:.1%}<br>answer “%{text}”<extra>" + name + "</extra>",
    )
    work = go.Scatter(
        **look,
        y=[each.work for each in points],
        showlegend=False,
        marker={"size": 6},
        hovertemplate="%{x:.0f} tokens: %{y:.2f} GFLOP<extra>" + name + "</extra>",
    )
    return probability, work


def answer_map(image: Image.Image, results: list[RunResult], region: Region) -> go.Figure:
    """Over the image, cell by cell: the probability of the baseline's answer with the region around that cell.

    results: as for `chart_data.probabilities`. region: the one that was slid, whose own place is framed.
    """
    width, height = image.size
    middles = (np.arange(GRID) + 0.5) / GRID
    heat = go.Heatmap(
        z=[[None if np.isnan(cell) else cell for cell in row] for row in probabilities(results)],
        x=width * middles,
        y=height * middles,
        zmin=0,
        zmax=1,
        colorscale="Cividis",
        opacity=0.62,
        colorbar=BAR,
        hovertemplate="around this cell: %{z:.1%}<extra></extra>",
    )
    figure = go.Figure(heat)
    figure.add_layout_image(
        source=data_url(image), xref="x", yref="y", x=0, y=0, sizex=width, sizey=height, sizing="stretch", layer="below"
    )
    left, top, right, bottom = region.box
    for colour, line in (("#ffffff", 5), (palette.REGION, 2.5)):
        figure.add_shape(x0=left, y0=top, x1=right, y1=bottom, line={"color": colour, "width": line})
    figure.update_xaxes(visible=False, range=[0, width], constrain="domain")
    figure.update_yaxes(visible=False, range=[height, 0], scaleanchor="x", constrain="domain")
    return styled(figure, f"Where “{literal(results[0].text)}” lives", 460)
