"""Plotly figures of a comparison: where the time goes, and visual tokens alive per layer. Reads records only."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from crop_core.io.data_url import data_url
from crop_core.records.region import GRID
from ui.views import palette, texts

if TYPE_CHECKING:
    from PIL import Image

    from crop_core.records.results import Comparison, RunResult

INK = "#7b8794"  # readable on the light and on the dark page
STAGE_NAMES = {
    "localizer_s": "localizer",
    "encode_s": "image encoder",
    "compression_s": "compression",
    "scoring_s": "scoring",
    "prefill_s": "prefill",
    "decode_s": "decode",
}


def literal(text: str) -> str:
    """A text from outside as Plotly shows it letter by letter; by itself it reads <b>, <br> and <a href> as HTML."""
    return escape(texts.quoted(text))


def styled(figure: go.Figure, title: str, height: int) -> go.Figure:
    """Common look: transparent, quiet grid, system font, legend below, which takes its room from the plot."""
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
    """Horizontal bars of milliseconds by stage, one bar for each run."""
    figure = go.Figure()
    runs = [texts.method_name(result.method), "every token"]
    costs = (result.crop.cost, result.baseline.cost)
    for field, name in STAGE_NAMES.items():
        values = [1000 * getattr(cost, field) for cost in costs]
        if max(values) > 0:
            hover = f"{name}: %{{x:.1f}} ms<extra></extra>"
            bar = go.Bar(y=runs, x=values, name=name, orientation="h", hovertemplate=hover)
            figure.add_trace(bar.update(marker_color=palette.STAGES[field]))
    figure.update_layout(barmode="stack", bargap=0.35)
    figure.update_xaxes(title="milliseconds", rangemode="tozero")
    return styled(figure, "Where the time goes", 320)


def alive_curve(result: Comparison) -> go.Figure:
    """Visual tokens of all images alive in each layer of the LLM in both runs, with the mean of the pruned one."""
    layers = list(range(result.crop.trace.layers))
    figure = go.Figure()
    every = [result.crop.total("visual_tokens")] * len(layers)
    alive = np.sum([trace.alive_counts for trace in result.crop.traces], axis=0)
    mean = result.crop.total("mean_tokens")
    pruned = texts.method_name(result.method)
    for name, counts, colour in (("every token", every, palette.BASELINE), (pruned, alive, palette.CROP)):
        line = {"shape": "hv", "color": colour, "width": 2.5}
        hover = "layer %{x}: %{y} visual tokens<extra>" + name + "</extra>"
        figure.add_trace(go.Scatter(x=layers, y=list(counts), name=name, mode="lines", line=line, hovertemplate=hover))
    figure.add_hline(y=mean, line_dash="dot", line_color=INK, annotation_text=f"mean {mean:.1f}")
    figure.update_xaxes(title="layer of the LLM", dtick=max(1, len(layers) // 12))
    figure.update_yaxes(title="visual tokens alive", rangemode="tozero")
    return styled(figure, "Visual tokens alive per layer", 320)


def budget_curves(told: list[RunResult]) -> go.Figure:
    """Against the mean visual tokens per layer: the probability of the full answer, with a cross where the answer is
    another one, and the work. One line a method; the first of `told` is every token.
    """
    figure = make_subplots(rows=2, cols=1, shared_xaxes=True, vertical_spacing=0.1, row_heights=[0.6, 0.4])
    full, names = told[0], list(dict.fromkeys(each.name for each in told[1:]))
    for place, name in enumerate(names):
        points = sorted((each for each in told[1:] if each.name == name), key=lambda each: each.trace.mean_tokens)
        for row, line in enumerate(_lines([*points, full], name, place), 1):
            figure.add_trace(line, row=row, col=1)
    ticks = [16 * 2**k for k in range(12)]
    figure.update_xaxes(type="log", tickvals=ticks)
    figure.update_xaxes(title="mean visual tokens per layer", row=2, col=1)
    figure.update_yaxes(title="probability", range=[-0.03, 1.05], row=1, col=1)
    figure.update_yaxes(title="GFLOP", rangemode="tozero", row=2, col=1)
    said = f"How likely “{literal(full.text)}” stays (× another answer)"
    return styled(figure, said, 520)


def _lines(points: list[RunResult], name: str, place: int) -> tuple[go.Scatter, go.Scatter]:
    """Probability and work of one method; told apart by colour and by dash."""
    tokens = [each.trace.mean_tokens for each in points]
    look = {
        "name": name,
        "legendgroup": name,
        "mode": "lines+markers",
        "line": {"color": palette.method_colour(place), "dash": palette.method_dash(place), "width": 2.2},
        "x": tokens,
    }
    symbols = ["circle" if each.same else "x" for each in points]
    said = [literal(each.text) for each in points]
    chance = go.Scatter(
        **look,
        y=[each.chance for each in points],
        text=said,
        marker={"symbol": symbols, "size": 9},
        hovertemplate="%{x:.0f} tokens: %{y:.1%}<br>says “%{text}”<extra>" + name + "</extra>",
    )
    work = go.Scatter(
        **look,
        y=[(each.flops + each.localizer_flops) / 1e9 for each in points],
        showlegend=False,
        marker={"size": 6},
        hovertemplate="%{x:.0f} tokens: %{y:.2f} GFLOP<extra>" + name + "</extra>",
    )
    return chance, work


def answer_map(image: Image.Image, told: list[RunResult]) -> go.Figure:
    """Over the image, cell by cell: the probability of the full answer with the region around that cell.

    The ways after the first are called "x,y" by their cell.
    """
    width, height = image.size
    z: list[list[float | None]] = [[None] * GRID for _ in range(GRID)]
    for each in told[1:]:
        x, y = (int(part) for part in each.name.split(","))
        z[y][x] = each.chance
    centres = [[side * (k + 0.5) / GRID for k in range(GRID)] for side in (width, height)]
    heat = go.Heatmap(
        z=z,
        x=centres[0],
        y=centres[1],
        zmin=0,
        zmax=1,
        colorscale="Cividis",
        opacity=0.62,
        colorbar={"title": {"text": "probability"}},
        hovertemplate="around this cell: %{z:.1%}<extra></extra>",
    )
    figure = go.Figure(heat)
    figure.add_layout_image(
        source=data_url(image), xref="x", yref="y", x=0, y=0, sizex=width, sizey=height, sizing="stretch", layer="below"
    )
    figure.update_xaxes(visible=False, range=[0, width], constrain="domain")
    figure.update_yaxes(visible=False, range=[height, 0], scaleanchor="x", constrain="domain")
    return styled(figure, f"Where “{literal(told[0].text)}” lives", 460)
