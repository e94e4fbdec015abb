"""Which trials a sweep consists of: every method at every budget, with every token and blindly beside them.

Knows nothing of models and datasets.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from crop_core.evaluate.runner.trial import ALL, BLIND, Trial
from crop_core.records.config import Budget, ConfigError
from crop_core.records.methods import method_of, pruning_methods

EVERY = "all"
MINUS = "-"
BUDGETS = ("192", "128", "64")
JOINED = ("distinct+ilp", "learned+ilp")
ABLATED = Trial("crop", "64")  # asked again with the needed region, and with one of the found size elsewhere


def trials(methods: Iterable[str], budgets: Iterable[str] = BUDGETS, seeds: Sequence[int] = (0,)) -> list[Trial]:
    """Every token, blindly, then each method at each budget, with each seed where the method draws.

    methods: as `method_of` names them, "all", and with a minus what is left out of it. budgets: as `Budget.parse` reads
    them. ConfigError for a name, a budget or a seed that cannot be, or none at all.
    """
    if not seeds or min(seeds) < 0:
        raise ConfigError(f"The seeds are {list(seeds)}; give at least one, each 0 or more.")
    sizes = _different([_budget(text) for text in budgets], "budget", "192")
    names = _different(_names(list(methods)), "method", "crop")
    return [ALL, BLIND, *(Trial(name, size, seed) for name in names for size in sizes for seed in _seeds(name, seeds))]


def published() -> list[Trial]:
    """What the README shows: methods and joined ones at BUDGETS; CROP with other regions; CROP and ILP evicting."""
    crop = [Trial("crop", budget) for budget in BUDGETS]
    ilp = [Trial("ilp", budget) for budget in BUDGETS]
    return [
        *trials([EVERY, *JOINED]),
        *(Trial(ABLATED.method, ABLATED.budget, region=region) for region in ("needed", "elsewhere")),
        *(Trial(each.method, each.budget, region="self") for each in crop),
        *(Trial(each.method, each.budget, evict=True) for each in (*ilp, *crop)),
    ]


def needs_localizer(plan: Iterable[Trial]) -> bool:
    """Whether any of these trials reads a region that a localizer has to find."""
    return any(method_of(trial.method).needs_region and trial.region in ("found", "elsewhere") for trial in plan)


def _names(methods: Sequence[str]) -> list[str]:
    """Names of methods that prune, "all" spelled out, and those with a minus taken away."""
    without = {name[1:] for name in methods if name.startswith(MINUS)}
    names: list[str] = []
    for name in methods:
        if name == EVERY:
            names += pruning_methods()
        elif not name.startswith(MINUS):
            names.append(name)
    for name in (*names, *without):
        if not method_of(name).prunes:
            raise ConfigError(f"The method {name!r} prunes nothing and is in every sweep; leave it out.")
    return [name for name in names if name not in without]


def _budget(text: str) -> str:
    """The budget as every trial spells it, so that "64", "64.0" and " 64 " are one."""
    budget = Budget.parse(text)
    return f"{100 * budget.share:g}%" if budget.share is not None else f"{budget.mean_tokens:g}"


def _seeds(method: str, seeds: Sequence[int]) -> Sequence[int]:
    return list(dict.fromkeys(seeds)) if method_of(method).uses_seed else (0,)


def _different(values: list[str], what: str, such: str) -> list[str]:
    if not values:
        raise ConfigError(f"There is no {what}; give at least one, such as {such}.")
    return list(dict.fromkeys(values))
