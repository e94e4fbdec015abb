"""The HTML templates of ui/templates: values are escaped unless marked as markup, and a missing one is an error."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

ENVIRONMENT = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def render(name: str, **values: Any) -> str:
    """A template with its values; jinja2.UndefinedError for one that is missing."""
    return ENVIRONMENT.get_template(name).render(**values)
