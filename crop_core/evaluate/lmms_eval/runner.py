"""Runs a request on the answering model, checks that the budget was met, and logs its visual tokens.

Knows nothing of lmms-eval.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any

from PIL import Image

from crop_core.engine.compare import logits_of, logprobs
from crop_core.engine.localized_regions import LocalizedRegions
from crop_core.engine.run import Run, Task
from crop_core.engine.session import Session, watches
from crop_core.evaluate.lmms_eval.requests import continuation_ids
from crop_core.localize import Localizer, WholeImage
from crop_core.models import Adapter
from crop_core.records.config import CropConfig
from crop_core.records.methods import BASELINE

_ROUNDING = 1e-6


class BudgetMissed(RuntimeError):
    """A method that left more visual tokens than its budget: its accuracy would be reported for the wrong budget."""


@dataclass(frozen=True)
class RequestRun:
    """A finished request."""

    task: Task
    located: LocalizedRegions
    run: Run

    @property
    def text(self) -> str:
        """The generated text."""
        return self.task.adapter.decode(self.run.generated.ids)

    @property
    def loss(self) -> float:
        """Mean negative log-probability, in nats, of the T forced tokens."""
        return -mean(logprobs(logits_of(self.run), self.run.generated.ids))

    @property
    def greedy(self) -> bool:
        """Whether every forced token is the most likely one."""
        return logits_of(self.run).argmax(-1).tolist() == self.run.generated.ids

    def facts(self) -> dict[str, Any]:
        """Counts of the visual tokens of all images together, mean_tokens per decoder layer, and the seconds of
        localizer and run. regions: inclusive grid cells x0, y0, x1, y1, one an image, and their confidence; empty for
        methods without one. method: "none" where the images hold no more tokens than the budget.
        """
        traces, regions = self.run.traces, self.located.regions if _reads_region(self.task) else []
        return {
            "method": BASELINE if self.task.counts.keeps_all else self.task.config.method,
            "visual_tokens": sum(trace.visual_tokens for trace in traces),
            "mean_tokens": self.run.mean_tokens,
            "final_tokens": sum(trace.final_tokens for trace in traces),
            "regions": [list(region.grid) for region in regions],
            "confidence": [region.confidence for region in regions],
            "new_tokens": len(self.run.generated.ids),
            "seconds": self.located.seconds + self.run.total_s,
        }


@dataclass(frozen=True)
class RequestRunner:
    """Runs requests on an answering model, a session each, with the method and budget of `config`; `localizer` predicts
    regions for methods that read them.
    """

    adapter: Adapter
    localizer: Localizer
    config: CropConfig

    def answer(self, images: Sequence[Image.Image], question: str, max_new_tokens: int) -> RequestRun:
        """The greedy answer, of at most `max_new_tokens` tokens; errors as `Task`, and BudgetMissed."""
        return self._run(images, question, max_new_tokens, keep_logits=False)

    def judge(self, images: Sequence[Image.Image], question: str, continuation: str) -> RequestRun:
        """The run with `continuation` as the forced answer, without an end token."""
        prompt = self.adapter.prompt(question, len(images))
        ids = continuation_ids(self.adapter.tokenizer, prompt, continuation)
        return self._run(images, question, len(ids), forced=ids)

    def _run(self, images: Sequence[Image.Image], question: str, max_new_tokens: int, **options: Any) -> RequestRun:
        session = Session(self.adapter, images, question, max_new_tokens, watches([self.config], self.adapter))
        task = session.task(self.config)
        located = session.localize(self.localizer if _reads_region(task) else WholeImage())
        run = session.run(task, located.regions, **options)
        _check_budget(task, run)
        return RequestRun(task, located, run)


def _reads_region(task: Task) -> bool:
    return task.config.parts.needs_region and not task.counts.keeps_all


def _check_budget(task: Task, run: Run) -> None:
    limit = task.counts.mean
    if limit is not None and run.mean_tokens > limit + _ROUNDING:
        raise BudgetMissed(
            f"The method {task.config.method!r} left {run.mean_tokens:g} visual tokens per layer for a budget of "
            f"{limit:g}; its answers may not be reported as pruned."
        )


class TokenLog:
    """Visual tokens of every request, as `RequestRun.facts`: a line of JSON each in a file, and their means.

    path: a file to append lines to, so that resumed runs and several processes share it; None for none.
    """

    def __init__(self, path: str | None = None) -> None:
        self._path = None if path is None else Path(path)
        self._facts: list[Mapping[str, Any]] = []

    def add(self, request: Mapping[str, Any], facts: Mapping[str, Any]) -> None:
        """Add the facts of a request; `request` identifies it."""
        self._facts.append(facts)
        if self._path is not None:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps({**request, **facts}, allow_nan=False) + "\n")

    @property
    def seconds(self) -> float:
        """Seconds of all requests."""
        return sum(each["seconds"] for each in self._facts)

    @property
    def new_tokens(self) -> int:
        """Generated tokens of all requests."""
        return sum(each["new_tokens"] for each in self._facts)

    def means(self) -> dict[str, float]:
        """Mean visual tokens of a request: of its images, per decoder layer, and after the last cut; and the share of
        requests that were not pruned. Empty without requests.
        """
        count = len(self._facts)
        if not count:
            return {}
        names = ("visual_tokens", "mean_tokens", "final_tokens")
        means = {name: sum(each[name] for each in self._facts) / count for name in names}
        return {**means, "share_unpruned": sum(each["method"] == "none" for each in self._facts) / count}
