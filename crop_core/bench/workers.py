"""Examines items in several processes of one thread each: small models gain more from that than from threads.

The sheets come in the order of the items, and are the same whatever the number of processes.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from multiprocessing import get_context

import torch
from tqdm import tqdm

from crop_core.bench.examiner import Examiner, Sheet, runs
from crop_core.bench.heldout import Item
from crop_core.localize import SELF, SelfLocalizer, localizer_of
from crop_core.models import load


@dataclass(frozen=True)
class Setup:
    """What every process loads: models by name, folder or hub id, the runs, and the one repeated with other regions.

    localizer: a model too, or SELF for the answering one.
    """

    model: str
    localizer: str
    methods: tuple[str, ...]
    budgets: tuple[float, ...]
    ablated: str | None = None

    def examiner(self) -> Examiner:
        """Models loaded, on the CPU."""
        adapter = load(self.model, "cpu")
        locator = SelfLocalizer(adapter) if self.localizer == SELF else localizer_of(load(self.localizer, "cpu"))
        return Examiner(adapter, locator, runs(self.methods, self.budgets), self.ablated)


def examine(setup: Setup, items: Sequence[Item], workers: int) -> list[Sheet]:
    """A sheet for every item."""
    with ProcessPoolExecutor(workers, get_context("spawn"), initializer=torch.set_num_threads, initargs=(1,)) as pool:
        sheets = pool.map(partial(_examine, setup), items, chunksize=4)
        return list(tqdm(sheets, "questions", len(items), mininterval=5))


def _examine(setup: Setup, item: Item) -> Sheet:
    return _loaded(setup)(item)


@cache
def _loaded(setup: Setup) -> Examiner:
    """Once per process."""
    return setup.examiner()
