"""Jinja2 templates of the HTML files: every value is escaped, a missing one is an error."""

from __future__ import annotations

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

SHARED = Path(__file__).with_name("templates")  # the style sheet of all pages


def html_templates(folder: Path) -> Environment:
    """The templates in `folder` and in SHARED; they raise jinja2.UndefinedError for a missing value."""
    return Environment(
        loader=FileSystemLoader([folder, SHARED]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
