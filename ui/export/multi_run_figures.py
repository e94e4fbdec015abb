"""Figures of one question asked in many ways: methods, budgets, places. Each holds what its file needs and no more, so
that it can be kept beside what is on screen until somebody wants the file.
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
class Asked:
    """What was asked: the question, the settings of all ways, the photo (H, W, 3)."""

    question: str
    config: CropConfig
    pixels: NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class ExportFigure:
    """name: of the file. title: the question. facts: for the metadata. heading: above the image. place: the
    "module:function" that draws it from `content`.
    """

    name: str
    title: str
    facts: dict[str, str]
    heading: str
    place: str
    content: tuple[Any, ...]

    def figure(self, width: float) -> RunFigure:
        """The figure, so many centimetres wide; FigureError for a width that cannot be."""
        from ui.export.page_layout import Panel, lay_out

        check_width(width)
        panel = Panel(self.heading, partial(drawer(self.place), *self.content))
        return lay_out([panel], width, self.title, {"picture": self.name, **self.facts})


@dataclass(frozen=True)
class Point:
    """A method at a budget: mean tokens a layer, probability of the full answer, whether it gives that, GFLOP."""

    name: str
    tokens: float
    chance: float
    same: bool
    work: float

    @classmethod
    def of(cls, told: RunResult) -> Point:
        """What a way told, without its trace."""
        work = (told.flops + told.localizer_flops) / 1e9
        return cls(told.name, told.trace.mean_tokens, told.chance, told.same, work)


def curves(points: list[Point]) -> dict[str, list[Point]]:
    """The points of every method by rising tokens, each ending in the first of `points`, that of every token."""
    full, *others = points
    names = dict.fromkeys(point.name for point in others)
    return {
        name: [*sorted((point for point in others if point.name == name), key=lambda point: point.tokens), full]
        for name in names
    }


def flip(curve: list[Point]) -> Point | None:
    """Where the answer flips: the most tokens with another one, if there are any."""
    return max((point for point in curve if not point.same), key=lambda point: point.tokens, default=None)


def chances(told: Sequence[RunResult]) -> NDArray[np.float64]:
    """(8, 8) rows of cells; NaN where none was asked. The ways after the first are called "x,y" by their cell."""
    cells = np.full((GRID, GRID), np.nan)
    for each in told[1:]:
        x, y = (int(part) for part in each.name.split(","))
        cells[y, x] = each.chance
    return cells


def methods_figure(asked: Asked, told: Sequence[RunResult], refused: Sequence[RunError]) -> ExportFigure:
    """What each method keeps at the budget of the settings."""
    budget = str(asked.config.budget or "ratios and shares of the settings")
    more = {**{f"answer with {each.name}": each.text for each in told[1:]}, "budget": budget}
    heading, content = f"What each method keeps (budget: {budget})", (asked.pixels, list(told))
    facts = _facts(asked, told, refused, more)
    return ExportFigure("methods", asked.question, facts, heading, "method_grid:methods", content)


def budget_figure(asked: Asked, told: Sequence[RunResult], refused: Sequence[RunError]) -> ExportFigure:
    """The answer and the work against the budget; of the traces it keeps nothing."""
    points = [Point.of(each) for each in told]
    found = curves(points)
    flips = {name: flip(curve) for name, curve in found.items()}
    budgets = [
        f"{name} {', '.join(format_number(point.tokens) for point in curve[:-1])}" for name, curve in found.items()
    ]
    more = {
        "budgets": "; ".join(budgets),
        "flips": ", ".join(f"{name} at {format_number(at.tokens)}" for name, at in flips.items() if at),
    }
    facts, content = _facts(asked, told, refused, more), (told[0].text, points)
    return ExportFigure("budget", asked.question, facts, "How likely the answer stays", "curves:budgets", content)


def places_figure(asked: Asked, told: Sequence[RunResult], refused: Sequence[RunError]) -> ExportFigure:
    """Where the answer lives; of the traces it keeps that of every token."""
    full, *ways = told
    sizes = {f"{each.region.x1 - each.region.x0 + 1}x{each.region.y1 - each.region.y0 + 1}" for each in ways}
    more = {"region": f"{', '.join(sorted(sizes))} cells, slid over 8x8", "budget": "the region's tokens alone"}
    facts = _facts(asked, told, refused, more if ways else {})
    content = (full.text, chances(told), full.trace, asked.pixels)
    return ExportFigure("places", asked.question, facts, "Where the answer lives", "answer_map:places", content)


def _facts(
    asked: Asked, told: Sequence[RunResult], refused: Sequence[RunError], more: dict[str, str]
) -> dict[str, str]:
    drawn = any(method_of(each.method).uses_seed for each in told)
    rest = {
        "seed": str(asked.config.seed) if drawn else "",
        "refused": " ".join(f"{each.name}: {each.why}" for each in refused),
    }
    return facts_of_many(asked.question, told, {**more, **rest})
