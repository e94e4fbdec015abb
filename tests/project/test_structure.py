"""Test files share by `tests.support` alone, so that each can be moved and run by itself."""

from __future__ import annotations

import ast
from pathlib import Path

from tests.support import ROOT


def imported(file: Path) -> set[str]:
    """Every part of the dotted names that a file imports."""
    nodes = list(ast.walk(ast.parse(file.read_text(encoding="utf-8"))))
    names = [alias.name for node in nodes if isinstance(node, ast.Import | ast.ImportFrom) for alias in node.names]
    modules = [node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)]
    return {part for name in [*names, *modules] for part in name.split(".")}


def test_no_file_imports_a_test_file() -> None:
    files = sorted((ROOT / "tests").rglob("*.py"))
    forbidden = {file.stem for file in files if file.stem.startswith("test_")} | {"conftest"}
    assert len(forbidden) > 90
    assert {str(file): result for file in files if (result := imported(file) & forbidden)} == {}
