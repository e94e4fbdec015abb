"""The report: one HTML file that needs no network, with the result first, every figure, table and definition.

Replies, answers, ids and kinds come from models and data sets, and are text wherever they are shown.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape
from typing import TYPE_CHECKING, Any

from crop_core.bench.report import curves, heatmaps, table, words
from crop_core.bench.report.definitions import definitions
from crop_core.bench.report.differences import Difference, differences
from crop_core.bench.report.names import budget_name, run_name
from crop_core.bench.report.page import SCRIPT, STYLE
from crop_core.bench.report.summary import Summary

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

SHOWN = 200  # questions on which methods differ, at every budget
PLACES = {
    "figures": "Figures",
    "tables": "Tables",
    "pairs": "Tests",
    "questions": "Questions",
    "run": "What was run",
    "read": "How to read it",
}


def report(summary: Summary, records: pd.DataFrame, facts: Mapping[str, Any]) -> str:
    """The whole file, as text. records: what `summary` was made of, for the replies. facts: what was run, as
    sweep.json has it (model, device, versions, command and so on); nested facts are shown by their path.
    """
    from plotly.offline import get_plotlyjs

    model = str(facts.get("model", ""))
    title = f"Visual token pruning on {summary.dataset}"
    parts = [
        f"<h1>{escape(title)}</h1>",
        _navigation(),
        *_results(summary, model),
        *_tables(summary),
        *_questions(summary, records),
        _section("run", "What was run", _definitions(_flat(facts))),
        _section("read", "How to read it", _definitions(definitions(summary))),
    ]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style><script>{get_plotlyjs()}</script></head>\n"
        f"<body>{chr(10).join(parts)}\n<script>{SCRIPT}</script></body></html>\n"
    )


def _navigation() -> str:
    links = [f'<a href="#{place}">{name}</a>' for place, name in PLACES.items()]
    return f"<nav>{''.join(links)}</nav>"


def _results(summary: Summary, model: str) -> Iterator[str]:
    """The result in words, in one table and in figures."""
    lines = "".join(f"<li>{escape(line)}</li>" for line in words.headline(summary))
    yield f'<ul class="headline">{lines}</ul>'
    note = "<p class='soft'>* first, or tied with the first: not shown to be worse (paired test, corrected).</p>"
    yield _section("methods", "Every method at every budget", _html(table.methods_table(summary)) + note)
    if summary.competing:
        yield '<h2 id="figures">Figures</h2>'
        yield from (_figure(draw(summary, model)) for draw in (curves.accuracy, curves.divergence, curves.costs))
        yield from (_figure(heatmaps.kinds(summary, budget, model)) for budget in summary.budgets)
        yield from (_figure(heatmaps.pairs(summary, standing, model)) for standing in summary.standings)


def _tables(summary: Summary) -> Iterator[str]:
    yield _section("tables", "Every run", _html(table.full_table(summary)))
    yield _section("kinds", "By kind of question", _html(table.kinds_table(summary)))
    yield _section("pairs", "Paired tests", _html(table.pairs_table(summary)))
    if summary.rivals:
        yield _section("rivals", "Kinds on which others score higher than CROP", _html(table.rivals_table(summary)))


def _questions(summary: Summary, records: pd.DataFrame) -> Iterator[str]:
    """The questions on which methods differ, budget by budget."""
    yield '<h2 id="questions">Questions on which methods differ</h2>'
    for budget in summary.budgets:
        found = differences(records, budget)
        shown = f"{min(SHOWN, len(found))} of {len(found)}, those first that most methods get right"
        body = _replies(found[:SHOWN]) if found else "<p>None.</p>"
        yield f"<details><summary>At {budget_name(budget)}: {shown}</summary>{body}</details>"


def _replies(found: list[Difference]) -> str:
    """A row per question, a column per run; replies that score less than 1 are grey and marked."""
    head = ("question", "kind", "answer", *(run_name(run) for run in found[0].replies))
    rows = "".join(
        f"<tr><td>{escape(each.example)}</td><td>{escape(each.kind)}</td><td class='reply'>{escape(each.gold)}</td>"
        + "".join(_reply(text, score) for text, score in each.replies.values())
        + "</tr>"
        for each in found
    )
    return _grid(head, rows)


def _reply(text: str, score: float) -> str:
    return f"<td class='reply{'' if score == 1 else ' wrong'}'>{escape(text)}{'' if score == 1 else ' ✗'}</td>"


def _html(content: table.Table) -> str:
    rows = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in content.rows)
    return _grid(content.head, rows)


def _grid(head: tuple[str, ...], rows: str) -> str:
    """A sortable table; rows: their HTML."""
    cells = "".join(f'<th scope="col"><button type="button">{escape(cell)}</button></th>' for cell in head)
    return (
        '<div class="scroll" tabindex="0"><table class="sortable">'
        f"<thead><tr>{cells}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _figure(figure: go.Figure) -> str:
    from plotly.io import to_html

    settings = {"responsive": True, "displaylogo": False}
    drawn = to_html(figure, config=settings, include_plotlyjs=False, full_html=False, default_width="100%")
    return f'<figure><div class="pane">{drawn}</div></figure>'


def _section(place: str, title: str, body: str) -> str:
    return f'<section id="{place}"><h2>{escape(title)}</h2>{body}</section>'


def _definitions(rows: list[tuple[str, str]]) -> str:
    return "<dl>" + "".join(f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in rows) + "</dl>"


def _flat(facts: Mapping[str, Any], path: str = "") -> list[tuple[str, str]]:
    """Nested facts as (path, text)."""
    rows = []
    for name, value in facts.items():
        rows += _flat(value, f"{path}{name} ") if isinstance(value, Mapping) else [(f"{path}{name}", str(value))]
    return rows
