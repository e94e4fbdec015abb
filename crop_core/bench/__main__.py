"""`make bench`: accuracy, localizer and cost of the bundled models, printed and kept in bench/results/bundled.json."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import torch

from crop_core.bench import accuracy, cost, localizer, self_localizer
from crop_core.bench.circumstances import circumstances
from crop_core.bench.heldout import Item, held_out, majority_answers
from crop_core.bench.tables import accuracy_table, cost_table, localizer_table, reliability_table, self_tables
from crop_core.bench.workers import Setup, examine
from crop_core.engine import CropEngine
from crop_core.models import DEFAULT_LOCALIZER, DEFAULT_MODEL

RESULTS = Path("bench/results/bundled.json")
METHODS = ("ilp", "plc", "crop", "random", "fastv")
BUDGETS = (192.0, 128.0, 64.0)
ABLATED = "crop 64"
SUBSET = 2  # questions of each kind by which anybody can check the model cards in a minute


def main() -> None:
    """Measure, print, write."""
    options = _options()
    torch.set_num_threads(options.threads)
    items = held_out(options.per_kind)
    if options.only:
        told = json.loads(options.out.read_text())
        return _write(options.out, told | {"self_localizer": _by_itself(options, items, told["localizer"])})
    engine = CropEngine.from_pretrained(options.model, options.localizer, "cpu", "float32")
    costs, ttft_ratio = cost.measure(engine, items[: options.cost_items], BUDGETS)
    sheets = examine(Setup(options.model, options.localizer, METHODS, BUDGETS, ABLATED), items, options.workers)
    found = accuracy.tallies(sheets, majority_answers())
    regions = localizer.summary(sheets)
    table = {name: tally.to_json() for name, tally in found.items()}
    tables = (accuracy_table(table), localizer_table(regions), reliability_table(regions), cost_table(costs))
    print(*tables, f"first token, {ABLATED} over {accuracy.ALL}: {ttft_ratio:.2f}", sep="\n\n")
    result = {
        **circumstances(
            "crop_core.bench",
            f"cpu, {options.workers} processes of one thread; cost: one of {options.threads} threads",
        ),
        "questions": len(items),
        "accuracy": accuracy.headline(found),
        "localizer": regions,
        "self_localizer": _by_itself(options, items, regions),
        "retention": accuracy.retention(found, METHODS, BUDGETS),
        "ttft_ratio": ttft_ratio,
        "cost": costs,
        "runs": table,
        "subset": localizer.subset(sheets, SUBSET),
    }
    return _write(options.out, result)


def _by_itself(options: argparse.Namespace, items: list[Item], trained: dict[str, Any]) -> dict[str, Any]:
    """The part about the self-localizer, printed beside the figures of the trained one."""
    found = self_localizer.measure(options.model, BUDGETS, items, options.workers)
    found["cost"] = self_localizer.costs(options.model, options.localizer, items[: options.cost_items])
    print(*self_tables(trained, found), sep="\n\n")
    return found


def _write(out: Path, result: dict[str, Any]) -> None:
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(result, indent=1) + "\n")
    print(f"\nwritten to {out}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m crop_core.bench", description=__doc__)
    parser.add_argument("--per-kind", type=int, default=60, help="held-out questions of each kind")
    parser.add_argument("--cost-items", type=int, default=20, help="questions whose cost is measured, per budget")
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--localizer", default=DEFAULT_LOCALIZER)
    parser.add_argument("--workers", type=int, default=2, help="processes of one thread each that answer the questions")
    parser.add_argument("--threads", type=int, default=2, help="threads of the runs whose cost is measured")
    parser.add_argument(
        "--only", choices=("self_localizer",), help="measure this part alone, and put it into the file of a whole run"
    )
    parser.add_argument("--out", type=Path, default=RESULTS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
