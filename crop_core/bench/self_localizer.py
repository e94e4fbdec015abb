"""The self-localizer beside the trained one: its regions, what CROP keeps with them, and what either costs."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from statistics import median
from typing import Any

from tqdm import tqdm

from crop_core.bench import accuracy, localizer
from crop_core.bench.examiner import ALL, Sheet, elsewhere
from crop_core.bench.heldout import Item
from crop_core.bench.workers import Setup, examine
from crop_core.localize import SELF, Finding, Localizer, SelfLocalizer, localizer_of
from crop_core.localize.rule import Rule
from crop_core.measure.timing import now
from crop_core.models import Adapter, load
from crop_core.region import Region

METHOD = "crop"


def measure(model: str, budgets: tuple[float, ...], items: Sequence[Item], workers: int) -> dict[str, Any]:
    """`localizer.summary` of the regions that the answering model finds by itself.

    beside: the figures of the plain rule, which nothing was measured for, of the whole image, and of regions of the
    same sizes at random places. runs: exact answers with every token and of CROP.
    """
    sheets = examine(Setup(model, SELF, (METHOD,), budgets), items, workers)
    found = accuracy.tallies(sheets, {})
    names = [ALL, *(f"{METHOD} {budget:g}" for budget in budgets)]
    return {
        **localizer.summary(sheets),
        "beside": {"self, plain rule": localizer.figures(_plain(model, items, sheets)), **beside(sheets)},
        "runs": {name: found[name].to_json() for name in names},
    }


def _plain(model: str, items: Sequence[Item], sheets: Sequence[Sheet]) -> list[Sheet]:
    adapter = load(model, "cpu")
    text = adapter.model.config.text_config
    finder = SelfLocalizer(adapter, Rule.plain(text.num_hidden_layers, text.num_attention_heads))
    pairs = zip(tqdm(items, "plain rule", mininterval=5), sheets, strict=True)
    return [replace(sheet, found=finder.locate(item.scene.image, item.question.text)) for item, sheet in pairs]


def beside(sheets: Sequence[Sheet]) -> dict[str, dict[str, float | None]]:
    """Regions that take no look at the question: what a localizer has to beat."""
    places = random.Random(0)
    return {
        "whole image": localizer.figures([replace(sheet, found=_whole(sheet.found)) for sheet in sheets]),
        "random region": localizer.figures([replace(sheet, found=elsewhere(sheet.found, places)) for sheet in sheets]),
    }


def _whole(region: Region) -> Region:
    return Region.whole(region.width, region.height)


def costs(model: str, locator: str, items: Sequence[Item]) -> dict[str, dict[str, float]]:
    """Median seconds and FLOPs of finding a region, in alternation: by the trained localizer, by the answering model,
    and by the answering model where the image is encoded for the answer anyway.
    """
    adapter = load(model, "cpu", "float32")
    trained, own = localizer_of(load(locator, "cpu", "float32")), SelfLocalizer(adapter)
    seconds: dict[str, list[float]] = {}
    flops: dict[str, list[int]] = {}
    for item in tqdm([items[0], *items], "localizers", mininterval=5):  # the first one is a warm-up
        for name, way in _ways(adapter, trained, own, item).items():
            start = now(adapter.device)
            finding = way()
            seconds.setdefault(name, []).append(now(adapter.device) - start)
            flops.setdefault(name, []).append(finding.flops)
    return {name: {"seconds": median(seconds[name][1:]), "flops": median(flops[name][1:])} for name in seconds}


def _ways(adapter: Adapter, trained: Localizer, own: SelfLocalizer, item: Item) -> dict[str, Callable[[], Finding]]:
    image, text = item.scene.image, item.question.text
    prepared = adapter.prepare(image, text)
    features = adapter.encode(prepared)
    return {
        "trained": lambda: trained.find(image, text),
        "self": lambda: own.find(image, text),
        "self, image encoded": lambda: own.look(prepared, features, image.size),
    }
