"""Measure the bundled models into benchmarks/results (`make bench`): the sweep of
`crop_core.evaluate.runner.plan.published`, the same on the independent world (without eviction), and the costs of
answers and regions.

Existing records may be of other code; they are measured again unless --go-on is given, or --methods names those whose
code changed: then only their records are dropped and measured. `python -m
benchmarks.publish` puts the figures into the README and the model cards.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import torch

from benchmarks import cost
from benchmarks.publish import BESIDE, COST, INDEPENDENT, RESULTS
from crop_core.engine.engine import CropEngine
from crop_core.evaluate.datasets.bundled_world import world
from crop_core.evaluate.datasets.independent_world import QUESTIONS, independent
from crop_core.evaluate.datasets.protocol import Dataset
from crop_core.evaluate.outcome import write_outcome
from crop_core.evaluate.runner import store
from crop_core.evaluate.runner.plan import BUDGETS, Trial, published
from crop_core.evaluate.runner.pool import pool_of
from crop_core.evaluate.runner.run import sweep
from crop_core.evaluate.runner.worker_config import WorkerConfig
from crop_core.models import DEFAULT_LOCALIZER, DEFAULT_MODEL
from crop_core.records.environment import benchmark_environment
from crop_core.records.methods import pruning_methods
from crop_core.train.world.held_out import Item, held_out, majority_answers
from crop_core.train.world.questions import KINDS

PARTS = ("sweep", "independent", "beside", "cost")


def main() -> None:
    """Measure and write all parts, one after the other."""
    options = _options()
    items = held_out(options.per_kind)
    for part in options.only or PARTS:
        if part == "sweep":
            data = world(options.per_kind * len(KINDS))
            sys.stdout.write(f"{_sweep(options, data, published(), options.out)}\n")
        elif part == "independent":
            trials = [trial for trial in published() if not trial.evict]
            sys.stdout.write(
                f"{_sweep(options, independent(options.independent), trials, options.out / INDEPENDENT)}\n"
            )
        elif part == "beside":
            _write(options.out / BESIDE, _beside(options, items))
        else:
            _write(options.out / COST, _cost(options, items[: options.cost_items]))


def _sweep(options: argparse.Namespace, data: Dataset, trials: list[Trial], out: Path) -> str:
    identity = {"model": options.model, "localizer": options.localizer, "dataset": data.name, "precision": "float32"}
    if options.methods:
        sys.stdout.write(f"{store.drop(out, options.methods)} records dropped\n")
    elif not options.go_on:
        store.clear(out)
    store.claim(out, identity)
    setup = WorkerConfig(
        data.name, data.metric, data.max_new_tokens, options.model, options.localizer, "cpu", "float32", threads=1
    )
    session = benchmark_environment("python -m benchmarks.bundled", f"cpu, {options.workers} processes of one thread")
    skipped = sweep(setup, data.examples, trials, out, pool_of(options.workers), session)
    return write_outcome(out, data, trials, skipped)


def _beside(options: argparse.Namespace, items: list[Item]) -> dict[str, Any]:
    """Data for the tables besides the records: the most frequent answers, the plain rule's region of each question."""
    torch.set_num_threads(1)
    ids = [f"{item.seed} {item.question.kind}" for item in items]
    regions = cost.plain_rule_regions(options.model, items)
    return {
        **benchmark_environment("python -m benchmarks.bundled", "cpu, one thread"),
        "majority": majority_answers(),
        "plain": dict(zip(ids, regions, strict=True)),
    }


def _cost(options: argparse.Namespace, items: list[Item]) -> dict[str, Any]:
    torch.set_num_threads(options.threads)
    engine = CropEngine.from_pretrained(options.model, options.localizer, "cpu", "float32")
    return {
        **benchmark_environment("python -m benchmarks.bundled", f"cpu, one process of {options.threads} threads"),
        "answers": cost.measure(engine, items, [float(budget) for budget in BUDGETS]),
        "localizers": cost.localizer_costs(options.model, options.localizer, items),
    }


def _write(out: Path, result: dict[str, Any]) -> None:
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(result, indent=None) + "\n", encoding="utf-8")
    sys.stdout.write(f"written to {out}\n")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bundled", description=__doc__)
    parser.add_argument("--per-kind", type=int, default=60, help="held-out questions of each kind")
    parser.add_argument("--independent", type=int, default=QUESTIONS, help="questions of the independent world")
    parser.add_argument("--cost-items", type=int, default=20, help="questions whose cost is measured, per budget")
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--localizer", default=DEFAULT_LOCALIZER)
    parser.add_argument("--workers", type=int, default=2, help="processes of one thread each that answer the questions")
    parser.add_argument("--threads", type=int, default=2, help="threads of the runs whose cost is measured")
    parser.add_argument("--go-on", action="store_true", help="resume a sweep that was stopped")
    again = "measure these methods again, as published and joined ones too, and what is missing; keep all other records"
    parser.add_argument("--methods", nargs="+", choices=pruning_methods(), metavar="METHOD", help=again)
    parser.add_argument("--only", choices=PARTS, action="append", help="only this part; may be repeated")
    parser.add_argument("--out", type=Path, default=RESULTS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
