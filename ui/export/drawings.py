"""Drawings for Python: what the methods of results in `crop_core/records/views.py` call."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from PIL import Image

from crop_core.records.formatting import truncated_repr
from ui.export import report
from ui.export.captions import sheet_caption as sheet_caption  # by its name, too
from ui.export.figure import FigureOptions, figure
from ui.export.letters import FigureError, Letters
from ui.export.load_runs import finished_view, stand_in
from ui.export.multi_run_figures import sheet_figure as sheet_export

if TYPE_CHECKING:
    from crop_core.records.results import Comparison
    from crop_core.records.sheet import Sheet
    from ui.export.page_layout import RunFigure

LETTERS = {"font": "font", "font_size": "size", "outlines": "outlines"}  # options -> fields of Letters


def comparison_figure(result: Comparison, name: str, width: float, options: dict[str, Any]) -> RunFigure:
    """Figure of one run."""
    allowed = [each.name for each in fields(FigureOptions) if each.name not in ("name", "width", "letters")]
    own, letters = _split(options, allowed)
    return figure(images_of(result), result, FigureOptions(name, width, **own, letters=letters))


def comparison_report(result: Comparison) -> str:
    """Interactive report of one run."""
    return report.page(finished_view(images_of(result), result), result).decode()


def sheet_figure(sheet: Sheet, width: float, options: dict[str, Any]) -> RunFigure:
    """Figure of a comparison sheet."""
    own, letters = _split(options, ["captioned"])
    return sheet_export(sheet).figure(width, letters, **own)


def check_look(width: float, options: dict[str, Any]) -> None:
    """FigureError for a width, font or size in which no figure is drawn."""
    FigureOptions(width=width, letters=_split(options, [])[1])


def images_of(result: Comparison) -> Sequence[Image.Image]:
    """The images of a result; grey ones for a result from a file."""
    return result.images or [stand_in(trace) for trace in result.crop.traces]


def _split(options: dict[str, Any], allowed: list[str]) -> tuple[dict[str, Any], Letters]:
    """Own options of a figure, and its letters; FigureError for an option that there is not."""
    for name in options:
        if name not in (*allowed, *LETTERS):
            choices = ", ".join((*allowed, *LETTERS))
            raise FigureError(f"A figure has no option {truncated_repr(name)}; choose from {choices}.")
    letters = Letters(**{field: options[name] for name, field in LETTERS.items() if name in options})
    return {name: value for name, value in options.items() if name in allowed}, letters
