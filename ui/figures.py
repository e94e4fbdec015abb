"""Plotly figures of a comparison: where the time goes, and visual tokens alive per layer. Reads records only."""

from __future__ import annotations

from typing import TYPE_CHECKING

import plotly.graph_objects as go

from ui import palette, words

if TYPE_CHECKING:
    from crop_core.records import Comparison

INK = "#7b8794"  # readable on the light and on the dark page
STAGE_NAMES = {
    "localizer_s": "localizer",
    "encode_s": "image encoder",
    "compression_s": "compression",
    "scoring_s": "scoring",
    "prefill_s": "prefill",
    "decode_s": "decode",
}


def styled(figure: go.Figure, title: str, height: int) -> go.Figure:
    """Common look: transparent, quiet grid, system font, legend on top."""
    figure.update_layout(
        height=height,
        title={"text": title, "x": 0.01, "y": 0.98, "yanchor": "top", "font": {"size": 14}},
        margin={"l": 8, "r": 12, "t": 96, "b": 8},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"family": "system-ui, sans-serif", "size": 12, "color": INK},
        legend={"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom", "traceorder": "normal"},
        hovermode="closest",
    )
    figure.update_xaxes(gridcolor="rgba(123,135,148,.22)", zeroline=False, automargin=True)
    figure.update_yaxes(gridcolor="rgba(123,135,148,.22)", zeroline=False, automargin=True)
    return figure


def time_split(result: Comparison) -> go.Figure:
    """Horizontal bars of milliseconds by stage, one bar for each run."""
    figure = go.Figure()
    runs = [words.method_name(result.method), "every token"]
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
    """Visual tokens alive in each layer of the LLM in both runs, with the mean of the pruned one."""
    trace = result.crop.trace
    layers = list(range(trace.layers))
    figure = go.Figure()
    every = [trace.visual_tokens] * trace.layers
    pruned = words.method_name(result.method)
    for name, counts, colour in (("every token", every, palette.BASELINE), (pruned, trace.alive_counts, palette.CROP)):
        line = {"shape": "hv", "color": colour, "width": 2.5}
        hover = "layer %{x}: %{y} visual tokens<extra>" + name + "</extra>"
        figure.add_trace(go.Scatter(x=layers, y=list(counts), name=name, mode="lines", line=line, hovertemplate=hover))
    figure.add_hline(
        y=trace.mean_tokens, line_dash="dot", line_color=INK, annotation_text=f"mean {trace.mean_tokens:.1f}"
    )
    figure.update_xaxes(title="layer of the LLM", dtick=max(1, trace.layers // 12))
    figure.update_yaxes(title="visual tokens alive", rangemode="tozero")
    return styled(figure, "Visual tokens alive per layer", 320)
