"""Exact-match accuracy by kind of question: every visual token, each method and budget, and answering blindly."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from PIL import Image
from tqdm import tqdm

from crop_core.bench.heldout import Item, majority_answers
from crop_core.config import Budget, CropConfig
from crop_core.localize import Localizer
from crop_core.models import Adapter
from crop_core.region import GRID, Region
from crop_core.runs import Task

_GREY = (127, 127, 127)
_BASELINE = CropConfig(method="none", budget=None, localizer="whole", max_new_tokens=4)


@dataclass
class Tally:
    """Right answers of one run: overall and by kind, and the mean number of visual tokens per layer that it used."""

    hits: dict[str, list[bool]] = field(default_factory=lambda: defaultdict(list))
    tokens: list[float] = field(default_factory=list)

    def add(self, kind: str, hit: bool, tokens: float = 0.0) -> None:
        """Count one answer."""
        self.hits[kind].append(hit)
        self.tokens.append(tokens)

    @property
    def overall(self) -> float:
        """Share of right answers over all questions."""
        every = [hit for hits in self.hits.values() for hit in hits]
        return sum(every) / len(every)

    @property
    def by_kind(self) -> dict[str, float]:
        """Share of right answers of each kind."""
        return {kind: sum(hits) / len(hits) for kind, hits in self.hits.items()}

    @property
    def mean_tokens(self) -> float:
        """Mean over questions of the mean visual tokens per layer."""
        return sum(self.tokens) / len(self.tokens)


def is_right(answer: str, item: Item) -> bool:
    """Exact match, case and surrounding space aside."""
    return answer.strip().lower() == item.question.answer


def runs(methods: Iterable[str], budgets: Iterable[float]) -> dict[str, CropConfig | None]:
    """What is measured: every visual token (None), then each method at each budget of mean visual tokens."""
    table: dict[str, CropConfig | None] = {"all tokens": None}
    budgets = list(budgets)
    for method in methods:
        for budget in budgets:
            table[f"{method} {budget:g}"] = CropConfig(
                method=method, budget=Budget(mean_tokens=budget), max_new_tokens=4
            )
    return table


def elsewhere(region: Region, rng: random.Random) -> Region:
    """A region of the same size anywhere in the picture: what a localizer must beat."""
    width, height = region.x1 - region.x0, region.y1 - region.y0
    x0, y0 = rng.randint(0, GRID - 1 - width), rng.randint(0, GRID - 1 - height)
    return replace(region, x0=x0, y0=y0, x1=x0 + width, y1=y0 + height)


def _ask(
    adapter: Adapter, image: Image.Image, text: str, config: CropConfig | None, region: Region, item: Item
) -> tuple[bool, float]:
    """Whether the answer is right, and the mean visual tokens per layer that it took."""
    task = Task(adapter, image, text, config or _BASELINE)
    run = task.crop(region, keep_logits=False)
    return is_right(adapter.decode(run.generated.ids), item), run.trace.mean_tokens


def measure(
    adapter: Adapter, localizer: Localizer, items: list[Item], table: dict[str, CropConfig | None]
) -> dict[str, Tally]:
    """Every run of the table over every item, predicted regions, besides "blind" (a grey picture) and "majority".

    The last run of the table is repeated with the true region, and with one of the same size at random.
    """
    tallies: dict[str, Tally] = defaultdict(Tally)
    majority = majority_answers()
    for item in tqdm(items, desc="accuracy", mininterval=5):
        kind, image, text = item.question.kind, item.scene.image, item.question.text
        tallies["majority"].add(kind, majority[kind] == item.question.answer)
        grey = Image.new("RGB", image.size, _GREY)
        tallies["blind"].add(kind, _ask(adapter, grey, text, None, Region.whole(*image.size), item)[0])
        region = localizer.locate(image, text)
        for name, config in table.items():
            tallies[name].add(kind, *_ask(adapter, image, text, config, region, item))
        name, config = list(table.items())[-1]
        for which, other in (("true", item.region), ("random", elsewhere(region, random.Random(item.seed)))):
            tallies[f"{name}, {which} region"].add(kind, *_ask(adapter, image, text, config, other, item))
    return dict(tallies)
