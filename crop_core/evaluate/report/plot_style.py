"""What all figures have in common: fonts, grid, title, and how texts that nobody vouches for are shown in them."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

from crop_core.evaluate.report.summary import Summary

if TYPE_CHECKING:
    import plotly.graph_objects as go

INK = "#6b7684"  # readable on the light and on the dark page
GRID = "rgba(123,135,148,.25)"


def plain(text: str) -> str:
    """Plotly reads some HTML in its texts; this shows them as they are."""
    return html.escape(text, quote=False)


def styled(figure: go.Figure, title: str, summary: Summary, model: str, height: int) -> go.Figure:
    """Common look: transparent, quiet grid, legend below; the title says questions, dataset and model."""
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
