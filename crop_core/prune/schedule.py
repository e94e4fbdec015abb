"""Budget arithmetic: numbers of visual tokens alive by layer. Pure functions of integers; no torch, no arrays.

A schedule of cuts (layer, count) over L decoder layers costs the sum of the tokens alive in each layer; a budget B
allows floor(B * L) of them. Layers before the first cut hold all tokens, so that a small budget can be unreachable.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from crop_core.prune.protocol import ScheduledPruner
from crop_core.records.config import ConfigError, CropConfig, IlpConfig
from crop_core.records.methods import load_class

Cuts = tuple[tuple[int, int], ...]
DEEP = 24  # decoder layers from which two early layers may stay unpruned
LATE = 2 / 3  # of the depth: by then the text has read most of the image
SHARES = (1 / 3, 1 / 15)  # alive after the two default cuts when no budget is set
ROUNDING = 1e-6  # of a token: tolerance of budgets given as shares


class BudgetError(ConfigError):
    """A budget that a schedule cannot reach; the message names the minimum."""


def early_cut(layers: int) -> int:
    """The early cut of `layers` decoder layers: at 2 as in FastV (Chen et al., arXiv 2403.06764), at 1 in shallow
    models, of which a layer is a larger part.
    """
    return 2 if layers >= DEEP else 1


def default_schedule(layers: int, first_prunable_layer: int = 1) -> tuple[tuple[int, float], ...]:
    """(layer, share) of the default cuts of `layers` decoder layers, none before `first_prunable_layer`; one in shallow
    models.

    The early cut is `early_cut`. OURS: a late one after two thirds of the depth leaves a fifth of that. At the same
    mean, the layers between, in which the text reads the image, hold nearly half as many tokens again.
    """
    early, late = max(first_prunable_layer, early_cut(layers)), round(LATE * layers)
    return tuple(zip((early, late) if early < late else (early,), SHARES, strict=False))


def resolved(config: IlpConfig, layers: int, first_prunable_layer: int = 1) -> tuple[tuple[int, float], ...]:
    """The schedule of (layer, share) for a model of `layers` decoder layers; ConfigError for a cut after the last one
    or before the first prunable one.
    """
    schedule = config.schedule or default_schedule(layers, first_prunable_layer)
    for layer in (schedule[0][0], schedule[-1][0]):
        if not first_prunable_layer <= layer < layers:
            raise ConfigError(
                f"The ILP schedule cuts at layer {layer}, but this model of {layers} decoder layers allows "
                f"{first_prunable_layer} to {layers - 1}; cut there."
            )
    return schedule


def ending(schedule: tuple[tuple[int, float], ...], share: float) -> tuple[tuple[int, float], ...]:
    """The schedule with all shares scaled together, so that the last cut leaves `share`; at most everything."""
    return tuple((layer, min(1.0, own * share / schedule[-1][1])) for layer, own in schedule)


def allowance(budget: float, layers: int) -> int:
    """Visual tokens, summed over the layers, that a mean of `budget` per layer allows."""
    return math.floor(budget * layers + ROUNDING)


def least_mean(first_layer: int, layers: int, count: int, min_count: int = 1) -> float:
    """Minimum mean tokens per layer with `count` before `first_layer` and `min_count` from it on."""
    return (first_layer * count + min_count * (layers - first_layer)) / layers


def reachable(first_layer: int, layers: int, count: int, budget: float, min_count: int = 1) -> bool:
    """Whether a first cut at `first_layer` can bring `count` tokens down to a mean of `budget` per layer."""
    return allowance(budget, layers) >= round(least_mean(first_layer, layers, count, min_count) * layers)


def latest_cut(
    latest: int, layers: int, count: int, budget: float | None, first_prunable_layer: int = 1, min_count: int = 1
) -> int:
    """The last layer up to `latest` at which a cut meets the budget; the first prunable layer if none does."""
    possible = range(first_prunable_layer, min(latest, layers - 1) + 1)
    return max(
        (at for at in possible if budget is None or reachable(at, layers, count, budget, min_count)),
        default=first_prunable_layer,
    )


def rising(places: Sequence[float], layers: int, first_prunable_layer: int = 1) -> tuple[int, ...]:
    """The layers nearest to `places`, strictly rising and none before the first prunable one; those after the last of
    `layers` are left out.
    """
    at: list[int] = []
    for place in places:
        at.append(max(round(place), at[-1] + 1 if at else first_prunable_layer))
    return tuple(layer for layer in at if layer < layers)


def meets(
    config: IlpConfig, layers: int, count: int, budget: float, first_prunable_layer: int = 1, min_count: int = 1
) -> bool:
    """Whether the unscaled shares leave a mean of at most `budget` of `count` visual tokens."""
    return (
        mean_tokens(cuts(config, layers, count, None, first_prunable_layer, min_count), layers, count)
        <= budget + ROUNDING
    )


@lru_cache(maxsize=1024)
def cuts(
    config: IlpConfig,
    layers: int,
    count: int,
    budget: float | None = None,
    first_prunable_layer: int = 1,
    min_count: int = 1,
) -> Cuts:
    """(layer, tokens alive from it on) for `count` visual tokens at the LLM's input; layers without a change are left
    out.

    With a budget (mean tokens per layer): the shares scaled together to the largest counts whose mean does not exceed
    it, and the rounding remainder added to single cuts. Without: the unscaled shares. At least `min_count` tokens stay,
    one per image. Raises BudgetError if even these after the first cut are too many, ConfigError for a cut after the
    last layer or before the first prunable one.
    """
    schedule = resolved(config, layers, first_prunable_layer)
    at = [layer for layer, _ in schedule]
    shares = [share for _, share in schedule]
    if budget is None:
        alive = _scaled(shares, count, count, min_count)
    else:
        if not reachable(at[0], layers, count, budget, min_count):
            lowest = least_mean(at[0], layers, count, min_count)
            last = at[0] == first_prunable_layer
            instead = "choose a method that compresses before the LLM" if last else "cut earlier"
            raise BudgetError(
                f"A mean of {budget:g} visual tokens per layer is out of reach: with {count} tokens before the first "
                f"cut, at layer {at[0]} of {layers}, the least is {lowest:.1f}; raise the budget or {instead}."
            )
        lengths = [after - before for before, after in zip(at, [*at[1:], layers], strict=True)]
        alive = _largest(shares, lengths, count, allowance(budget, layers) - at[0] * count, min_count)
    before = [count, *alive]
    return tuple((layer, now) for layer, now, last in zip(at, alive, before, strict=False) if now < last)


def mean_tokens(cuts: Cuts, layers: int, count: int) -> float:
    """Mean visual tokens per layer that these cuts leave of `count`."""
    ends = [layer for layer, _ in cuts] + [layers]
    total = ends[0] * count + sum(alive * (end - layer) for (layer, alive), end in zip(cuts, ends[1:], strict=True))
    return total / layers


def split(total: int, counts: Sequence[int]) -> list[int]:
    """`total` tokens shared out to images of `counts` visual tokens each, in proportion and at least one each."""
    if len(counts) == 1:
        return [total]
    shares = [max(1, math.floor(total * count / sum(counts))) for count in counts]
    while sum(shares) != total:
        step = 1 if sum(shares) < total else -1
        adjustable = [i for i, share in enumerate(shares) if 1 <= share + step <= counts[i]]
        if not adjustable:
            raise ConfigError(f"{total} visual tokens cannot be handed to images of {list(counts)}, at least one each.")
        shares[max(adjustable, key=lambda i: step * (total * counts[i] / sum(counts) - shares[i]))] += step
    return shares


def plc_count(budget: float, count: int, min_count: int = 1) -> int:
    """Number of tokens after compression alone of `count` for a mean of `budget`."""
    return max(min_count, min(count, math.floor(budget + ROUNDING)))


def plc_count_before_ilp(
    overshoot: float, budget: float, layers: int, count: int, first_layer: int, min_count: int = 1
) -> int:
    """Number of tokens after compression of `count` with ILP following: overshoot * budget, at most as many as let ILP,
    which cuts from `first_layer` on, meet the budget.
    """
    reachable = (allowance(budget, layers) - min_count * (layers - first_layer)) // first_layer
    return max(min_count, min(count, math.floor(overshoot * budget + 0.5), reachable))


def _scaled(shares: Sequence[float], scale: float, count: int, min_count: int) -> list[int]:
    """floor(share * scale) per cut, at least `min_count` and at most `count`; falling as the shares fall."""
    return [max(min_count, min(count, math.floor(share * scale + ROUNDING))) for share in shares]


def _largest(shares: Sequence[float], lengths: Sequence[int], count: int, allowed: int, min_count: int) -> list[int]:
    """Largest scaled counts whose sum, weighted with the cuts' lengths in layers, is at most `allowed`."""
    low, high = 0.0, count / min(shares) + 1
    for _ in range(60):
        middle = (low + high) / 2
        fits = _cost(_scaled(shares, middle, count, min_count), lengths) <= allowed
        low, high = (middle, high) if fits else (low, middle)
    return _topped_up(_scaled(shares, low, count, min_count), lengths, count, allowed)


def _topped_up(alive: list[int], lengths: Sequence[int], count: int, allowed: int) -> list[int]:
    """Add the rest of `allowed` to single cuts, earliest first, as long as counts do not rise from cut to cut."""
    for cut in range(len(alive)):
        limit = alive[cut - 1] if cut else count
        more = max(0, allowed - _cost(alive, lengths)) // lengths[cut]
        alive[cut] = min(limit, alive[cut] + more)
    return alive


def _cost(alive: Sequence[int], lengths: Sequence[int]) -> int:
    return sum(number * length for number, length in zip(alive, lengths, strict=True))


@dataclass(frozen=True)
class TokenBudgetPlan:
    """What a budget comes to. visual: tokens of every image. tokens: what PLC leaves of each, None where its ratios
    decide. mean: per layer, of all; None where the shares of `inner` stand. inner: how the pruner cuts and scores.
    """

    visual: list[int]
    tokens: list[int] | None
    mean: float | None
    inner: IlpConfig

    @property
    def keeps_all(self) -> bool:
        """Whether the budget is at least the visual tokens, so that nothing is pruned."""
        return self.mean is not None and self.mean >= sum(self.visual) - ROUNDING


def plan_token_budget(config: CropConfig, visual: list[int], layers: int, first_prunable_layer: int) -> TokenBudgetPlan:
    """Budget arithmetic before any model runs, of images of `visual` tokens each, of which at least one each stays;
    BudgetError or ConfigError for what cannot be.
    """
    parts, total, images = config.parts, sum(visual), len(visual)
    goal = config.budget.tokens(total, images) if config.budget and parts.prunes else None
    at_end = parts.pruner is not None and config.budget is not None and config.budget.left is not None
    mean = None if at_end else goal
    inner, entering = config.ilp, total
    if parts.compressor and goal is not None:
        entering = plc_count(goal * config.overshoot, total, images)
    if parts.pruner:
        pruner: type[ScheduledPruner] = load_class(parts.pruner)
        if own := pruner.schedule(layers, entering, mean, first_prunable_layer, images):
            inner = replace(own, evict=config.ilp.evict)
        if parts.compressor and mean is not None:
            at = resolved(inner, layers, first_prunable_layer)[0][0]
            entering = plc_count_before_ilp(config.overshoot, mean, layers, total, at, images)
        if at_end and goal is not None:
            inner = replace(inner, schedule=ending(resolved(inner, layers, first_prunable_layer), goal / entering))
        cuts(inner, layers, entering, mean, first_prunable_layer, images)
    left = split(entering, visual) if goal is not None or not parts.compressor else None
    return TokenBudgetPlan(visual, left, mean, inner)
