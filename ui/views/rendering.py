"""Render HTML from the Jinja2 macros in `templates/fragments.html`; values are escaped, a missing one is an error."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crop_core.io.html_templates import html_templates
from crop_core.records.region import GRID

TEMPLATES = html_templates(Path(__file__).with_name("templates"))
TEMPLATES.globals["GRID"] = GRID


@dataclass(frozen=True)
class Card:
    """Entry of a strip: a title above lines of text, beside an image (data URL) or regions (inclusive grid cells).

    index: what a click selects, None for nothing. current: whether it is on screen.
    """

    index: int | None
    title: str
    lines: tuple[str, ...]
    image: str = ""
    regions: tuple[tuple[int, int, int, int], ...] = ()
    current: bool = False


def render(fragment: str, *values: Any) -> str:
    """HTML of the macro `fragment`, called with these values.

    Raises:
        jinja2.TemplateError: for a missing macro, or a missing attribute of a value.
    """
    macros: Any = TEMPLATES.get_template("fragments.html").module
    return str(getattr(macros, fragment)(*values)).strip()


def message(*sentences: str) -> str:
    """Message area: an alert for each sentence that is not empty, announced by screen readers."""
    return render("alerts", list(filter(None, sentences)))
