"""Style sheets of the explorer and of the page around it."""

from __future__ import annotations

from pathlib import Path

from ui.views import palette

STATIC = Path(__file__).parents[1] / "static"


def css() -> str:
    """Style sheets of the explorer and of the page around it."""
    return f"{explorer_css()}\n{read('page.css')}"


def explorer_css() -> str:
    """Style sheet of the explorer, with its colours."""
    return f"{palette.as_css()}\n{read('explorer.css')}"


def read(name: str) -> str:
    """Text of a file in ui/static."""
    return (STATIC / name).read_text(encoding="utf-8")
