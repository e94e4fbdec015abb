"""The report: one HTML file that needs no network, with the result first, every figure, table and definition.

Replies, answers, ids and kinds come from models and data sets; `templates/report.html` escapes them all.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from crop_core.evaluate.report import curves, headline, heatmaps, table
from crop_core.evaluate.report.differences import differences
from crop_core.evaluate.report.glossary import definitions
from crop_core.evaluate.report.labels import budget_label, run_label
from crop_core.evaluate.report.summary import Summary

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

SHOWN = 200  # questions on which methods differ, at every budget
TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).with_name("templates")),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
TEMPLATES.filters["run_name"] = run_label


def report(summary: Summary, records: pd.DataFrame, facts: Mapping[str, Any]) -> str:
    """The whole file, as text. records: what `summary` was made of, for the replies. facts: what was run, as
    sweep.json has it (model, device, versions, command and so on); nested facts are shown by their path.
    """
    from plotly.offline import get_plotlyjs

    return TEMPLATES.get_template("report.html").render(
        title=f"Visual token pruning on {summary.dataset}",
        headline=headline.headline(summary),
        methods=table.methods_table(summary),
        figures=_figures(summary, str(facts.get("model", ""))),
        tables=_tables(summary),
        questions=[(budget_label(budget), differences(records, budget)) for budget in summary.budgets],
        shown=SHOWN,
        facts=_flat(facts),
        glossary=definitions(summary),
        plotly=Markup(get_plotlyjs()),
    )


def _figures(summary: Summary, model: str) -> list[Markup]:
    """Every figure; none where there is nothing to compare."""
    if not summary.competing:
        return []
    lines = (draw(summary, model) for draw in (curves.accuracy, curves.divergence, curves.costs))
    kinds = (heatmaps.kinds(summary, budget, model) for budget in summary.budgets)
    pairs = (heatmaps.pairs(summary, standing, model) for standing in summary.standings)
    return [_drawn(figure) for figure in (*lines, *kinds, *pairs)]


def _drawn(figure: go.Figure) -> Markup:
    """A figure as the markup that Plotly makes of it, which escapes the texts inside."""
    from plotly.io import to_html

    settings = {"responsive": True, "displaylogo": False}
    return Markup(to_html(figure, config=settings, include_plotlyjs=False, full_html=False, default_width="100%"))


def _tables(summary: Summary) -> list[tuple[str, str, table.Table]]:
    """(id, title, content) of each section after the figures."""
    tables = [
        ("tables", "Every run", table.full_table(summary)),
        ("kinds", "By kind of question", table.kinds_table(summary)),
        ("pairs", "Paired tests", table.pairs_table(summary)),
    ]
    rivals = ("rivals", "Kinds on which others score higher than CROP", table.rivals_table(summary))
    return [*tables, rivals] if summary.rivals else tables


def _flat(facts: Mapping[str, Any], path: str = "") -> list[tuple[str, str]]:
    """Nested facts as (path, text)."""
    rows = []
    for name, value in facts.items():
        rows += _flat(value, f"{path}{name} ") if isinstance(value, Mapping) else [(f"{path}{name}", str(value))]
    return rows
