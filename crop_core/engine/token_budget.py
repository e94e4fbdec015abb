"""From a budget to counts: how many visual tokens of every image enter the LLM, and how the pruner cuts them inside.

Pure arithmetic, done before any model runs, so that what cannot be is refused first.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from crop_core.prune import schedule
from crop_core.prune.protocol import ScheduledPruner
from crop_core.records.config import CropConfig, IlpConfig
from crop_core.records.methods import load_class


@dataclass(frozen=True)
class TokenBudgetPlan:
    """What a budget comes to. visual: tokens of every image. tokens: what PLC leaves of each, None where its ratios
    decide. mean: per layer, of all. inner: how the pruner cuts and scores.
    """

    visual: list[int]
    tokens: list[int] | None
    mean: float | None
    inner: IlpConfig


def plan_token_budget(config: CropConfig, visual: list[int], layers: int, first_prunable_layer: int) -> TokenBudgetPlan:
    """Budget arithmetic before any model runs, of images of `visual` tokens each, of which at least one each stays;
    BudgetError or ConfigError for what cannot be.
    """
    parts, total, images = config.parts, sum(visual), len(visual)
    mean = config.budget.tokens(total, images) if config.budget and parts.prunes else None
    inner, entering = config.ilp, total
    if parts.compressor and mean is not None:
        entering = schedule.plc_count(mean * config.overshoot, total, images)
    if parts.pruner:
        pruner: type[ScheduledPruner] = load_class(parts.pruner)
        if own := pruner.schedule(layers, entering, mean, first_prunable_layer, images):
            inner = replace(own, evict=config.ilp.evict)
        if parts.compressor and mean is not None:
            at = schedule.resolved(inner, layers, first_prunable_layer)[0][0]
            entering = schedule.plc_count_before_ilp(config.overshoot, mean, layers, total, at, images)
        schedule.cuts(inner, layers, entering, mean, first_prunable_layer, images)
    left = schedule.split(entering, visual) if mean is not None or not parts.compressor else None
    return TokenBudgetPlan(visual, left, mean, inner)
