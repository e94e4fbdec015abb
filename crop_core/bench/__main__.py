"""`make bench`: accuracy, localizer and cost of the bundled models, printed and kept in bench/results/bundled.json."""

from __future__ import annotations

import argparse
import json
import platform
import sys
from pathlib import Path

import torch
import transformers

from crop_core.bench import accuracy, cost, localizer
from crop_core.bench.heldout import HELD_OUT_SEEDS, held_out
from crop_core.bench.tables import accuracy_table, cost_table, localizer_table
from crop_core.engine import CropEngine
from crop_core.localize import GridLocalizer
from crop_core.models import DEFAULT_LOCALIZER, DEFAULT_MODEL, load

RESULTS = Path("bench/results/bundled.json")
METHODS = ("ilp", "plc", "crop")
BUDGETS = (192.0, 128.0, 64.0)


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(prog="python -m crop_core.bench", description=__doc__)
    parser.add_argument("--per-kind", type=int, default=60, help="held-out questions of each of the six kinds")
    parser.add_argument("--cost-items", type=int, default=12, help="questions whose cost is measured, per budget")
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--localizer", default=DEFAULT_LOCALIZER)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    engine = CropEngine.from_pretrained(options.model, options.localizer)
    locator = GridLocalizer(load(options.localizer))
    items = held_out(options.per_kind)
    costs = cost.measure(engine, items[: options.cost_items], list(BUDGETS))
    overlaps = localizer.measure(locator, items)
    tallies = accuracy.measure(engine.adapter, locator, items, accuracy.runs(METHODS, BUDGETS))
    regions = localizer.summary(overlaps)
    print(accuracy_table(tallies), localizer_table(regions), cost_table(costs), sep="\n\n")
    full = tallies["all tokens"].overall
    pruned = [f"{method} {budget:g}" for method in METHODS for budget in BUDGETS]
    result = {
        "command": " ".join(["python -m crop_core.bench", *sys.argv[1:]]),
        "questions": len(items),
        "seed": HELD_OUT_SEEDS,
        "device": f"cpu, {options.threads} threads",
        "dtype": "float32",
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "transformers": transformers.__version__,
        },
        "accuracy": {
            name: {"overall": t.overall, "mean_tokens": t.mean_tokens, "by_kind": t.by_kind}
            for name, t in tallies.items()
        },
        "retention": {name: tallies[name].overall / full for name in pruned},
        "localizer": regions,
        "cost": costs,
        "ttft_ratio": {name: costs[name]["ttft_s"] / costs["all tokens"]["ttft_s"] for name in costs},
    }
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(result, indent=1) + "\n")
    print(f"\nwritten to {options.out}")


if __name__ == "__main__":
    main()
