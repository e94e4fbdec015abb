"""Variants to measure: every method, with every localizer if it reads a region.

A new localizer is one row of LOCALIZERS.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from benchmarks.full_size.models import LOCATOR, build
from crop_core.localize import GridVlmLocalizer, KnownRegion, Localizer, SelfLocalizer, WholeImage
from crop_core.localize.decoding.answer_formats import BRACKETS
from crop_core.localize.text_vlm import TextVlmLocalizer
from crop_core.models import DEFAULT_LOCALIZER, Adapter, load
from crop_core.prune import schedule
from crop_core.records.config import Budget, CropConfig, IlpConfig
from crop_core.records.region import Region

BASELINE, NO_LOCALIZER = "none", "-"
METHODS = {  # name: (a key of config.METHODS, whether dropped tokens leave the KV cache of early layers too)
    BASELINE: ("none", False),
    "fastv": ("fastv", False),
    "ilp": ("ilp", False),
    "plc": ("plc", False),
    "crop": ("crop", False),
    "ilp-evict": ("ilp", True),
    "crop-evict": ("crop", True),
}
NEW_TOKENS = 32
WRITTEN = 12  # tokens of "[2, 2, 5, 5]" where each number, comma and bracket is one, and an end
FREE = (2, 2, 5, 5)  # cells of the known region


@dataclass(frozen=True)
class Setting:
    """Where and how all models of a measurement run, and (width, height) of the image."""

    device: torch.device
    dtype: torch.dtype
    attn: str
    tiny: bool
    image_size: tuple[int, int]


Factory = Callable[[Adapter, Setting], Localizer]  # the answering model's adapter


def _locator(setting: Setting) -> Adapter:
    return build(LOCATOR, setting.device, setting.dtype, setting.attn, setting.tiny)


LOCALIZERS: dict[str, tuple[str, Factory]] = {  # name: (description, factory)
    "free": (
        "a known region: the cost of pruning without a localizer",
        lambda adapter, setting: KnownRegion(Region(*FREE, *setting.image_size)),
    ),
    "slots": (
        "the bundled localizer, a few million parameters, one forward pass",
        lambda adapter, setting: GridVlmLocalizer(load(DEFAULT_LOCALIZER, setting.device, setting.dtype)),
    ),
    "grid": (
        f"a random model of the size of {LOCATOR}, at most 576 visual tokens, four forward passes",
        lambda adapter, setting: GridVlmLocalizer(_locator(setting), BRACKETS),
    ),
    "written": (
        f"the same model, decoding the {WRITTEN} tokens of its answer as the paper's does",
        lambda adapter, setting: TextVlmLocalizer(_locator(setting), BRACKETS, WRITTEN),
    ),
    "self": (
        "the answering model's attention to a pooled 8x8 grid, in the second quarter of its layers",
        lambda adapter, setting: SelfLocalizer(adapter),
    ),
}


@dataclass(frozen=True)
class Variant:
    """method: a key of METHODS. localizer: a key of LOCALIZERS, or NO_LOCALIZER for methods without a region."""

    method: str
    localizer: str
    config: CropConfig

    @property
    def name(self) -> str:
        """Name of its figures."""
        return self.method if self.localizer == NO_LOCALIZER else f"{self.method} {self.localizer}"


def variants(
    adapter: Adapter, count: int, budget: Budget, methods: Sequence[str], localizers: Sequence[str]
) -> list[Variant]:
    """The baseline first, then each of `methods` with each of `localizers`, for an image of `count` visual tokens.
    Raises ConfigError for a budget above that.
    """
    result = [Variant(BASELINE, NO_LOCALIZER, CropConfig("none", max_new_tokens=NEW_TOKENS))]
    for method in (each for each in METHODS if each in methods and each != BASELINE):
        config = _config(adapter, count, budget, *METHODS[method])
        names = localizers if config.parts.needs_region else (NO_LOCALIZER,)
        result += [Variant(method, name, config) for name in names]
    return result


def _config(adapter: Adapter, count: int, budget: Budget, method: str, evict: bool) -> CropConfig:
    """Settings of a method; ILP's early cut is earlier than the default layer if that one cannot meet the budget."""
    cuts: tuple[tuple[int, float], ...] = ()
    if method == "ilp":
        first = adapter.stack.first_prunable
        (early, share), *late = schedule.default_schedule(adapter.layers, first)
        at = schedule.latest_cut(early, adapter.layers, count, budget.tokens(count), first)
        cuts = ((at, share), *late)
    return CropConfig(method, budget, ilp=IlpConfig(cuts, evict=evict), max_new_tokens=NEW_TOKENS)


def localizer(name: str, adapter: Adapter, setting: Setting) -> Localizer:
    """The localizer of that name; the whole image for NO_LOCALIZER."""
    return WholeImage() if name == NO_LOCALIZER else LOCALIZERS[name][1](adapter, setting)
