"""`python -m benchmarks.plc_study`: what the learned PLC of the bundled model is worth beside pooling PLC, and which of
its parts.

The same held-out questions and predicted regions for all; printed and kept in benchmarks/results/plc.json. They are
those of the development split, not those of the README's tables of methods.
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
from crop_core.measure.environment import benchmark_environment
from crop_core.models import DEFAULT_LOCALIZER, DEFAULT_MODEL, load
from crop_core.records.config import Budget, CropConfig, PlcConfig
from crop_core.train.world import splits
from crop_core.train.world.held_out import Item, held_out

RESULTS = Path("benchmarks/results/plc.json")
BUDGETS = (192.0, 128.0, 64.0)
LONGEST = 8  # tokens of an answer, its end included


@dataclass(frozen=True)
class Variant:
    """method: of config.METHODS. part: what is left of its learned PLC. region_ratio: as a `PlcConfig` takes it."""

    title: str
    method: str
    part: Callable[[PlcWeights], PlcWeights] = lambda whole: whole
    region_ratio: float = PlcConfig().region_ratio


def as_pooling(whole: PlcWeights) -> PlcWeights:
    """The changed model alone: its queries say the means of their windows."""
    return replace(whole, queries=RegionResampler(whole.queries.ask.in_features).to(whole.queries.side.device))


def unchanged(whole: PlcWeights) -> PlcWeights:
    """The queries alone, before the model as it was."""
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
    """right: whether the answer is exact. kl: of the first token from that with every visual token, nats."""

    right: bool
    kl: float


def replies(items: Iterable[Item], model: str, localizer: str) -> dict[str, list[Reply]]:
    """What every variant says at every budget to every question, by "TITLE BUDGET"; the image is encoded once."""
    adapter, finder = load(model, "cpu"), localizer_for(load(localizer, "cpu"))
    found: dict[str, list[Reply]] = {}
    for item in items:
        session = Session(adapter, item.scene.image, item.question.text, LONGEST)
        regions = session.localize(finder).regions
        full = adapter.decode(session.baseline.generated.ids)
        found.setdefault("all tokens", []).append(Reply(_right(full, item), 0.0))
        for budget in BUDGETS:
            for variant in VARIANTS:
                plc = PlcConfig(region_ratio=variant.region_ratio)
                task = session.task(CropConfig(method=variant.method, budget=Budget(budget), plc=plc))
                task.trained = task.trained and variant.part(task.trained)
                run = session.run(task, regions)
                reply = Reply(_right(adapter.decode(run.generated.ids), item), session.kl_first(run))
                found.setdefault(f"{variant.title} {budget:g}", []).append(reply)
    return found


def _right(text: str, item: Item) -> bool:
    return normal(text) == normal(item.question.answer)


def figures(found: dict[str, list[Reply]], scenes: Sequence[int]) -> dict[str, dict[str, Any]]:
    """By run: exact answers with their interval, mean KL, and the difference from pooling PLC at the same budget, with
    its interval. scenes: of every question, since questions of one scene are not independent.
    """
    table: dict[str, dict[str, Any]] = {}
    for name, own in found.items():
        exact, kl = (statistics.fmean(values) for values in ([r.right for r in own], [r.kl for r in own]))
        table[name] = {"exact": exact, "interval": wilson(exact, len(own)), "kl": kl}
        pooling = found.get(f"{VARIANTS[0].title} {name.rsplit(' ', 1)[1]}")
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
    found = replies(tqdm(items, "questions", mininterval=5), DEFAULT_MODEL, DEFAULT_LOCALIZER)
    runs = figures(found, [item.seed for item in items])
    how = {
        **benchmark_environment("python -m benchmarks.plc_study", "cpu, one thread"),
        "seed": splits.PLC_HELD_OUT.start,
    }
    options.out.write_text(json.dumps({**how, "questions": len(items), "runs": runs}, indent=1) + "\n")
    sys.stdout.write(f"{table(runs)}\n\nwritten to {options.out}\n")


if __name__ == "__main__":
    main()
