"""Figures of one question asked in many ways: methods, budgets, places. Each holds what its file needs and no more, so
that it can be kept beside what is on screen until somebody wants the file.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from crop_core.config import method_of
from crop_core.units import number
from ui.publish.budgets import Point, budgets, curves, flip
from ui.publish.facts import facts_of_many
from ui.publish.multiples import multiples
from ui.publish.places import chances, places
from ui.publish.sheet import Column, sheet

if TYPE_CHECKING:
    from crop_core.records import Refused, Told
    from ui.many import Request
    from ui.publish.shapes import Drawing


@dataclass(frozen=True, eq=False)
class Plate:
    """name: of the file. title: the question. facts: for the metadata."""

    name: str
    title: str
    facts: dict[str, str]
    column: Column

    def drawing(self, width: float) -> Drawing:
        """The figure, so many centimetres wide; FigureError for a width that cannot be."""
        return sheet([self.column], width, self.title, {"picture": self.name, **self.facts})


def methods_plate(request: Request, told: Sequence[Told], refused: Sequence[Refused]) -> Plate:
    """What each method keeps at the budget of the settings."""
    budget = str(request.wanted.config.budget or "ratios and shares of the settings")
    answers = {f"answer with {each.name}": each.text for each in told[1:]}
    column = Column(f"What each method keeps (budget: {budget})", partial(multiples, request.pixels, list(told)))
    return _plate("methods", request, told, refused, {**answers, "budget": budget}, column)


def budget_plate(request: Request, told: Sequence[Told], refused: Sequence[Refused]) -> Plate:
    """The answer and the work against the budget; of the traces it keeps nothing."""
    points = [Point.of(each) for each in told]
    found = curves(points)
    flips = {name: flip(curve) for name, curve in found.items()}
    asked = {
        "budgets": "; ".join(
            f"{name} {', '.join(number(point.tokens) for point in curve[:-1])}" for name, curve in found.items()
        ),
        "flips": ", ".join(f"{name} at {number(at.tokens)}" for name, at in flips.items() if at),
    }
    column = Column("How likely the answer stays", partial(budgets, told[0].text, points))
    return _plate("budget", request, told, refused, asked, column)


def places_plate(request: Request, told: Sequence[Told], refused: Sequence[Refused]) -> Plate:
    """Where the answer lives; of the traces it keeps that of every token."""
    full, *ways = told
    sizes = {f"{each.region.x1 - each.region.x0 + 1}x{each.region.y1 - each.region.y0 + 1}" for each in ways}
    asked = {"region": f"{', '.join(sorted(sizes))} cells, slid over 8x8", "budget": "the region's tokens alone"}
    cells = partial(places, full.text, chances(list(told)), full.trace, request.pixels)
    return _plate("places", request, told, refused, asked if ways else {}, Column("Where the answer lives", cells))


def _plate(
    name: str,
    request: Request,
    told: Sequence[Told],
    refused: Sequence[Refused],
    asked: dict[str, str],
    column: Column,
) -> Plate:
    drawn = any(method_of(each.method).draws for each in told)
    more = {
        "seed": str(request.wanted.config.seed) if drawn else "",
        "refused": " ".join(f"{each.name}: {each.why}" for each in refused),
    }
    return Plate(name, request.question, facts_of_many(request.question, told, {**asked, **more}), column)
