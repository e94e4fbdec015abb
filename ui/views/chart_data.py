"""Numbers and titles of charts, for the page (Plotly) and for files (matplotlib). Reads records only."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from crop_core.records.cost import gflop
from crop_core.records.region import GRID
from ui.views import texts

if TYPE_CHECKING:
    from crop_core.records.cost import Cost
    from crop_core.records.results import Comparison, RunResult

TIMES_TITLE = "Where the time goes"
ALIVE_TITLE = "Visual tokens alive per layer"
FLIP_NOTE = "× is a different answer. “Flips at” is the largest budget with one."
STAGE_NAMES = {
    "localizer_s": "localizer",
    "encode_s": "image encoder",
    "compression_s": "compression",
    "scoring_s": "scoring",
    "prefill_s": "prefill",
    "decode_s": "decode",
}


def run_costs(result: Comparison) -> dict[str, Cost]:
    """Costs of both runs by name, the baseline first."""
    return {texts.BASELINE: result.baseline.cost, texts.method_name(result.method): result.crop.cost}


def milliseconds(cost: Cost) -> dict[str, float]:
    """Milliseconds by stage."""
    return {stage: 1000 * getattr(cost, stage) for stage in STAGE_NAMES}


def stages_taken(costs: Iterable[Cost]) -> list[str]:
    """Stages in which any of the runs spent time."""
    spent = [milliseconds(cost) for cost in costs]
    return [stage for stage in STAGE_NAMES if any(each[stage] > 0 for each in spent)]


@dataclass(frozen=True)
class Point:
    """Method at a budget: mean tokens per layer, probability of the baseline's answer, whether it is given, GFLOP (NaN
    where they are not counted).

    text: the method's own answer.
    """

    name: str
    tokens: float
    answer_probability: float
    same: bool
    work: float
    text: str = ""

    @classmethod
    def of(cls, result: RunResult) -> Point:
        """Point of a result, without its trace."""
        counted = gflop(result.flops, result.localizer_flops)
        work = math.nan if counted is None else counted
        return cls(result.name, result.trace.mean_tokens, result.answer_probability, result.same, work, result.text)


def work_title(points: Iterable[Point], title: str) -> str:
    """Title of the work, with what is missing in it."""
    missing = any(math.isnan(point.work) for point in points)
    return f"{title}; not counted with a localizer outside PyTorch" if missing else title


GAP = Point("", math.nan, math.nan, True, math.nan)  # where a line breaks


def curves(points: list[Point]) -> dict[str, list[Point]]:
    """Points of every method by rising tokens, each ending in the first of `points`, the baseline; with a GAP before it
    where nothing was measured at half of its tokens or more, as in a sweep that was stopped.
    """
    baseline, *others = points
    by_method = {}
    for name in dict.fromkeys(point.name for point in others):
        own = sorted((point for point in others if point.name == name), key=lambda point: point.tokens)
        near = own[-1].tokens >= baseline.tokens / 2
        by_method[name] = [*own, *([] if near else [GAP]), baseline]
    return by_method


def flip(curve: list[Point]) -> Point | None:
    """Flip of the answer: the point with the most tokens that gives another one, or None."""
    return max((point for point in curve if not point.same), key=lambda point: point.tokens, default=None)


def flip_label(name: str, curve: list[Point]) -> str:
    """Name of a method with its flip, for a legend."""
    at = flip(curve)
    return f"{name}: flips at {at.tokens:.0f}" if at else f"{name}: no flip"


def probabilities(results: Sequence[RunResult]) -> NDArray[np.float64]:
    """(8, 8) rows of cells, NaN where there is no run. Runs after the first are named "x,y" by their cell."""
    cells = np.full((GRID, GRID), np.nan)
    for each in results[1:]:
        x, y = (int(part) for part in each.name.split(","))
        cells[y, x] = each.answer_probability
    return cells
