"""What answering costs with every visual token and with CROP, localizer included: medians over alternating runs."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from tqdm import tqdm

from crop_core.bench.examiner import ALL, LONGEST
from crop_core.bench.heldout import Item
from crop_core.config import Budget, CropConfig
from crop_core.engine import CropEngine
from crop_core.measure.cost import Cost

Figures = dict[str, float]
FIGURES = (
    "ttft_s",
    "total_s",
    "localizer_s",
    "encode_s",
    "compression_s",
    "scoring_s",
    "kv_bytes",
    "peak_bytes",
    "flops",
)


def measure(
    engine: CropEngine, items: Sequence[Item], budgets: Sequence[float], method: str = "crop"
) -> tuple[dict[str, Figures], float]:
    """Median figures of the baseline and of `method` at each budget, and what the time to the first token at the last
    budget is to that of the baseline runs beside it. Every baseline run stands beside a pruned one.
    """
    costs: dict[str, list[Cost]] = {}
    ratio = 1.0
    for budget in budgets:
        config = CropConfig(method=method, budget=Budget(mean_tokens=budget), max_new_tokens=LONGEST)
        found = [
            engine.compare(item.scene.image, item.question.text, config)
            for item in tqdm(items, desc=f"cost {budget:g}", mininterval=5)
        ]
        baseline, pruned = [each.baseline.cost for each in found], [each.crop.cost for each in found]
        costs.setdefault(ALL, []).extend(baseline)
        costs[f"{method} {budget:g}"] = pruned
        ratio = _median(pruned, "ttft_s") / _median(baseline, "ttft_s")
    return {name: {figure: _median(group, figure) for figure in FIGURES} for name, group in costs.items()}, ratio


def _median(costs: Sequence[Cost], figure: str) -> float:
    return float(median(getattr(cost, figure) + (cost.localizer_flops if figure == "flops" else 0) for cost in costs))
