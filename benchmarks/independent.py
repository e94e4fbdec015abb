"""The independent world beside the bundled one: columns for the tables of methods, and a table by kind.

Reads the records of `python -m benchmarks.bundled --only independent`; a table has the columns once all of its runs
are recorded.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from crop_core.evaluate.report.summary import Summary, summarise
from crop_core.evaluate.report.table import kinds_table, markdown, methods_table
from crop_core.evaluate.runner.plan import ALL, BLIND, BUDGETS, Trial

if TYPE_CHECKING:
    import pandas as pd

SHOWN = ("ilp", "plc", "crop", "random", "divprune", "fastv", "visionzip")
HEAD = "independent world"
MAJORITY = "majority"  # row of a table, of no run


def beside_runs(table: str, other: Summary) -> str:
    """A table of runs (the first column: their recorded names) with their accuracy in the independent world."""
    cells = {run.name: [f"{run.accuracy.value:.1%}"] for run in other.runs}
    return _joined(table, [HEAD], cells)


def beside_methods(table: str, other: Summary) -> str:
    """`methods_table` of the bundled world with the same columns for the independent one."""
    theirs = methods_table(other)
    budgets = [at for at, head in enumerate(theirs.head) if head.endswith(" tokens")]
    heads = [f"independent, {theirs.head[at]}" for at in budgets]
    return _joined(table, heads, {row[0]: [row[at] for at in budgets] for row in theirs.rows})


def by_kind(records: pd.DataFrame) -> str:
    """Accuracy of the recorded runs of SHOWN by kind of question."""
    names = {trial.name for trial in (ALL, BLIND, *(Trial(method, budget) for method in SHOWN for budget in BUDGETS))}
    return kinds_table(summarise(records[records["trial"].isin(names)])).markdown()


def _joined(table: str, heads: list[str], cells: Mapping[str, Iterable[str]]) -> str:
    """A Markdown table with more columns, by the text of its first one; as it was while a run is not yet measured."""
    head, _, *rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines()]
    known = {MAJORITY: [""] * len(heads), **cells}
    if any(row[0] not in known for row in rows):
        return table
    return markdown([*head, *heads], [[*row, *known[row[0]]] for row in rows])
