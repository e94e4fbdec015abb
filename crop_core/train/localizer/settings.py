"""Settings of localizer training and of calibration. Knows nothing of models and data."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any


class TuneError(ValueError):
    """Data or options that cannot be used; the message is one sentence for the user."""


MAX_SIDE = 64  # as of `AttentionRule`
_FREE = ("save_every", "eval_every", "checkpointing")  # may change when a run resumes


@dataclass(frozen=True)
class Settings:
    """steps: updates of the weights, None for as many as `epochs` take. batch: questions of one update. rate: the
    highest learning rate. rank, alpha, dropout: of LoRA. warmup: share of the steps in which the rate rises.
    held_out: share of the questions that is not trained on. coverage: share of held-out regions to be covered.
    save_every, eval_every: steps, 0 for never. checkpointing: less memory for more time. Raises TuneError.
    """

    steps: int | None = None
    epochs: float = 1.0
    batch: int = 16
    rate: float = 1e-4
    rank: int = 16
    alpha: float = 32.0
    dropout: float = 0.05
    warmup: float = 0.03
    held_out: float = 0.05
    coverage: float = 0.95
    seed: int = 0
    save_every: int = 100
    eval_every: int = 0
    checkpointing: bool = False

    def __post_init__(self) -> None:
        for name, minimum in {"steps": 1, "batch": 1, "rank": 1, "seed": 0, "save_every": 0, "eval_every": 0}.items():
            value = getattr(self, name)
            if value is not None and value < minimum:
                raise TuneError(f"{_option(name)} is {value}, and must be at least {minimum}.")
        for name in ("epochs", "rate", "alpha"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise TuneError(f"{_option(name)} is {value:g}, and must be a number above 0.")
        for name in ("dropout", "warmup", "held_out", "coverage"):
            value = getattr(self, name)
            if not 0 <= value <= 1 or (value == 1 and name != "coverage"):
                raise TuneError(f"{_option(name)} is {value:g}, and must be a share from 0 to below 1.")

    def updates(self, examples: int) -> int:
        """Number of steps for this many questions."""
        return self.steps or max(1, math.ceil(self.epochs * examples / self.batch))

    def bound(self) -> dict[str, Any]:
        """Settings that a resumed run must share with its start."""
        return {name: value for name, value in asdict(self).items() if name not in _FREE}


@dataclass(frozen=True)
class CalibrationSettings:
    """Of a calibration. layers: the first ones to read, None for half of them. sides: of the grids that the visual
    tokens are pooled to, the best of which is kept. coverage: share of the regions to be covered. Raises TuneError.
    """

    layers: int | None = None
    sides: tuple[int, ...] = (8,)
    coverage: float = 0.8

    def __post_init__(self) -> None:
        if self.layers is not None and self.layers < 1:
            raise TuneError(f"--layers is {self.layers}, and must be at least 1.")
        for side in self.sides:
            if not 1 <= side <= MAX_SIDE or self.sides.count(side) > 1:
                raise TuneError(f"--side has {side}, and must be from 1 to {MAX_SIDE}, each number once.")
        if not 0 < self.coverage <= 1:
            raise TuneError(f"--coverage is {self.coverage:g}, and must be a share above 0 and at most 1.")


def _option(name: str) -> str:
    return "--" + name.replace("_", "-")
