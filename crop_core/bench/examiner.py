"""Puts one held-out question to the models in every way that is measured.

The picture is encoded once for all of them.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from PIL import Image

from crop_core.bench.heldout import Item
from crop_core.compress.registry import reads_tower
from crop_core.config import Budget, CropConfig
from crop_core.localize import Localizer
from crop_core.models import Adapter
from crop_core.region import GRID, Region
from crop_core.runs import Encoded, Task

ALL, BLIND = "all tokens", "blind"
LONGEST = 8  # tokens of an answer, its end included
BASELINE = CropConfig(method="none", budget=None, localizer="whole", max_new_tokens=LONGEST)
_GREY = (127, 127, 127)


@dataclass(frozen=True)
class Reply:
    """One answer, and the mean number of visual tokens per layer that it took."""

    text: str
    mean_tokens: float


@dataclass(frozen=True)
class Sheet:
    """One question as it was answered.

    needed: the region that holds everything; needs_everything: no smaller one would do. found: the localizer's.
    replies: by the name of the run.
    """

    kind: str
    answer: str
    needed: Region
    needs_everything: bool
    found: Region
    replies: Mapping[str, Reply]

    def is_right(self, run: str) -> bool:
        """Whether the reply is the answer; case and the width of spaces aside."""
        return normal(self.replies[run].text) == normal(self.answer)


def normal(answer: str) -> str:
    """Lower case, one space between words."""
    return " ".join(answer.lower().split())


def runs(methods: Iterable[str], budgets: Iterable[float]) -> dict[str, CropConfig]:
    """Every visual token, then each method at each budget of mean visual tokens per layer."""
    table, budgets = {ALL: BASELINE}, list(budgets)
    for method in methods:
        for budget in budgets:
            limit = Budget(mean_tokens=budget)
            table[f"{method} {budget:g}"] = CropConfig(method=method, budget=limit, max_new_tokens=LONGEST)
    return table


def elsewhere(region: Region, rng: random.Random) -> Region:
    """A region of the same size anywhere in the picture: what a localizer must beat."""
    width, height = region.x1 - region.x0, region.y1 - region.y0
    x0, y0 = rng.randint(0, GRID - 1 - width), rng.randint(0, GRID - 1 - height)
    return replace(region, x0=x0, y0=y0, x1=x0 + width, y1=y0 + height)


class Examiner:
    """Asks the answering model of `adapter` with the regions of `localizer`, in all runs of `table`.

    ablated: the run that is repeated with the region that is needed, and with one of the found size at random. The
    method "random" draws other tokens for every scene, so that no one draw decides its figures.
    """

    def __init__(
        self, adapter: Adapter, localizer: Localizer, table: Mapping[str, CropConfig], ablated: str | None = None
    ) -> None:
        self.adapter, self.localizer = adapter, localizer
        self.table, self.ablated = table, ablated
        self._watch = any(reads_tower(config.parts.compressor or "") for config in table.values())
        self._grey: dict[tuple[int, int], Any] = {}  # vision features of grey pictures by size

    def __call__(self, item: Item) -> Sheet:
        """Every run of one item."""
        image, question = item.scene.image, item.question
        found = self.localizer.locate(image, question.text)
        encoded = Task(self.adapter, image, question.text, BASELINE).encode(self._watch)
        replies = {BLIND: self._blind(image.size, question.text)}
        for name, config in self.table.items():
            replies[name] = self._ask(image, question.text, replace(config, seed=item.seed), encoded, found)
        if self.ablated is not None:
            others = {"true": item.region, "random": elsewhere(found, random.Random(item.seed))}
            for which, region in others.items():
                reply = self._ask(image, question.text, self.table[self.ablated], encoded, region)
                replies[f"{self.ablated}, {which} region"] = reply
        return Sheet(question.kind, question.answer, item.region, question.needs_everything, found, replies)

    def _blind(self, size: tuple[int, int], text: str) -> Reply:
        """What the model says to a grey picture."""
        grey = Image.new("RGB", size, _GREY)
        prepared = self.adapter.prepare(grey, text)
        if size not in self._grey:
            self._grey[size] = self.adapter.encode(prepared)
        return self._ask(grey, text, BASELINE, Encoded(prepared, self._grey[size]), Region.whole(*size))

    def _ask(self, image: Image.Image, text: str, config: CropConfig, encoded: Encoded, region: Region) -> Reply:
        run = Task(self.adapter, image, text, config, encoded).crop(region, keep_logits=False)
        return Reply(self.adapter.decode(run.generated.ids), run.mean_tokens)
