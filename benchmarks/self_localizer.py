"""What is measured of the self-localizer beside a sweep: the regions of the plain rule, and what finding one costs."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tqdm import tqdm

from crop_core.engine.session import Session
from crop_core.localize import LocalizationResult, Localizer, SelfLocalizer, localizer_for
from crop_core.localize.self_attention.attention_rule import AttentionRule
from crop_core.measure.timing import now
from crop_core.models import Adapter, load
from crop_core.train.world.held_out import Item

Figures = dict[str, list[float]]  # a value per item


def plain_regions(model: str, items: Sequence[Item]) -> list[list[int]]:
    """Grid cells that the answering model finds by the rule that nothing was measured for, an item each."""
    adapter = load(model, "cpu", "float32")
    text = adapter.model.config.text_config
    finder = SelfLocalizer(adapter, AttentionRule.plain(text.num_hidden_layers, text.num_attention_heads))
    return [
        [*finder.localize_region(item.scene.image, item.question.text).grid]
        for item in tqdm(items, "plain rule", mininterval=5)
    ]


def costs(model: str, locator: str, items: Sequence[Item]) -> dict[str, Figures]:
    """Seconds and FLOPs of finding a region, in alternation: by the trained localizer, by the answering model, and by
    the answering model where the image is encoded for the answer anyway.
    """
    adapter = load(model, "cpu", "float32")
    trained, own = localizer_for(load(locator, "cpu", "float32")), SelfLocalizer(adapter)
    found: dict[str, Figures] = {}
    for number, item in enumerate(tqdm([items[0], *items], "localizers", mininterval=5)):
        for name, way in _ways(adapter, trained, own, item).items():
            start = now(adapter.device)
            finding = way()
            seconds = now(adapter.device) - start
            if number:  # the first one is a warm-up
                figures = found.setdefault(name, {"seconds": [], "flops": []})
                figures["seconds"].append(seconds)
                figures["flops"].append(finding.flops)
    return found


def _ways(
    adapter: Adapter, trained: Localizer, own: SelfLocalizer, item: Item
) -> dict[str, Callable[[], LocalizationResult]]:
    image, text = item.scene.image, item.question.text
    encoded = Session(adapter, image, text).encoded
    return {
        "trained": lambda: trained.localize(image, text),
        "self": lambda: own.localize(image, text),
        "self, image encoded": lambda: own.localize_from_features(encoded.prepared, encoded.features, image.size),
    }
