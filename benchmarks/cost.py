"""Costs of the baseline, of CROP (localizer included) and of the localizers: alternating runs after a warm-up."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from statistics import median

from tqdm import tqdm

from crop_core.engine.engine import CropEngine
from crop_core.engine.session import Session
from crop_core.evaluate.datasets.bundled_world import MAX_NEW_TOKENS
from crop_core.evaluate.runner.plan import ALL
from crop_core.localize import LocalizationResult, Localizer, SelfLocalizer, localizer_for
from crop_core.localize.self_attention.attention_rule import AttentionRule
from crop_core.measure.timing import now
from crop_core.models import Adapter, load
from crop_core.records.config import Budget, CropConfig
from crop_core.records.cost import Cost
from crop_core.train.world.held_out import Item

Figures = dict[str, list[float]]  # a value per run or item
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
) -> dict[str, Figures]:
    """Figures of the baseline and of `method` at each budget. Every pruned run has a baseline run beside it; those of
    the baseline come in the order of the budgets.
    """
    costs: dict[str, list[Cost]] = {ALL.name: []}
    for budget in budgets:
        config = CropConfig(method, Budget(mean_tokens=budget), max_new_tokens=MAX_NEW_TOKENS, repeats=2)
        results = [
            engine.compare(item.scene.image, item.question.text, config)
            for item in tqdm(items, desc=f"cost {budget:g}", mininterval=5)
        ]
        costs[ALL.name].extend(each.baseline.cost for each in results)
        costs[f"{method} {budget:g}"] = [each.crop.cost for each in results]
    return {
        name: {figure: [_value(cost, figure) for cost in group] for figure in FIGURES} for name, group in costs.items()
    }


def medians(runs: Mapping[str, Mapping[str, Sequence[float]]]) -> dict[str, dict[str, float]]:
    """The median of every figure of every run."""
    return {name: {figure: float(median(values)) for figure, values in run.items()} for name, run in runs.items()}


def ttft_ratio(runs: Mapping[str, Mapping[str, Sequence[float]]]) -> float:
    """The median time to the first token of the last run to that of the baseline runs beside it."""
    last = list(runs.values())[-1]["ttft_s"]
    return median(last) / median(runs[ALL.name]["ttft_s"][-len(last) :])


def _value(cost: Cost, figure: str) -> float:
    return float(cost.work if figure == "flops" else getattr(cost, figure))


def plain_rule_regions(model: str, items: Sequence[Item]) -> list[list[int]]:
    """Grid cells that the answering model predicts by the plain (uncalibrated) rule, one region per item."""
    adapter = load(model, "cpu", "float32")
    text = adapter.model.config.text_config
    plain = SelfLocalizer(adapter, AttentionRule.plain(text.num_hidden_layers, text.num_attention_heads))
    return [
        [*plain.localize_region(item.scene.image, item.question.text).grid]
        for item in tqdm(items, "plain rule", mininterval=5)
    ]


def localizer_costs(model: str, localizer: str, items: Sequence[Item]) -> dict[str, Figures]:
    """Seconds and FLOPs of predicting a region, alternating: by the trained localizer, by the answering model, and
    by the answering model when the image is already encoded for the answer.
    """
    adapter = load(model, "cpu", "float32")
    trained, own = localizer_for(load(localizer, "cpu", "float32")), SelfLocalizer(adapter)
    costs: dict[str, Figures] = {}
    for number, item in enumerate(tqdm([items[0], *items], "localizers", mininterval=5)):
        for name, localize in _localizers(adapter, trained, own, item).items():
            start = now(adapter.device)
            result = localize()
            seconds = now(adapter.device) - start
            if number:  # the first one is a warm-up
                figures = costs.setdefault(name, {"seconds": [], "flops": []})
                figures["seconds"].append(seconds)
                figures["flops"].append(math.nan if result.flops is None else result.flops)
    return costs


def _localizers(
    adapter: Adapter, trained: Localizer, own: SelfLocalizer, item: Item
) -> dict[str, Callable[[], LocalizationResult]]:
    image, text = item.scene.image, item.question.text
    encoded = Session(adapter, image, text).encoded
    return {
        "trained": lambda: trained.localize(image, text),
        "self": lambda: own.localize(image, text),
        "self, image encoded": lambda: own.localize_from_features(encoded.prepared, encoded.features, image, text),
    }
