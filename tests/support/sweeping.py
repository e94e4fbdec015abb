"""A small sweep for tests: questions about noise, which a random model answers all differently, and workers without a
model.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from PIL import Image

from crop_core.evaluate.datasets.protocol import Example
from crop_core.evaluate.runner.plan import ALL, Trial
from crop_core.evaluate.runner.work import Outcome, Record, Skipped

TEXTS = ("what is left of the dog ?", "where is the red cat ?")
SIZES = ((200, 120), (120, 200), (90, 90), (200, 120), (64, 48))
RECORD = Record(
    "toy", "0", "g", "place", "dog", "baseline", "none", "", 0, "predicted", False, False, "dog", 1.0, True, 0.0, -0.5,
    64, 64.0, 64, 4096, 0.0, 0.01, 0.0, 0.0, 0.1, 0.2, 10**9, 0, 0, 7, 7, float("nan"), 1, 1, 2, 2, False,
)  # fmt: skip


def noise(size: tuple[int, int], sigma: float) -> Image.Image:
    """Another one at every call."""
    return Image.effect_noise(size, sigma).convert("RGB")


def examples(folder: Path) -> list[Example]:
    """Five, with their images in a folder."""
    result = []
    for number, size in enumerate(SIZES):
        file = folder / f"{number}.png"
        noise(size, 60 + number).save(file)
        needed = (0, 0, 1 + number, 1)
        result.append(Example(f"{number} place", TEXTS[number % 2], ("dog",), file, "place", str(number), needed))
    return result


@dataclass(frozen=True)
class Exact:
    """Right or wrong."""

    name: str = "exact"
    label: str = "exact answers"

    def score(self, reply: str, example: Example) -> float:
        """Whether the reply is the first answer."""
        return float(reply == example.answers[0])

    def summary(self, records: object) -> dict[str, float]:
        """Nothing that is not in `score`."""
        return {}


@dataclass(frozen=True)
class Toy:
    """Equipment without a model. log: a folder in which every example that is asked leaves a mark for each asking.

    kills: ids of examples over which a worker dies, as often as the number says. refuses: one that cannot be asked.
    pause: seconds that an answer takes.
    """

    log: Path
    kills: tuple[tuple[str, int], ...] = ()
    refuses: str = ""
    pause: float = 0.0

    def trial_runner(self):
        """As any equipment."""
        return partial(_asked, self)


def _asked(toy: Toy, example: Example, trials: Sequence[Trial]) -> Outcome:
    times = len(list(toy.log.glob(f"{example.id}.*")))
    (toy.log / f"{example.id}.{times}").touch()
    if times < dict(toy.kills).get(example.id, 0):
        os.kill(os.getpid(), signal.SIGKILL)
    if example.id == toy.refuses:
        return Skipped(example.id, "it cannot be read")
    time.sleep(toy.pause)
    return [record(example, trial) for trial in trials]


def record(example: Example, trial: Trial = ALL, **changed: object) -> Record:
    """What some model might have said."""
    fields = {name: getattr(trial, name) for name in ("method", "budget", "seed", "region", "evict", "blind")}
    return replace(RECORD, **{"example": example.id, "kind": example.kind, "trial": trial.name, **fields, **changed})


def toys(count: int) -> list[Example]:
    """Examples for `Toy`, without images."""
    return [Example(str(number), "?", ("dog",), Path("none.png")) for number in range(count)]
