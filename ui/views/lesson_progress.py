"""Progress of a visitor through the lesson: what was predicted, what came of it, the summary at the end."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from ui.views.lesson import STEPS, Outcome, Step
from ui.views.rendering import render

if TYPE_CHECKING:
    from crop_core.records.region import Region
    from crop_core.records.results import Comparison

NO_RUN = Outcome("", "its run did not end", False, "")


@dataclass(frozen=True)
class Progress:
    """Where a visitor is. at: index in STEPS, -1 outside the lesson, len(STEPS) at the summary.

    predictions: by step, a choice or a drawn region. outcomes: by step whose run has ended. told: whether the run of
    this visit to the step has ended. refused: whether the last move was none, for want of a prediction. Immutable.
    """

    at: int = -1
    predictions: Mapping[int, str | Region] = field(default_factory=dict)
    outcomes: Mapping[int, Outcome] = field(default_factory=dict)
    told: bool = False
    refused: bool = False

    @property
    def step(self) -> Step | None:
        """The step, None outside the lesson and at its summary."""
        return STEPS[self.at] if 0 <= self.at < len(STEPS) else None

    @property
    def asks(self) -> bool:
        """Whether a prediction is awaited."""
        return self.step is not None and self.at not in self.predictions

    @property
    def runs(self) -> bool:
        """Whether the step's example is to be run."""
        return self.step is not None and not self.asks

    @property
    def outcome(self) -> Outcome | None:
        """What came of the step's prediction, once this visit's run has ended."""
        return self.outcomes.get(self.at) if self.told else None

    def to(self, at: int) -> Progress:
        """At another step, at the summary, or outside the lesson, where everything predicted is forgotten."""
        return replace(self, at=at, told=False, refused=False) if 0 <= at <= len(STEPS) else Progress()

    def predict(self, prediction: str | Region | None) -> Progress:
        """With the step's prediction; one that is missing or no choice of the step is refused."""
        step = self.step
        if step is None:
            return self
        if prediction is None or (isinstance(prediction, str) and prediction not in step.choices):
            return replace(self, refused=True)
        return replace(self, predictions={**self.predictions, self.at: prediction}, refused=False)

    def tell(self, result: Comparison) -> Progress:
        """With what came of the step's prediction in its run."""
        step = self.step
        if step is None or self.asks:
            return self
        outcome = step.judge(self.predictions[self.at], result)
        return replace(self, outcomes={**self.outcomes, self.at: outcome}, told=True)

    @property
    def cue(self) -> str:
        """JSON for the explorer: whether a region is to be drawn, the one that was, the part to bring into view."""
        step = self.step
        if step is None:
            return "{}"
        drawn = self.predictions.get(self.at) if step.draws else None
        guess = None if drawn is None or isinstance(drawn, str) else drawn.grid
        draw, part = step.draws and self.asks, step.part if self.told else "region"
        return json.dumps({"at": self.at, "told": self.told, "draw": draw, "guess": guess, "part": part})

    @property
    def summary(self) -> str:
        """HTML of every prediction, what came, and the score."""
        rows = [(step.title, self.outcomes.get(at, NO_RUN)) for at, step in enumerate(STEPS)]
        return render("lesson_summary", sum(outcome.hit for _, outcome in rows), rows)
