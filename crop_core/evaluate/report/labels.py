"""Labels and looks: names of methods, runs and budgets, each method's line, and the layout of all figures."""

from __future__ import annotations

import html
from dataclasses import dataclass
from typing import TYPE_CHECKING

from crop_core.evaluate.report.summary import Summary
from crop_core.evaluate.runner.plan import Trial
from crop_core.records.config import Budget
from crop_core.records.methods import JOINT, METHODS, as_published, method_of, published_methods

if TYPE_CHECKING:
    import plotly.graph_objects as go

# Okabe and Ito's colours, distinguishable with the common kinds of colour blindness; yellow is too pale.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8a6fb0")
MARKERS = (
    "circle", "square", "diamond", "triangle-up", "triangle-down", "cross", "x", "star", "pentagon", "hexagon",
    "hourglass", "bowtie", "triangle-left", "triangle-right",
)  # fmt: skip
DASHES = ("solid", "dash", "dot", "dashdot")


@dataclass(frozen=True)
class Style:
    """Plotly style of a method. Marker and dash distinguish methods in grey, and where colours repeat."""

    colour: str
    marker: str
    dash: str


def method_label(method: str) -> str:
    """Label in tables: "CROP", "PLC + FastV"; an unknown name is its own label."""
    return f" {JOINT} ".join(_part(part) for part in method.split(JOINT))


def _part(name: str) -> str:
    known = name in METHODS or name in map(as_published, published_methods())
    return method_of(name).title if known else name


def run_label(run: Trial) -> str:
    """Label in tables: "Baseline", "blind", "CROP 64", "CROP 64, reference region"."""
    if run.method == "none":
        return run.name if run.blind else "Baseline"
    return method_label(run.method) + run.name[len(run.method) :]


def budget_label(budget: str) -> str:
    """ "64 tokens" or "25 %"."""
    return str(Budget.parse(budget))


def style(method: str, others: tuple[str, ...] = ()) -> Style:
    """The method's style, by its place in METHODS; joined methods come after those, in the order of `others`."""
    order = [*METHODS, *(other for other in others if other not in METHODS)]
    place = order.index(method) if method in order else len(order)
    return Style(
        COLOURS[place % len(COLOURS)], MARKERS[place % len(MARKERS)], DASHES[place // len(COLOURS) % len(DASHES)]
    )


INK = "#6b7684"  # readable on the light and on the dark page
GRID = "rgba(123,135,148,.25)"


def plain(text: str) -> str:
    """Escape a text, since Plotly interprets some HTML."""
    return html.escape(text, quote=False)


def styled(figure: go.Figure, title: str, summary: Summary, model: str, height: int) -> go.Figure:
    """Apply the common layout: transparent, light grid, legend below; the title names questions, dataset and model."""
    facts = " · ".join(plain(text) for text in (f"n = {summary.questions}", summary.dataset, model) if text)
    figure.update_layout(
        height=height,
        title={"text": f"<b>{plain(title)}</b><br><sup>{facts}</sup>", "x": 0.01, "font": {"size": 16}},
        margin={"l": 8, "r": 12, "t": 84, "b": 8},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"family": "system-ui, sans-serif", "size": 12, "color": INK},
        legend={"orientation": "h", "x": 0, "y": -0.18, "yanchor": "top"},
        hovermode="closest",
    )
    figure.update_xaxes(gridcolor=GRID, zeroline=False, automargin=True)
    figure.update_yaxes(gridcolor=GRID, zeroline=False, automargin=True)
    return figure


def faint(colour: str, alpha: float) -> str:
    """`#rrggbb` as an rgba() with this opacity."""
    red, green, blue = (int(colour[k : k + 2], 16) for k in (1, 3, 5))
    return f"rgba({red},{green},{blue},{alpha})"
