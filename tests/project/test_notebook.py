"""The notebook of docs/ runs, cell by cell, as in Jupyter at the repository's root, and shows what its texts say."""

from __future__ import annotations

import ast
import json
from typing import Any

import pytest

from tests.support import ROOT

CELLS = [
    "".join(cell["source"])
    for cell in json.loads((ROOT / "docs" / "notebook.ipynb").read_text())["cells"]
    if cell["cell_type"] == "code"
]


def run(cell: str, names: dict[str, Any]) -> Any:
    """Run a cell; returns the value of its last line where that is an expression, as Jupyter shows it."""
    *lines, last = ast.parse(cell).body
    if not isinstance(last, ast.Expr):
        exec(cell, names)
        return None
    exec(compile(ast.Module(lines, []), "notebook", "exec"), names)
    return eval(compile(ast.Expression(last.value), "notebook", "eval"), names)


def test_every_cell_runs_and_shows_what_its_text_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    names: dict[str, Any] = {}
    shown = [run(cell, names) for cell in CELLS]
    html = [each._repr_html_() or "" for each in shown if hasattr(each, "_repr_html_")]
    assert any("<iframe" in each for each in html) and sum("<table" in each for each in html) >= 2
    assert names["figure"].get_size_inches()[0] == pytest.approx(17.5 / 2.54)
    result, wrong, without = (names[name] for name in ("result", "wrong", "without"))
    assert result.same and not wrong.same and not without.same, "the sign's tokens are what the answer needs"
    assert "\\toprule" in shown[-1]
    assert names["found"].region.grid == result.region.grid


def test_the_notebook_is_kept_without_outputs() -> None:
    cells = json.loads((ROOT / "docs" / "notebook.ipynb").read_text())["cells"]
    assert all(not cell.get("outputs") and cell.get("execution_count") is None for cell in cells)
