"""Heat maps: the score kept of each kind of question, and the difference of any two methods.

Both scales are even in lightness from the middle or from one end, and every cell shows its number.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from crop_core.evaluate.report.labels import budget_label, method_label, plain, styled
from crop_core.evaluate.report.ranking import BudgetRanking
from crop_core.evaluate.report.summary import Summary
from crop_core.evaluate.report.table import kind_names
from crop_core.evaluate.runner.plan import Trial

if TYPE_CHECKING:
    import plotly.graph_objects as go

BETTER_OR_WORSE = [[0.0, "#d55e00"], [0.5, "#f7f7f7"], [1.0, "#0072b2"]]
ROW = 26  # pixels


def kinds(summary: Summary, budget: str, model: str = "") -> go.Figure:
    """Share of the baseline's score that each method keeps at a budget, by kind of question."""
    import plotly.graph_objects as go

    runs = [run for method in summary.methods if (run := summary.of(Trial(method, budget)))]
    values = [[_none(run.kept_by_kind[kind]) for kind in summary.kinds] + [_none(run.kept.value)] for run in runs]
    grid = go.Heatmap(
        x=[*map(plain, kind_names(summary)), "<b>all</b>"],
        y=[method_label(run.run.method) for run in runs],
        z=values,
        zmin=0,
        zmax=1,
        colorscale="Cividis",
        texttemplate="%{z:.0%}",
        hovertemplate="%{y}, %{x}: %{z:.1%} kept<extra></extra>",
        colorbar={"tickformat": ".0%", "thickness": 10},
        xgap=1,
        ygap=1,
    )
    figure = styled(
        go.Figure(grid), f"Kept of each kind at {budget_label(budget)}", summary, model, 190 + ROW * len(runs)
    )
    return figure.update_yaxes(autorange="reversed", showgrid=False).update_xaxes(showgrid=False)


def pairs(summary: Summary, standing: BudgetRanking, model: str = "") -> go.Figure:
    """Points by which the method of the row is above that of the column; * where the corrected p is under 0.05."""
    import plotly.graph_objects as go

    methods = [name for name in summary.methods if summary.of(Trial(name, standing.budget))]
    cells = {(pair.first, pair.second): (100 * pair.difference, pair.differs) for pair in standing.pairs}
    cells |= {(second, first): (-points, differs) for (first, second), (points, differs) in cells.items()}
    table = [[cells.get((row, column)) for column in methods] for row in methods]
    points = [[cell[0] if cell else None for cell in row] for row in table]
    largest = max((abs(value) for row in points for value in row if value is not None), default=0.0)
    names = [method_label(name) for name in methods]
    grid = go.Heatmap(
        x=names,
        y=names,
        z=points,
        zmin=-largest or -1,
        zmax=largest or 1,
        colorscale=BETTER_OR_WORSE,
        text=[[f"{cell[0]:+.1f}{'*' if cell[1] else ''}" if cell else "" for cell in row] for row in table],
        texttemplate="%{text}",
        hovertemplate="%{y} minus %{x}: %{z:+.1f} points<extra></extra>",
        colorbar={"title": "points", "thickness": 10},
        xgap=1,
        ygap=1,
    )
    title = f"Row minus column at {budget_label(standing.budget)}, points (* significant)"
    figure = styled(go.Figure(grid), title, summary, model, 210 + ROW * len(methods))
    return figure.update_yaxes(autorange="reversed", showgrid=False).update_xaxes(showgrid=False)


def _none(value: float) -> float | None:
    return None if math.isnan(value) else value
