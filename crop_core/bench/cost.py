"""What answering costs with every visual token and with CROP, localizer included: medians over alternating runs."""

from __future__ import annotations

from statistics import median

from tqdm import tqdm

from crop_core.bench.heldout import Item
from crop_core.config import Budget, CropConfig
from crop_core.engine import CropEngine
from crop_core.measure.cost import Cost

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
    engine: CropEngine, items: list[Item], budgets: list[float], method: str = "crop"
) -> dict[str, dict[str, float]]:
    """Median figures of the baseline and of `method` at each budget; every baseline run stands beside a pruned one."""
    costs: dict[str, list[Cost]] = {}
    for budget in budgets:
        config = CropConfig(method=method, budget=Budget(mean_tokens=budget), max_new_tokens=4)
        for item in tqdm(items, desc=f"cost {budget:g}", mininterval=5):
            found = engine.compare(item.scene.image, item.question.text, config)
            costs.setdefault("all tokens", []).append(found.baseline.cost)
            costs.setdefault(f"{method} {budget:g}", []).append(found.crop.cost)
    return {name: {figure: _median(group, figure) for figure in FIGURES} for name, group in costs.items()}


def _median(costs: list[Cost], figure: str) -> float:
    return float(median(getattr(cost, figure) + (cost.localizer_flops if figure == "flops" else 0) for cost in costs))
