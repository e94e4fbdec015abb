"""Prepared runs: examples, failures and steps of the lesson, the settings that they bring along, and the visitor's own.

A run that brings settings along is made with the usual ones but for these. The visitor's come back with the next run
that brings none, and with the end of the lesson; a setting that the visitor changed meanwhile stays as it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from ui.page.request import KEYS
from ui.views.examples import Example
from ui.views.lesson_progress import Progress

Values = Sequence[Any]  # of `SettingsPanel`, in the order of KEYS
MODE = KEYS.index("mode")


@dataclass(frozen=True)
class BroughtSettings:
    """Settings that a prepared run has brought along. own: the visitor's, which they replaced."""

    brought: tuple[Any, ...]
    own: tuple[Any, ...]

    def restored(self, present: Values) -> tuple[Any, ...]:
        """The visitor's own, with what they changed since."""
        triples = zip(present, self.brought, self.own, strict=True)
        return tuple(own if value == brought else value for value, brought, own in triples)


def settings_for(
    wanted: Mapping[str, Any] | None, usual: Values, present: Values, before: BroughtSettings | None
) -> tuple[tuple[Any, ...], BroughtSettings | None]:
    """Settings of a prepared run, and what is brought along by it.

    wanted: what the run brings along, None for the visitor's own. before: what an earlier run has brought along.
    """
    own = before.restored(present) if before else tuple(present)
    if wanted is None:
        return _without_drawn(own), None
    values = tuple(wanted.get(key, value) for key, value in zip(KEYS, usual, strict=True))
    return values, BroughtSettings(values, own)


def _without_drawn(values: tuple[Any, ...]) -> tuple[Any, ...]:
    """Settings for another image: a drawn region belongs to the one before."""
    mode = "predicted" if values[MODE] == "drawn" else values[MODE]
    return *values[:MODE], mode, *values[MODE + 1 :]


class PreparedRuns:
    """Handlers of prepared runs. examples: in their order. usual: values of the settings as the page opens.

    Each returns (number of the run, what is brought along, image, question, *settings); the number rises where a run is
    to follow.
    """

    def __init__(self, examples: Sequence[Example], usual: Values) -> None:
        self._examples, self._usual = examples, usual

    def example(self, event: gr.EventData, number: int, before: BroughtSettings | None, *present: Any) -> list[Any]:
        """A clicked example; an invalid index (from the browser) changes nothing."""
        index = event._data.get("index") if isinstance(event._data, dict) else None
        if not (type(index) is int and 0 <= index < len(self._examples)):
            return [gr.skip()] * (4 + len(present))
        chosen = self._examples[index]
        return self._run(chosen, chosen.settings, number, before, present)

    def step(self, progress: Progress, number: int, before: BroughtSettings | None, *present: Any) -> list[Any]:
        """The example of the lesson's step, run once there is a prediction; outside, the visitor's settings come back.

        A region that was drawn meanwhile belongs to the step. Nothing changes where a prediction was missing: what is
        drawn after it stays.
        """
        if progress.refused:
            return [gr.skip()] * (4 + len(present))
        values = (*present[:MODE], *before.brought[MODE:]) if before else present
        step = progress.step
        chosen = next((one for one in self._examples if step and one.image.name == step.image), None)
        if step and chosen:
            changed = self._run(chosen, step.settings, number, before, values)
            return changed if progress.runs else [gr.skip(), *changed[1:]]
        return [gr.skip(), None, gr.skip(), gr.skip(), *(before.restored(values) if before else values)]

    def reset(self) -> list[Any]:
        """(what is brought along, *settings) as the page opens."""
        return [None, *self._usual]

    def _run(
        self,
        chosen: Example,
        wanted: Mapping[str, Any] | None,
        number: int,
        before: BroughtSettings | None,
        present: Values,
    ) -> list[Any]:
        values, brought = settings_for(wanted, self._usual, present, before)
        return [number + 1, brought, str(chosen.image), chosen.question, *values]
