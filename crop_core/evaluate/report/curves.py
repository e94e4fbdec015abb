"""Line figures: every method over its budgets. Reads the summary only.

Colours are Okabe and Ito's; dashes and markers distinguish the lines in grey.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from crop_core.evaluate.report.labels import INK, faint, method_label, plain, style, styled
from crop_core.evaluate.report.summary import OURS, RunSummary, Summary

if TYPE_CHECKING:
    import plotly.graph_objects as go

Value = Callable[[RunSummary], float]
# Of an axis of shares: where all values are the same, it would go to 200 %.
SHARES: dict[str, Any] = {"tickformat": ".0%", "autorangeoptions": {"clipmin": -0.05, "clipmax": 1.05}}


def accuracy(summary: Summary, model: str = "") -> go.Figure:
    """Score against mean tokens, with 95 % bands, and lines for the baseline and for a grey image."""
    import plotly.graph_objects as go

    figure = go.Figure()
    for method in summary.methods:
        figure.add_trace(_band(summary, method))
        figure.add_trace(_line(summary, method, _mean_tokens, _score))
    _reference(figure, "Baseline", summary.full.accuracy.value, "dash")
    if summary.blind:
        _reference(figure, "blind", summary.blind.accuracy.value, "dot")
    figure.update_xaxes(title="mean visual tokens per layer", type="log", **_ticks(summary))
    figure.update_yaxes(title=plain(summary.metric), **SHARES)
    return styled(figure, "Score against budget, 95 % intervals", summary, model, 620)


def divergence(summary: Summary, model: str = "") -> go.Figure:
    """Agreement with the baseline's reply, and mean KL of the first token, against mean tokens."""
    panels = [
        ("same reply as the baseline", _mean_tokens, _agreement),
        ("KL of the first token, nats", _mean_tokens, _kl),
    ]
    figure = _panels(summary, panels)
    figure.update_xaxes(title="mean visual tokens per layer", type="log", **_ticks(summary))
    figure.update_yaxes(**SHARES, col=1)
    figure.update_yaxes(rangemode="tozero", col=2)
    return styled(figure, "Divergence from the baseline", summary, model, 560)


def costs(summary: Summary, model: str = "") -> go.Figure:
    """Score against the KV cache's size and against the time to the first token; the baseline is a black star."""
    import plotly.graph_objects as go

    panels = [("score, by KV cache", _kv, _score), ("score, by time to the first token", _ttft, _score)]
    figure = _panels(summary, panels)
    for column, cost in enumerate((_kv, _ttft), 1):
        star = {"symbol": "star", "size": 13, "color": INK}
        point = go.Scatter(
            x=[cost(summary.full)],
            y=[_score(summary.full)],
            name="Baseline",
            mode="markers",
            marker=star,
            legendgroup="baseline",
            showlegend=column == 1,
            hovertemplate="Baseline: %{y:.1%} at %{x:.3g}<extra></extra>",
        )
        figure.add_trace(point, row=1, col=column)
    figure.update_yaxes(**SHARES)
    figure.update_xaxes(title="KV cache, MB", rangemode="tozero", col=1)
    figure.update_xaxes(title="first token, ms", rangemode="tozero", col=2)
    return styled(figure, "Score against cost", summary, model, 560)


def _panels(summary: Summary, panels: Sequence[tuple[str, Value, Value]]) -> go.Figure:
    """Panels side by side, each with a line per method, under one legend."""
    from plotly.subplots import make_subplots

    figure = make_subplots(1, len(panels), subplot_titles=[title for title, *_ in panels], horizontal_spacing=0.12)
    for column, (_, x, y) in enumerate(panels, 1):
        for method in summary.methods:
            figure.add_trace(_line(summary, method, x, y).update(showlegend=column == 1), row=1, col=column)
    return figure


def _line(summary: Summary, method: str, x: Value, y: Value) -> go.Scatter:
    import plotly.graph_objects as go

    line, runs = style(method, summary.methods), _runs(summary, method)
    name = plain(method_label(method))
    return go.Scatter(
        x=[x(run) for run in runs],
        y=[y(run) for run in runs],
        name=name,
        legendgroup=method,
        mode="lines+markers",
        line={"color": line.colour, "dash": line.dash, "width": 3.5 if method == OURS else 1.8},
        marker={"symbol": line.marker, "size": 10 if method == OURS else 8},
        customdata=[[run.mean_tokens, run.accuracy.value, run.accuracy.low, run.accuracy.high] for run in runs],
        hovertemplate=f"{name}, %{{customdata[0]:.1f}} tokens: %{{customdata[1]:.1%}} "
        "(%{customdata[2]:.1%} to %{customdata[3]:.1%})<extra></extra>",
    )


def _band(summary: Summary, method: str) -> go.Scatter:
    """The 95 % intervals of a method, shown and hidden with its line."""
    import plotly.graph_objects as go

    runs = _runs(summary, method)
    across, back = [run.mean_tokens for run in runs], runs[::-1]
    return go.Scatter(
        x=across + across[::-1],
        y=[run.accuracy.low for run in runs] + [run.accuracy.high for run in back],
        legendgroup=method,
        showlegend=False,
        fill="toself",
        fillcolor=faint(style(method, summary.methods).colour, 0.1),
        mode="lines",
        line={"width": 0},
        hoverinfo="skip",
    )


def _reference(figure: go.Figure, name: str, value: float, dash: str) -> None:
    figure.add_hline(
        y=value, line={"dash": dash, "color": INK, "width": 1.5}, annotation_text=f"{name} {value:.1%}",
        annotation_position="top left",
    )  # fmt: skip


def _runs(summary: Summary, method: str) -> list[RunSummary]:
    return sorted((run for run in summary.competing if run.run.method == method), key=_mean_tokens)


def _ticks(summary: Summary) -> dict[str, Any]:
    """One tick a budget, at its runs' mean of tokens."""
    tokens: dict[str, list[float]] = {}
    for run in summary.competing:
        tokens.setdefault(run.run.budget, []).append(run.mean_tokens)
    ticks = [sum(values) / len(values) for values in tokens.values()]
    return {"tickvals": ticks, "ticktext": [f"{tick:.0f}" for tick in ticks]}


def _mean_tokens(run: RunSummary) -> float:
    return run.mean_tokens


def _score(run: RunSummary) -> float:
    return run.accuracy.value


def _kv(run: RunSummary) -> float:
    return run.kv_bytes / 1e6


def _ttft(run: RunSummary) -> float:
    return 1000 * run.ttft_s


def _agreement(run: RunSummary) -> float:
    return run.agreement.value


def _kl(run: RunSummary) -> float:
    return run.kl_first_mean
