"""`python -m crop_core.bench.methods`: every method at the same mean budgets on held-out questions of the bundled
world.

Printed and kept in bench/results/methods.json, a row per method and budget. Fails when a run missed its budget.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from crop_core.bench.accuracy import MAJORITY, Tally, tallies
from crop_core.bench.circumstances import circumstances
from crop_core.bench.examiner import ALL, BLIND
from crop_core.bench.heldout import held_out, majority_answers
from crop_core.bench.tables import accuracy_table, markdown
from crop_core.bench.workers import Setup, examine
from crop_core.config import METHODS
from crop_core.models import DEFAULT_LOCALIZER, DEFAULT_MODEL

RESULTS = Path("bench/results/methods.json")
BUDGETS = (192.0, 128.0, 64.0)
CROP = ("crop", "plc", "ilp")  # whose methods have one name between them
SLACK = 2.0  # tokens under its mean budget that whole tokens in whole layers may leave
CONFIDENCE = 1.96  # standard errors of a 95 % interval


class MissedBudget(RuntimeError):
    """A method that pruned too little or too much: its accuracy would be compared with another budget's."""


def compared() -> tuple[str, ...]:
    """All that prune."""
    return tuple(name for name in METHODS if name != "none")


def interval(right: float, questions: int) -> tuple[float, float]:
    """95 % interval of a share by Wilson, 1927."""
    z2 = CONFIDENCE**2 / questions
    middle, half = right + z2 / 2, CONFIDENCE * math.sqrt(right * (1 - right) / questions + z2 / (4 * questions))
    return (middle - half) / (1 + z2), (middle + half) / (1 + z2)


def rows(found: Mapping[str, Tally], questions: int) -> dict[str, dict[str, Any]]:
    """Every run's tally with its interval."""
    return {name: {**tally.to_json(), "interval": interval(tally.overall, questions)} for name, tally in found.items()}


def table(runs: Mapping[str, Mapping[str, Any]]) -> str:
    """Markdown: exact answers of every method at every budget, with the 95 % interval."""
    names = dict.fromkeys(name.rsplit(" ", 1)[0] for name in runs if name not in (ALL, BLIND, MAJORITY))
    lines = [[METHODS[name].name if name not in CROP else name.upper(), *_cells(name, runs)] for name in names]
    return markdown(["method", *(f"{budget:g} tokens" for budget in BUDGETS)], lines)


def _cells(method: str, runs: Mapping[str, Mapping[str, Any]]) -> list[str]:
    found = [runs[f"{method} {budget:g}"] for budget in BUDGETS]
    return [f"{run['overall']:.1%} ({run['interval'][0]:.0%} to {run['interval'][1]:.0%})" for run in found]


def check_budgets(found: Mapping[str, Tally]) -> None:
    """Raises MissedBudget for a run whose answers took more than their budget, or clearly less."""
    for method in compared():
        for budget in BUDGETS:
            tokens = found[f"{method} {budget:g}"].tokens
            if not budget - SLACK <= min(tokens) <= max(tokens) <= budget + 1e-6:
                raise MissedBudget(f"{method} took {min(tokens):g} to {max(tokens):g} tokens for a mean of {budget:g}.")


def main() -> None:
    """Measure, check, print, write."""
    parser = argparse.ArgumentParser(prog="python -m crop_core.bench.methods", description=__doc__)
    parser.add_argument("--per-kind", type=int, default=60, help="held-out questions of each kind")
    parser.add_argument("--workers", type=int, default=2, help="processes of one thread each")
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    items = held_out(options.per_kind)
    sheets = examine(Setup(DEFAULT_MODEL, DEFAULT_LOCALIZER, compared(), BUDGETS), items, options.workers)
    found = tallies(sheets, majority_answers())
    check_budgets(found)
    runs = rows(found, len(items))
    how = circumstances("crop_core.bench.methods", f"cpu, {options.workers} processes of one thread")
    options.out.write_text(json.dumps({**how, "questions": len(items), "runs": runs}, indent=1) + "\n")
    sys.stdout.write(f"{accuracy_table(runs)}\n\n{table(runs)}\n\nwritten to {options.out}\n")


if __name__ == "__main__":
    main()
