"""The answer against the budget, as shapes: one curve a method, told apart by dash and mark as well as by colour."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ui import palette
from ui.publish import fonts
from ui.publish.axes import Axes, nice, quarters
from ui.publish.keys import INK, Pen
from ui.publish.shapes import Lines, Shape, Words

if TYPE_CHECKING:
    from crop_core.records import Told
    from ui.publish.sheet import Drawn

SMALL, LINE = 7.0, 9.0  # points
WORK = "GFLOP up to the first token"
PERCENT = [(k / 4, f"{25 * k} %") for k in range(5)]


@dataclass(frozen=True)
class Point:
    """A method at a budget: mean tokens a layer, probability of the full answer, whether it gives that, GFLOP."""

    name: str
    tokens: float
    chance: float
    same: bool
    work: float

    @classmethod
    def of(cls, told: Told) -> Point:
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


def budgets(text: str, points: list[Point], x: float, y: float, room: float) -> Drawn:
    """The probability of the answer `text` of every token above, the work below."""
    tokens = [point.tokens for point in points]
    low, high = np.log2(max(min(tokens), 0.5)) - 0.15, np.log2(max(tokens)) + 0.15
    every = max(1, int(np.ceil(18 * (high - low) / (room - 38))))  # so that labels do not meet
    ticks = [(float(k), str(2**k)) for k in range(int(np.ceil(low)), int(high) + 1, every)]
    height = max(110.0, 0.32 * room)
    upper = Axes.within(x, y + LINE, room, height, (low, high), (0, 1))
    lower = Axes.within(x, y + LINE + height, room, 0.7 * height, (low, high), (0, nice(max(p.work for p in points))))
    heading = fonts.quoted("probability of ", text, room, SMALL)
    shapes: list[Shape] = [
        Words(x, y + LINE - 2, heading, SMALL, colour=INK),
        *upper.shapes(ticks, PERCENT, ""),
        Words(x, lower.top - 8, fonts.shortened(WORK, room, SMALL), SMALL, colour=INK),
        *lower.shapes(ticks, quarters(lower.up[1]), "mean visual tokens per layer"),
    ]
    pens = []
    for place, (name, curve) in enumerate(curves(points).items()):
        at = flip(curve)
        said = f"flips at {at.tokens:.0f}" if at else "never flips"
        pens.append(Pen(f"{name}: {said}", palette.method_colour(place), place))
        shapes += _curve(curve, pens[-1], upper, lower)
    bottom = lower.bottom + 26
    for line in fonts.lines("× another answer; the most tokens with one are where it flips.", room, SMALL):
        bottom += LINE
        shapes.append(Words(x, bottom, line, SMALL))
    return shapes, pens, bottom - y


def _curve(curve: list[Point], pen: Pen, upper: Axes, lower: Axes) -> list[Shape]:
    """Both lines of a method, and one from its flip down to the axis."""
    tokens = np.log2([point.tokens for point in curve])
    chances = upper.points(tokens, np.array([point.chance for point in curve]))
    work = lower.points(tokens, np.array([point.work for point in curve]))
    crossed = [not point.same for point in curve]
    shapes = [pen.line(chances), *pen.marks(chances, crossed), pen.line(work), *pen.marks(work, [False] * len(curve))]
    at = flip(curve)
    if at is None:
        return shapes
    x, y = chances[curve.index(at)]
    return [Lines(np.array([[(x, y), (x, upper.bottom)]]), pen.colour, 0.5, 0.7), *shapes]
