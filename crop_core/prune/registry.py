"""Pruners by name. A new method is one file beside this one and one row here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from crop_core.measure.flops import scoring_flops
from crop_core.prune import dart, fastv, pyramiddrop, sparsevlm
from crop_core.prune.ilp import IlpPruner
from crop_core.prune.protocol import CutSize, PruneError, Pruner, VisualTokens
from crop_core.records.config import IlpConfig

Cuts = tuple[tuple[int, int], ...]
PRUNERS: dict[str, Callable[[Cuts, Sequence[VisualTokens], int], Pruner]] = {
    "ilp": IlpPruner,
    "fastv": lambda cuts, tokens, query_rows: fastv.FastvPruner(cuts, tokens),
    "pyramiddrop": lambda cuts, tokens, query_rows: pyramiddrop.PyramidDropPruner(cuts, tokens),
    "sparsevlm": lambda cuts, tokens, query_rows: sparsevlm.SparseVlmPruner(cuts, tokens),
    "dart": lambda cuts, tokens, query_rows: dart.DartPruner(cuts, tokens),
}
OWN_SCHEDULE: dict[
    str, Callable[[int, int, float | None, int, int], IlpConfig]
] = {  # where the schedule is part of the method
    "fastv": fastv.schedule,
    "pyramiddrop": pyramiddrop.schedule,
    "sparsevlm": sparsevlm.schedule,
    "dart": dart.schedule,
}
OWN_WORK: dict[str, Callable[[Any, CutSize], int]] = {  # where scoring is more or less than rows of attention
    "pyramiddrop": pyramiddrop.flops,
    "sparsevlm": sparsevlm.flops,
    "dart": dart.flops,
}


def pruner(name: str, cuts: Cuts, tokens: Sequence[VisualTokens], query_rows: int) -> Pruner:
    """The pruner `name` for these cuts (layer, count), the tokens of every sample, and text rows that score."""
    if name not in PRUNERS:
        raise PruneError(f"The pruner {name!r} is not known; choose one of {', '.join(PRUNERS)}.")
    return PRUNERS[name](cuts, tokens, query_rows)


def settings(
    name: str,
    config: IlpConfig,
    layers: int,
    count: int,
    budget: float | None,
    first_prunable_layer: int = 1,
    min_count: int = 1,
) -> IlpConfig:
    """The schedule and scoring of pruner `name`: the user's, unless the method has its own.

    For `layers` decoder layers of which `first` is the first that can be cut, `count` visual tokens of which `least`
    stay at least, and a mean `budget` of them per layer, None without one.
    """
    if name not in OWN_SCHEDULE:
        return config
    return replace(OWN_SCHEDULE[name](layers, count, budget, first_prunable_layer, min_count), evict=config.evict)


def flops(name: str, config: Any, query_rows: int, size: CutSize) -> int:
    """Operations that pruner `name` takes to decide at one cut of a prompt; config: the model's."""
    if name in OWN_WORK:
        return OWN_WORK[name](config, size)
    return scoring_flops(config, min(query_rows, size.text), size.tokens)
