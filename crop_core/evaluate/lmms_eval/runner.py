"""Runs a request on the answering model, checks that the budget was met, and logs its visual tokens.

Knows nothing of lmms-eval.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean
from typing import Any

from PIL import Image

from crop_core.engine.likelihood import logits_of, logprobs
from crop_core.engine.run import LocalizedRegions, Run, Task
from crop_core.engine.session import Session, watches
from crop_core.evaluate.lmms_eval.requests import continuation_ids
from crop_core.evaluate.lmms_eval.settings import BudgetMissed
from crop_core.localize import Localizer, WholeImage
from crop_core.models import Adapter
from crop_core.records.config import CropConfig

_ROUNDING = 1e-6


@dataclass(frozen=True)
class RequestRun:
    """A request that was run."""

    task: Task
    located: LocalizedRegions
    run: Run

    @property
    def text(self) -> str:
        """What the model wrote."""
        return self.task.adapter.decode(self.run.generated.ids)

    @property
    def loss(self) -> float:
        """Mean negative log-probability, in nats, of the T tokens that were forced."""
        return -mean(logprobs(logits_of(self.run), self.run.generated.ids))

    @property
    def greedy(self) -> bool:
        """Whether the model prefers every one of the forced tokens."""
        return logits_of(self.run).argmax(-1).tolist() == self.run.generated.ids

    def facts(self) -> dict[str, Any]:
        """What became of the visual tokens of all images together, mean_tokens per decoder layer, and the seconds that
        localizer and run took. regions: inclusive grid cells x0, y0, x1, y1, an image each, and the confidence in them;
        empty where none was looked for. method: "none" where the images hold no more tokens than the budget.
        """
        traces, regions = self.run.traces, self.located.regions if self.task.config.parts.needs_region else []
        return {
            "method": self.task.config.method,
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
    """Asks an answering model, a session a request, by the method and budget of `config`; methods that read a region
    ask `localizer`.
    """

    adapter: Adapter
    localizer: Localizer
    config: CropConfig

    def answer(self, images: Sequence[Image.Image], question: str, max_new_tokens: int) -> RequestRun:
        """The model's own answer, of at most `longest` tokens; errors as `Task`, and BudgetMissed."""
        return self._run(images, question, max_new_tokens, keep_logits=False)

    def judge(self, images: Sequence[Image.Image], question: str, continuation: str) -> RequestRun:
        """The run in which the model is made to answer with `continuation`, without an end token."""
        prompt = self.adapter.prompt(question, len(images))
        ids = continuation_ids(self.adapter.tokenizer, prompt, continuation)
        return self._run(images, question, len(ids), forced=ids)

    def _run(self, images: Sequence[Image.Image], question: str, max_new_tokens: int, **how: Any) -> RequestRun:
        config = self._config(images)
        session = Session(self.adapter, images, question, max_new_tokens, watches([config], self.adapter))
        task = session.task(config)
        located = session.localize(self.localizer if config.parts.needs_region else WholeImage())
        run = session.run(task, located.regions, **how)
        _check_budget(task, run)
        return RequestRun(task, located, run)

    def _config(self, images: Sequence[Image.Image]) -> CropConfig:
        """No pruning where the images have no more tokens than a budget that is a number of them."""
        most = self.config.budget and self.config.budget.mean_tokens
        visual = sum(self.adapter.layout(image.size, len(images)).count for image in images)
        return replace(self.config, method="none", budget=None) if most and visual <= most else self.config


def _check_budget(task: Task, run: Run) -> None:
    most = task.counts.mean
    if most is not None and run.mean_tokens > most + _ROUNDING:
        raise BudgetMissed(
            f"The method {task.config.method!r} left {run.mean_tokens:g} visual tokens per layer for a budget of "
            f"{most:g}; nothing that it answers may be called pruned."
        )


class TokenLog:
    """Facts by request, as `Asked.facts` tells them.

    path: a file that lines are added to, as a run that goes on needs it and several processes may; None for none.
    """

    def __init__(self, path: str | None = None) -> None:
        self._path = None if path is None else Path(path)
        self._facts: list[Mapping[str, Any]] = []

    def add(self, request: Mapping[str, Any], facts: Mapping[str, Any]) -> None:
        """Keep the facts of a request; `request` says which it was."""
        self._facts.append(facts)
        if self._path is not None:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps({**request, **facts}, allow_nan=False) + "\n")

    @property
    def seconds(self) -> float:
        """Of all requests."""
        return sum(each["seconds"] for each in self._facts)

    @property
    def new_tokens(self) -> int:
        """Written in all requests."""
        return sum(each["new_tokens"] for each in self._facts)

    def means(self) -> dict[str, float]:
        """Mean visual tokens of a request: of its images, per decoder layer, and after the last cut; and the share of
        requests that were not pruned. Empty before the first.
        """
        count = len(self._facts)
        if not count:
            return {}
        names = ("visual_tokens", "mean_tokens", "final_tokens")
        means = {name: sum(each[name] for each in self._facts) / count for name in names}
        return {**means, "share_unpruned": sum(each["method"] == "none" for each in self._facts) / count}
