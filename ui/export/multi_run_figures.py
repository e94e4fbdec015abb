"""Figures of many runs: methods, budgets and region positions of one question, and comparison sheets.

Each holds only what its file needs, so that it can be kept beside the view until the file is requested.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from crop_core.records.config import AS_GIVEN, CropConfig
from crop_core.records.formatting import format_number
from crop_core.records.methods import method_of
from crop_core.records.sheet import Sheet, SheetRow
from crop_core.records.tables import Row, run_rows
from ui.export import captions
from ui.export.figure import check_width, drawer
from ui.export.letters import DEFAULT_LETTERS, Letters
from ui.export.report import environment, facts_of_many, region_words
from ui.views.chart_data import GAP, Point, curves, flip, probabilities

if TYPE_CHECKING:
    from crop_core.records.region import Region
    from crop_core.records.results import RunError, RunResult
    from ui.export.page_layout import RunFigure


@dataclass(frozen=True)
class FigureSource:
    """Question, settings of all runs, image (H, W, 3) and its file's name."""

    question: str
    config: CropConfig
    pixels: NDArray[np.uint8]
    name: str = ""


@dataclass(frozen=True, eq=False)
class ExportFigure:
    """A figure to be drawn. name: of the file. title: the question. facts: metadata. heading: above the drawing.

    drawer: "module:function" that draws it from `content`. caption: a sentence for a paper. rows: its numbers.
    sheet: the comparison sheet that it is, of one image for the methods.
    """

    name: str
    title: str
    facts: dict[str, str]
    heading: str
    drawer: str
    content: tuple[Any, ...]
    caption: str
    rows: list[Row]
    sheet: Sheet | None = None

    def figure(self, width: float, letters: Letters = DEFAULT_LETTERS, captioned: bool = False) -> RunFigure:
        """Draw it, `width` centimetres wide; FigureError for a width out of range."""
        from ui.export.page_layout import Panel, lay_out

        check_width(width)
        panel = Panel(self.heading, partial(drawer(self.drawer), *self.content))
        facts = {"figure": self.name, **self.facts}
        return lay_out([panel], width, self.title, facts, self.caption if captioned else "", letters)


def methods_figure(
    source: FigureSource, results: Sequence[RunResult], errors: Sequence[RunError], what: str = "each method"
) -> ExportFigure:
    """Figure of what each method keeps at the budget of the settings. what: the runs that are compared, in words."""
    budget = str(source.config.budget or AS_GIVEN)
    more = {**{f"answer with {each.name}": each.text for each in results[1:]}, "budget": budget}
    heading, content = f"What {what} keeps (budget: {budget})", (source.pixels, list(results))
    facts = _facts(source, results, errors, more)
    caption = captions.methods_caption(source.question, results, budget, what)
    image = Image.fromarray(source.pixels)
    sheet = Sheet((SheetRow(image, source.question, tuple(results), tuple(errors), source.name),), budget)
    drawer = "method_grid:methods"
    return ExportFigure("methods", source.question, facts, heading, drawer, content, caption, sheet.runs, sheet)


def budget_figure(source: FigureSource, results: Sequence[RunResult], errors: Sequence[RunError]) -> ExportFigure:
    """Figure of the answer and the work against the budget; holds no trace."""
    points = [Point.of(each) for each in results]
    by_method = curves(points)
    flips = {name: flip(curve) for name, curve in by_method.items()}
    budgets = [
        f"{name} {', '.join(format_number(point.tokens) for point in curve[:-1] if point is not GAP)}"
        for name, curve in by_method.items()
    ]
    more = {
        "budgets": "; ".join(budgets),
        "flips": ", ".join(f"{name} at {format_number(at.tokens)}" for name, at in flips.items() if at),
    }
    facts, content = _facts(source, results, errors, more), (results[0].text, points)
    caption, rows = captions.budgets_caption(source.question, results), _rows(source, results, errors)
    heading = "How likely the answer stays"
    return ExportFigure("budget", source.question, facts, heading, "curves:budgets", content, caption, rows)


def places_figure(
    source: FigureSource, results: Sequence[RunResult], errors: Sequence[RunError], region: Region
) -> ExportFigure:
    """Figure of where the answer lives, with the frame of the region that was slid; holds the baseline's trace only."""
    baseline, *runs = results
    sizes = {f"{each.region.x1 - each.region.x0 + 1}x{each.region.y1 - each.region.y0 + 1}" for each in runs}
    size = ", ".join(sorted(sizes))
    more = {"region": f"{size} cells, slid over 8x8", "budget": "the region's tokens alone"}
    facts = _facts(source, results, errors, more if runs else {})
    content = (baseline.text, probabilities(results), replace(baseline.trace, region=region), source.pixels)
    caption, rows = captions.map_caption(source.question, results, size), _rows(source, results, errors)
    heading = "Where the answer lives"
    return ExportFigure("places", source.question, facts, heading, "answer_map:places", content, caption, rows)


def sheet_figure(sheet: Sheet) -> ExportFigure:
    """Figure of a comparison sheet."""
    first = sheet.rows[0].results[0]
    facts = {
        "model": first.model,
        "methods": ", ".join(sheet.methods),
        "budget": sheet.budget,
        **{f"image {number}": _row_facts(row) for number, row in enumerate(sheet.rows, 1)},
        **environment(first),
    }
    title = "; ".join(row.question for row in sheet.rows)
    shown = {name: text for name, text in facts.items() if text}
    caption = captions.sheet_caption(sheet)
    return ExportFigure("sheet", title, shown, "", "method_grid:sheet", (sheet,), caption, sheet.runs, sheet)


def _row_facts(row: SheetRow) -> str:
    """Image, question, answers, regions and failures of a sheet's row."""
    regions = {region_words(each.region): None for each in row.results if method_of(each.method).needs_region}
    answers = [f"{each.name}: {each.text}" for each in row.results]
    failures = [f"{each.name}: {each.why}" for each in row.errors]
    return "; ".join([row.name or "an image", row.question, *answers, *regions, *failures])


def _rows(source: FigureSource, results: Sequence[RunResult], errors: Sequence[RunError]) -> list[Row]:
    return run_rows(results, errors, question=source.question)


def _facts(
    source: FigureSource, results: Sequence[RunResult], errors: Sequence[RunError], more: dict[str, str]
) -> dict[str, str]:
    sampled = any(method_of(each.method).uses_seed for each in results)
    rest = {
        "seed": str(source.config.seed) if sampled else "",
        "refused": " ".join(f"{each.name}: {each.why}" for each in errors),
    }
    return facts_of_many(source.question, results, {**more, **rest})
