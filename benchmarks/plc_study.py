"""`python -m benchmarks.plc_study`: ablation of the bundled model's learned PLC, compared with pooling PLC.

All variants get the same held-out questions and predicted regions; printed and written to benchmarks/results/plc.json.
The questions are those of the development split, not those of the README's table of methods.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from crop_core.compress.plc_checkpoint import PlcWeights
from crop_core.compress.query_resampler import RegionResampler
from crop_core.engine.session import Session
from crop_core.evaluate.metrics.text_match import normal
from crop_core.evaluate.report.statistics import paired, wilson
from crop_core.evaluate.report.table import markdown
from crop_core.localize import localizer_for
from crop_core.models import DEFAULT_LOCALIZER, DEFAULT_MODEL, load
from crop_core.records.config import Budget, CropConfig, PlcConfig
from crop_core.records.environment import benchmark_environment
from crop_core.train.world import splits
from crop_core.train.world.held_out import Item, held_out

RESULTS = Path("benchmarks/results/plc.json")
BUDGETS = (192.0, 128.0, 64.0)
MAX_NEW_TOKENS = 8  # tokens of an answer, its end included


@dataclass(frozen=True)
class Variant:
    """method: of config.METHODS. part: what is kept of its learned PLC. region_ratio: as a `PlcConfig` takes it."""

    title: str
    method: str
    part: Callable[[PlcWeights], PlcWeights] = lambda whole: whole
    region_ratio: float = PlcConfig().region_ratio


def as_pooling(whole: PlcWeights) -> PlcWeights:
    """The fine-tuned model only: its queries return the means of their windows."""
    return replace(whole, queries=RegionResampler(whole.queries.ask.in_features).to(whole.queries.side.device))


def unchanged(whole: PlcWeights) -> PlcWeights:
    """The queries only, with the original model."""
    return replace(whole, changed=[])


VARIANTS = (
    Variant("pooling PLC", "plc"),
    Variant("learned PLC", "learned"),
    Variant("learned PLC without anchors", "queries"),
    Variant("without anchors, region 1 in 16", "queries", region_ratio=16),
    Variant("without anchors, region 1 in 64", "queries", region_ratio=64),
    Variant("pooling PLC, model fine-tuned", "learned", as_pooling),
    Variant("learned PLC, model as it was", "learned", unchanged),
)


@dataclass(frozen=True)
class Reply:
    """right: whether the answer is exact. kl: of the first token from the baseline's, in nats."""

    right: bool
    kl: float


def replies(items: Iterable[Item], model: str, localizer: str) -> dict[str, list[Reply]]:
    """Replies of every variant at every budget to every question, by "TITLE BUDGET"; the image is encoded once."""
    adapter, region_localizer = load(model, "cpu"), localizer_for(load(localizer, "cpu"))
    replies_by_run: dict[str, list[Reply]] = {}
    for item in items:
        session = Session(adapter, item.scene.image, item.question.text, MAX_NEW_TOKENS)
        regions = session.localize(region_localizer).regions
        full = adapter.decode(session.baseline.generated.ids)
        replies_by_run.setdefault("baseline", []).append(Reply(_right(full, item), 0.0))
        for budget in BUDGETS:
            for variant in VARIANTS:
                plc = PlcConfig(region_ratio=variant.region_ratio)
                task = session.task(CropConfig(method=variant.method, budget=Budget(budget), plc=plc))
                task.trained = task.trained and variant.part(task.trained)
                run = session.run(task, regions)
                reply = Reply(_right(adapter.decode(run.generated.ids), item), session.kl_first(run))
                replies_by_run.setdefault(f"{variant.title} {budget:g}", []).append(reply)
    return replies_by_run


def _right(text: str, item: Item) -> bool:
    return normal(text) == normal(item.question.answer)


def figures(replies_by_run: dict[str, list[Reply]], scenes: Sequence[int]) -> dict[str, dict[str, Any]]:
    """By run: exact answers with their interval, mean KL, and the difference from pooling PLC at the same budget, with
    its interval. scenes: of every question, since questions of one scene are not independent.
    """
    table: dict[str, dict[str, Any]] = {}
    for name, own in replies_by_run.items():
        exact, kl = (statistics.fmean(values) for values in ([r.right for r in own], [r.kl for r in own]))
        table[name] = {"exact": exact, "interval": wilson(exact, len(own)), "kl": kl}
        pooling = replies_by_run.get(f"{VARIANTS[0].title} {name.rpartition(' ')[2]}")
        if pooling:
            more = paired([reply.right for reply in own], [reply.right for reply in pooling], scenes)
            table[name]["beyond_pooling"] = (more.value, more.low, more.high)
    return table


def table(runs: dict[str, dict[str, Any]]) -> str:
    """Markdown: a row a variant; exact answers with their interval, and the KL, at every budget."""
    head = ["variant", *(f"exact at {budget:g}" for budget in BUDGETS), *(f"KL at {budget:g}" for budget in BUDGETS)]
    rows = []
    for variant in VARIANTS:
        own = [runs[f"{variant.title} {budget:g}"] for budget in BUDGETS]
        cells = [f"{run['exact']:.1%} ({run['interval'][0]:.0%} to {run['interval'][1]:.0%})" for run in own]
        rows.append([variant.title, *cells, *(f"{run['kl']:.3f}" for run in own)])
    return markdown(head, rows)


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.plc_study", description=__doc__)
    parser.add_argument("--per-kind", type=int, default=60, help="held-out questions of each kind")
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    items = held_out(options.per_kind, splits.PLC_HELD_OUT)
    replies_by_run = replies(tqdm(items, "questions", mininterval=5), DEFAULT_MODEL, DEFAULT_LOCALIZER)
    runs = figures(replies_by_run, [item.seed for item in items])
    environment = {
        **benchmark_environment("python -m benchmarks.plc_study", "cpu, one thread"),
        "seed": splits.PLC_HELD_OUT.start,
    }
    options.out.write_text(json.dumps({**environment, "questions": len(items), "runs": runs}, indent=1) + "\n")
    sys.stdout.write(f"{table(runs)}\n\nwritten to {options.out}\n")


if __name__ == "__main__":
    main()
