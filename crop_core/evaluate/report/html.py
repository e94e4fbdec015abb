"""HTML report: one file that needs no network, with the result first, every figure, table and definition.

Replies, answers, ids and kinds come from models and data sets; `templates/report.html` escapes them all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from crop_core.evaluate.report import curves, heatmaps, table, texts
from crop_core.evaluate.report.labels import budget_label, run_label
from crop_core.evaluate.report.summary import Summary
from crop_core.evaluate.runner.plan import ALL, Trial
from crop_core.io.html_templates import html_templates
from crop_core.records.methods import METHODS

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go


@dataclass(frozen=True)
class Difference:
    """A question that methods answer differently. replies: text and score of the baseline, then of every method."""

    example: str
    kind: str
    gold: str
    replies: Mapping[Trial, tuple[str, float]]


def differences(records: pd.DataFrame, budget: str) -> list[Difference]:
    """Questions with different scores at a budget, with predicted regions and the first seed; those that most methods
    get right first. The baseline's replies are shown, but do not count.
    """
    rows = records[(records["budget"] == budget) & (records["region"] == "predicted") & ~records["evict"]]
    rows = rows.astype({"example": str, "method": str}).sort_values("seed").drop_duplicates(["example", "method"])
    cells = rows.pivot(index="example", columns="method", values=["score", "reply"])
    score = cells["score"].astype(float)
    differs = score.min(axis=1) < score.max(axis=1)
    differing = score[differs].mean(axis=1).sort_values(ascending=False, kind="stable").index
    base = records[records["trial"] == ALL.name].astype({"example": str}).set_index("example").loc[differing]
    replies = {ALL: (base["reply"], base["score"])}
    for method in sorted(score.columns, key=_method_order):
        replies[Trial(method, budget)] = cells["reply"][method].loc[differing], score[method].loc[differing]
    columns = [list(zip(map(str, replied), map(float, scores), strict=True)) for replied, scores in replies.values()]
    facts = zip(differing, base["kind"], base["gold"], zip(*columns, strict=True), strict=True)
    return [
        Difference(each, str(kind), str(gold), dict(zip(replies, row, strict=True))) for each, kind, gold, row in facts
    ]


def _method_order(method: str) -> tuple[int, str]:
    """Sort key: the order of METHODS, then by name."""
    names = list(METHODS)
    return (names.index(method) if method in METHODS else len(names)), method


SHOWN = 200  # questions on which methods differ, at each budget
TEMPLATES = html_templates(Path(__file__).with_name("templates"))
TEMPLATES.filters["run_name"] = run_label


def report(summary: Summary, records: pd.DataFrame, facts: Mapping[str, Any]) -> str:
    """The whole file, as text. records: those of `summary`, for the replies. facts: those of
    sweep.json (model, device, versions, command and so on); nested facts are shown by their path.
    """
    from plotly.offline import get_plotlyjs

    return TEMPLATES.get_template("report.html").render(
        title=f"Visual token pruning on {summary.dataset}",
        headline=texts.headline(summary),
        methods=table.methods_table(summary),
        figures=_figures(summary, str(facts.get("model", ""))),
        tables=_tables(summary, str(facts.get("localizer") or "")),
        questions=[(budget_label(budget), differences(records, budget)) for budget in summary.budgets],
        shown=SHOWN,
        facts=_flat(facts),
        glossary=texts.definitions(summary),
        plotly=Markup(get_plotlyjs()),
    )


def _figures(summary: Summary, model: str) -> list[Markup]:
    """All figures; none without methods to compare."""
    if not summary.competing:
        return []
    lines = (draw(summary, model) for draw in (curves.accuracy, curves.divergence, curves.costs))
    kinds = (heatmaps.kinds(summary, budget, model) for budget in summary.budgets)
    pairs = (heatmaps.pairs(summary, standing, model) for standing in summary.standings)
    return [_plotly_html(figure) for figure in (*lines, *kinds, *pairs)]


def _plotly_html(figure: go.Figure) -> Markup:
    """A figure as Plotly's markup, which escapes the texts inside."""
    from plotly.io import to_html

    settings = {"responsive": True, "displaylogo": False}
    return Markup(to_html(figure, config=settings, include_plotlyjs=False, full_html=False, default_width="100%"))


def _tables(summary: Summary, localizer: str) -> list[tuple[str, str, table.Table]]:
    """(id, title, content) of each section after the figures that has rows."""
    tables = [
        ("tables", "Every run", table.full_table(summary)),
        ("kinds", "By kind of question", table.kinds_table(summary)),
        ("pairs", "Paired tests", table.pairs_table(summary)),
    ]
    if summary.localizers:
        tables.insert(0, ("localizers", "CROP by localizer", table.localizers_table(summary, localizer)))
    rivals = ("rivals", "Kinds on which others score higher than CROP", table.rivals_table(summary))
    return [each for each in (*tables, rivals) if each[2].rows]


def _flat(facts: Mapping[str, Any], path: str = "") -> list[tuple[str, str]]:
    """Nested facts as (path, text)."""
    rows = []
    for name, value in facts.items():
        rows += _flat(value, f"{path}{name} ") if isinstance(value, Mapping) else [(f"{path}{name}", _fact(value))]
    return rows


def _fact(value: Any) -> str:
    """A fact as a text: lists with commas, nothing for None."""
    if value is None:
        return ""
    return ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
