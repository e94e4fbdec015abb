"""`python -m crop_core.bench.eviction`: what taking dropped tokens out of the early layers' KV cache saves and costs.

The same held-out questions as the benchmark's, with the regions that the locator predicts; printed and kept in
bench/results/eviction.json.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from statistics import mean

import torch
from tqdm import tqdm

from crop_core.bench.circumstances import circumstances
from crop_core.bench.examiner import BASELINE, normal
from crop_core.bench.heldout import held_out
from crop_core.bench.tables import markdown
from crop_core.config import Budget, CropConfig, IlpConfig
from crop_core.engine import CropEngine
from crop_core.runs import Task

RESULTS = Path("bench/results/eviction.json")
EVICTING = ", evicting"
METHODS, BUDGETS = ("ilp", "crop"), (192.0, 128.0, 64.0)


def configs() -> dict[str, CropConfig]:
    """Every method and budget, as it is and evicting."""
    table = {"all tokens": BASELINE}
    for method in METHODS:
        for budget in BUDGETS:
            plain = replace(BASELINE, method=method, budget=Budget(mean_tokens=budget))
            table[f"{method} {budget:g}"] = plain
            table[f"{method} {budget:g}{EVICTING}"] = replace(plain, ilp=IlpConfig(evict=True))
    return table


def measure(engine: CropEngine, per_kind: int) -> dict[str, dict[str, float]]:
    """By run: the share of exact answers, the mean KV bytes at their end, and how many answers are those without
    eviction.
    """
    assert engine.localizer is not None  # noqa: S101  the caller loads one
    found: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for item in tqdm(held_out(per_kind), "eviction", mininterval=5):
        image, text = item.scene.image, item.question.text
        region, encoded = engine.localizer.locate(image, text), Task(engine.adapter, image, text, BASELINE).encode()
        texts: dict[str, str] = {}
        for name, config in configs().items():
            run = Task(engine.adapter, image, text, config, encoded).crop(region, keep_logits=False)
            texts[name] = engine.adapter.decode(run.generated.ids)
            found[name]["exact"].append(normal(texts[name]) == normal(item.question.answer))
            found[name]["kv_bytes"].append(run.generated.kv_bytes)
            found[name]["as_without"].append(texts[name] == texts[name.removesuffix(EVICTING)])
    return {name: {key: mean(values) for key, values in row.items()} for name, row in found.items()}


def table(rows: Mapping[str, Mapping[str, float]]) -> str:
    """Markdown."""
    return markdown(
        ["run", "exact", "KV MB", "answers as without eviction"],
        [[name, *_cells(row, name.endswith(EVICTING))] for name, row in rows.items()],
    )


def _cells(row: Mapping[str, float], evicting: bool) -> list[str]:
    same = f"{row['as_without']:.1%}" if evicting else ""
    return [f"{row['exact']:.1%}", f"{row['kv_bytes'] / 1e6:.2f}", same]


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(prog="python -m crop_core.bench.eviction", description=__doc__)
    parser.add_argument("--per-kind", type=int, default=30, help="held-out questions of each kind")
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = measure(CropEngine.from_pretrained(device="cpu", dtype="float32"), options.per_kind)
    result = {
        **circumstances("crop_core.bench.eviction", "cpu, one thread"),
        "per_kind": options.per_kind,
        "runs": rows,
    }
    options.out.write_text(json.dumps(result, indent=1) + "\n")
    sys.stdout.write(f"{table(rows)}\n\nwritten to {options.out}\n")


if __name__ == "__main__":
    main()
