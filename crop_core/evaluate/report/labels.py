"""What methods, runs and budgets are called, and how each method is drawn, the same in every table and figure."""

from __future__ import annotations

from dataclasses import dataclass

from crop_core.evaluate.runner.trial import Trial
from crop_core.records.config import Budget
from crop_core.records.methods import JOINT, METHODS

CROP = ("crop", "plc", "ilp")  # whose methods have one name between them
# Okabe and Ito's colours, which people with the common kinds of colour blindness can tell apart; yellow is too pale.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8a6fb0")
MARKERS = (
    "circle", "square", "diamond", "triangle-up", "triangle-down", "cross", "x", "star", "pentagon", "hexagon",
    "hourglass", "bowtie", "triangle-left", "triangle-right",
)  # fmt: skip
DASHES = ("solid", "dash", "dot", "dashdot")


@dataclass(frozen=True)
class Style:
    """How Plotly draws a method. Marker and dash tell methods apart in grey, and where colours come round again."""

    colour: str
    marker: str
    dash: str


def method_label(method: str) -> str:
    """As tables head it: "CROP", "PLC + FastV"; a name that is not known stays as it is."""
    return f" {JOINT} ".join(_part(part) for part in method.split(JOINT))


def _part(name: str) -> str:
    if name in CROP:
        return name.upper()
    return METHODS[name].title if name in METHODS else name


def run_label(run: Trial) -> str:
    """As tables head it: "all tokens", "CROP 64", "CROP 64, needed region"."""
    return run.name if run.method == "none" else method_label(run.method) + run.name[len(run.method) :]


def budget_label(budget: str) -> str:
    """ "64 tokens" or "25 %"."""
    return str(Budget.parse(budget))


def style(method: str, others: tuple[str, ...] = ()) -> Style:
    """The method's own, by its place in METHODS; joined methods come after those, in the order of `others`."""
    order = [*METHODS, *(other for other in others if other not in METHODS)]
    place = order.index(method) if method in order else len(order)
    return Style(
        COLOURS[place % len(COLOURS)], MARKERS[place % len(MARKERS)], DASHES[place // len(COLOURS) % len(DASHES)]
    )
