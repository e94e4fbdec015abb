"""Figures of one question in many runs: methods, budgets, region positions.

Each holds only what its file needs, so that it can be kept beside the view until the file is requested.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from crop_core.records.config import CropConfig
from crop_core.records.formatting import format_number
from crop_core.records.methods import method_of
from crop_core.records.region import GRID
from ui.export.figure import check_width, drawer
from ui.export.report import facts_of_many

if TYPE_CHECKING:
    from crop_core.records.results import RunError, RunResult
    from ui.export.page_layout import RunFigure


@dataclass(frozen=True)
class FigureSource:
    """Question, settings of all runs, image (H, W, 3)."""

    question: str
    config: CropConfig
    pixels: NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class ExportFigure:
    """A figure to be drawn. name: of the file. title: the question. facts: metadata. heading: above the drawing.

    drawer: "module:function" that draws it from `content`.
    """

    name: str
    title: str
    facts: dict[str, str]
    heading: str
    drawer: str
    content: tuple[Any, ...]

    def figure(self, width: float) -> RunFigure:
        """Draw it, `width` centimetres wide; FigureError for a width out of range."""
        from ui.export.page_layout import Panel, lay_out

        check_width(width)
        panel = Panel(self.heading, partial(drawer(self.drawer), *self.content))
        return lay_out([panel], width, self.title, {"picture": self.name, **self.facts})


@dataclass(frozen=True)
class Point:
    """Method at a budget: mean tokens per layer, probability of the baseline's answer, whether it is given, GFLOP."""

    name: str
    tokens: float
    chance: float
    same: bool
    work: float

    @classmethod
    def of(cls, result: RunResult) -> Point:
        """Point of a result, without its trace."""
        work = (result.flops + result.localizer_flops) / 1e9
        return cls(result.name, result.trace.mean_tokens, result.chance, result.same, work)


def curves(points: list[Point]) -> dict[str, list[Point]]:
    """Points of every method by rising tokens, each ending in the first of `points`, the baseline."""
    baseline, *others = points
    names = dict.fromkeys(point.name for point in others)
    return {
        name: [*sorted((point for point in others if point.name == name), key=lambda point: point.tokens), baseline]
        for name in names
    }


def flip(curve: list[Point]) -> Point | None:
    """Flip of the answer: the point with the most tokens that gives another one, or None."""
    return max((point for point in curve if not point.same), key=lambda point: point.tokens, default=None)


def probabilities(results: Sequence[RunResult]) -> NDArray[np.float64]:
    """(8, 8) rows of cells, NaN where there is no run. Runs after the first are named "x,y" by their cell."""
    cells = np.full((GRID, GRID), np.nan)
    for each in results[1:]:
        x, y = (int(part) for part in each.name.split(","))
        cells[y, x] = each.chance
    return cells


def methods_figure(source: FigureSource, results: Sequence[RunResult], errors: Sequence[RunError]) -> ExportFigure:
    """Figure of what each method keeps at the budget of the settings."""
    budget = str(source.config.budget or "ratios and shares of the settings")
    more = {**{f"answer with {each.name}": each.text for each in results[1:]}, "budget": budget}
    heading, content = f"What each method keeps (budget: {budget})", (source.pixels, list(results))
    facts = _facts(source, results, errors, more)
    return ExportFigure("methods", source.question, facts, heading, "method_grid:methods", content)


def budget_figure(source: FigureSource, results: Sequence[RunResult], errors: Sequence[RunError]) -> ExportFigure:
    """Figure of the answer and the work against the budget; holds no trace."""
    points = [Point.of(each) for each in results]
    by_method = curves(points)
    flips = {name: flip(curve) for name, curve in by_method.items()}
    budgets = [
        f"{name} {', '.join(format_number(point.tokens) for point in curve[:-1])}" for name, curve in by_method.items()
    ]
    more = {
        "budgets": "; ".join(budgets),
        "flips": ", ".join(f"{name} at {format_number(at.tokens)}" for name, at in flips.items() if at),
    }
    facts, content = _facts(source, results, errors, more), (results[0].text, points)
    return ExportFigure("budget", source.question, facts, "How likely the answer stays", "curves:budgets", content)


def places_figure(source: FigureSource, results: Sequence[RunResult], errors: Sequence[RunError]) -> ExportFigure:
    """Figure of where the answer lives; holds the baseline's trace only."""
    baseline, *runs = results
    sizes = {f"{each.region.x1 - each.region.x0 + 1}x{each.region.y1 - each.region.y0 + 1}" for each in runs}
    more = {"region": f"{', '.join(sorted(sizes))} cells, slid over 8x8", "budget": "the region's tokens alone"}
    facts = _facts(source, results, errors, more if runs else {})
    content = (baseline.text, probabilities(results), baseline.trace, source.pixels)
    return ExportFigure("places", source.question, facts, "Where the answer lives", "answer_map:places", content)


def _facts(
    source: FigureSource, results: Sequence[RunResult], errors: Sequence[RunError], more: dict[str, str]
) -> dict[str, str]:
    sampled = any(method_of(each.method).uses_seed for each in results)
    rest = {
        "seed": str(source.config.seed) if sampled else "",
        "refused": " ".join(f"{each.name}: {each.why}" for each in errors),
    }
    return facts_of_many(source.question, results, {**more, **rest})
