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

if TYPE_CHECKING:
    from PIL import Image

    from crop_core.records.results import Comparison, RunResult

INK = "#7b8794"  # legible in the light and in the dark theme
STAGE_NAMES = {
    "localizer_s": "localizer",
    "encode_s": "image encoder",
    "compression_s": "compression",
    "scoring_s": "scoring",
    "prefill_s": "prefill",
    "decode_s": "decode",
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
    """Horizontal bars of milliseconds by stage, one bar a run."""
    figure = go.Figure()
    runs = [texts.method_name(result.method), texts.BASELINE]
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
    figure.update_xaxes(title="layer of the LLM", dtick=max(1, len(layers) // 12))
    figure.update_yaxes(title="visual tokens alive", rangemode="tozero")
    return styled(figure, "Visual tokens alive per layer", 320)


def budget_curves(results: list[RunResult]) -> go.Figure:
    """Probability of the baseline's answer, a cross marking another answer, and work, against mean tokens per layer.

    One line a method; the first of `results` is the baseline.
    """
    figure = make_subplots(rows=2, cols=1, shared_xaxes=True, vertical_spacing=0.1, row_heights=[0.6, 0.4])
    baseline, names = results[0], list(dict.fromkeys(each.name for each in results[1:]))
    for place, name in enumerate(names):
        points = sorted((each for each in results[1:] if each.name == name), key=lambda each: each.trace.mean_tokens)
        for row, line in enumerate(_lines([*points, baseline], name, place), 1):
            figure.add_trace(line, row=row, col=1)
    ticks = [16 * 2**k for k in range(12)]
    figure.update_xaxes(type="log", tickvals=ticks)
    figure.update_xaxes(title="mean visual tokens per layer", row=2, col=1)
    figure.update_yaxes(title="probability", range=[-0.03, 1.05], row=1, col=1)
    figure.update_yaxes(title="GFLOP", rangemode="tozero", row=2, col=1)
    return styled(figure, f"How likely “{literal(baseline.text)}” stays (× another answer)", 520)


def _lines(points: list[RunResult], name: str, place: int) -> tuple[go.Scatter, go.Scatter]:
    """Probability and work of one method, with a colour and a dash of its own."""
    tokens = [each.trace.mean_tokens for each in points]
    look = {
        "name": name,
        "legendgroup": name,
        "mode": "lines+markers",
        "line": {"color": palette.method_colour(place), "dash": palette.method_dash(place), "width": 2.2},
        "x": tokens,
    }
    symbols = ["circle" if each.same else "x" for each in points]
    answers = [literal(each.text) for each in points]
    probability = go.Scatter(
        **look,
        y=[each.chance for each in points],
        text=answers,
        marker={"symbol": symbols, "size": 9},
        hovertemplate="%{x:.0f} tokens: %{y:.1%}<br>answer “%{text}”<extra>" + name + "</extra>",
    )
    work = go.Scatter(
        **look,
        y=[(each.flops + each.localizer_flops) / 1e9 for each in points],
        showlegend=False,
        marker={"size": 6},
        hovertemplate="%{x:.0f} tokens: %{y:.2f} GFLOP<extra>" + name + "</extra>",
    )
    return probability, work


def answer_map(image: Image.Image, results: list[RunResult]) -> go.Figure:
    """Over the image, cell by cell: the probability of the baseline's answer with the region around that cell.

    Runs after the first are named "x,y" by their cell.
    """
    width, height = image.size
    z: list[list[float | None]] = [[None] * GRID for _ in range(GRID)]
    for each in results[1:]:
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
    return styled(figure, f"Where “{literal(results[0].text)}” lives", 460)
