"""Trials of a sweep: every method at every budget, beside the baseline and a blind trial.

Knows nothing of models and datasets.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from crop_core.records.config import LEFT, Budget, ConfigError
from crop_core.records.localizers import NONE, SELF, WHOLE
from crop_core.records.methods import PAPER, method_of, pruning_methods, published_methods

PREDICTED, REFERENCE, RANDOM = "predicted", "reference", "random"
REGIONS = (PREDICTED, SELF, REFERENCE, RANDOM, WHOLE)


@dataclass(frozen=True)
class Trial:
    """One configuration for every question of a dataset. method: as `method_of` names it, "none" for the baseline.
    budget: as `Budget.parse` reads it, "" for none.

    region: "predicted" (by the localizer), "self" (predicted by the answering model itself), "reference" (the
    example's), "random" (of the predicted size), "whole" (the image), or the name of another localizer. seed: of
    methods that sample. blind: a grey image instead of the example's.
    """

    method: str = "none"
    budget: str = ""
    seed: int = 0
    region: str = PREDICTED
    evict: bool = False
    blind: bool = False

    @property
    def name(self) -> str:
        """Short and unique, as recorded: "baseline", "crop 64", "crop 64, reference region"."""
        if self.method == "none":
            return "blind" if self.blind else "baseline"
        parts = [f"{self.method} {self.budget}"]
        parts += [f"{self.region} region"] if self.region != PREDICTED else []
        parts += ["evicting"] if self.evict else []
        parts += [f"seed {self.seed}"] if self.seed else []
        return ", ".join(parts)


ALL = Trial()
BLIND = Trial(blind=True)


EVERY = "all"
MINUS = "-"
BUDGETS = ("192", "128", "64")
JOINED = ("distinct+ilp", "learned+ilp")
ABLATED = Trial("crop", "64")  # repeated with the reference region and with a random one of the predicted size


def trials(methods: Iterable[str], budgets: Iterable[str] = BUDGETS, seeds: Sequence[int] = (0,)) -> list[Trial]:
    """Baseline, blind, then each method at each budget, with each seed where the method samples.

    methods: as `method_of` names them, "all", and with a minus those to leave out. budgets: as `Budget.parse` reads
    them. ConfigError for an invalid name, budget or seed, or none at all.
    """
    if not seeds or min(seeds) < 0:
        raise ConfigError(f"The seeds are {list(seeds)}; give at least one, each 0 or more.")
    sizes = _unique([_budget(text) for text in budgets], "budget", "192")
    names = _unique(_names(list(methods)), "method", "crop")
    return [ALL, BLIND, *(Trial(name, size, seed) for name in names for size in sizes for seed in _seeds(name, seeds))]


def localizer_trials(names: Sequence[str], budgets: Iterable[str] = BUDGETS) -> list[Trial]:
    """CROP at each budget by every localizer's regions, the first one's being those called "predicted"; then by random
    ones of the first one's sizes, and by the whole image.

    ConfigError for a name that is none of a localizer's.
    """
    for name in names:
        if name in (NONE, PREDICTED, REFERENCE, RANDOM):
            raise ConfigError(f"The localizer {name!r} finds no region that could be compared; leave it out.")
    others = [name for name in names[1:] if name != WHOLE]
    regions = list(dict.fromkeys([PREDICTED, *others, RANDOM, WHOLE]))
    sizes = _unique([_budget(text) for text in budgets], "budget", "192")
    return [Trial(ABLATED.method, size, region=region) for region in regions for size in sizes]


def localizer_names(plan: Iterable[Trial]) -> tuple[str, ...]:
    """The localizers of these trials besides the sweep's own and the answering model."""
    return tuple(dict.fromkeys(trial.region for trial in plan if trial.region not in REGIONS))


def published() -> list[Trial]:
    """Trials of the README: methods and joined ones at BUDGETS, those with a published setting in it too, and those
    that prune inside the LLM with as many tokens left at the end; CROP with other regions; CROP and ILP evicting.
    """
    crop = [Trial("crop", budget) for budget in BUDGETS]
    ilp = [Trial("ilp", budget) for budget in BUDGETS]
    return [
        *trials([EVERY, *JOINED, *(name + PAPER for name in published_methods())]),
        *(Trial(name, budget + LEFT) for name in _inside() for budget in BUDGETS),
        *(Trial(ABLATED.method, ABLATED.budget, region=region) for region in ("reference", "random")),
        *(Trial(each.method, each.budget, region="self") for each in crop),
        *(Trial(each.method, each.budget, evict=True) for each in (*ilp, *crop)),
    ]


def needs_localizer(plan: Iterable[Trial]) -> bool:
    """Whether any of these trials needs a predicted region."""
    return any(method_of(trial.method).needs_region and trial.region in (PREDICTED, RANDOM) for trial in plan)


def _inside() -> list[str]:
    """Methods and joined ones that prune inside the LLM, whose tokens left at the end are not their mean."""
    return [name for name in (*pruning_methods(), *JOINED) if method_of(name).pruner]


def _names(methods: Sequence[str]) -> list[str]:
    """Names of methods that prune, "all" expanded, and those with a minus removed."""
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
    """The budget in its one spelling, so that "64", "64.0" and " 64 " are equal."""
    budget = Budget.parse(text)
    if budget.left is not None:
        return f"{budget.left:g}{LEFT}"
    return f"{100 * budget.share:g}%" if budget.share is not None else f"{budget.mean_tokens:g}"


def _seeds(method: str, seeds: Sequence[int]) -> Sequence[int]:
    return list(dict.fromkeys(seeds)) if method_of(method).uses_seed else (0,)


def _unique(values: list[str], what: str, example: str) -> list[str]:
    if not values:
        raise ConfigError(f"There is no {what}; give at least one, such as {example}.")
    return list(dict.fromkeys(values))
