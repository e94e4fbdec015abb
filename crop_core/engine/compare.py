"""Answers of one request: the run that gives each, its cost, how the answer changed, and the comparison of both.

The run that answers reports its tokens; its times are replaced by those of measured runs (`crop_core.engine.measure`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import torch

from crop_core.engine.localized_regions import LocalizedRegions, explained
from crop_core.engine.notices import cut_notices, run_notices
from crop_core.engine.run import Run, Task
from crop_core.localize import Localizer
from crop_core.measure.memory import weights_bytes
from crop_core.models.adapter import dtype_name
from crop_core.records.comparison_table import unknown_words_notice
from crop_core.records.config import AS_GIVEN
from crop_core.records.cost import Cost
from crop_core.records.environment import run_environment
from crop_core.records.methods import method_of
from crop_core.records.region import Region
from crop_core.records.results import Answer, Comparison, TokenProb
from crop_core.records.timing import NOT_MEASURED, RunTime

Progress = Callable[[str, list[int], Sequence[Region]], None]  # stage, ids of the answer so far, regions once known


@dataclass(frozen=True)
class Timed:
    """One timed run; the localizer's seconds are zero for the baseline."""

    run: Run
    localizer_s: float = 0.0

    @property
    def time(self) -> RunTime:
        """Seconds of its stages, the localizer included."""
        run, stages = self.run, self.run.stages
        return RunTime(
            ttft_s=self.localizer_s + run.ttft_s,
            total_s=self.localizer_s + run.total_s,
            localizer_s=self.localizer_s,
            encode_s=stages["encode"],
            compression_s=stages.get("compression", 0.0),
            scoring_s=stages["scoring"],
            prefill_s=stages["prefill"],
            decode_s=stages["decode"],
        )


@dataclass
class RequestRuns:
    """The runs of one request.

    localizers: one an image. progress: called at every stage and every token, with the regions once known; it may raise
    to end the runs. memory: whether peaks are measured, which takes one more run each.
    """

    task: Task
    localizers: Sequence[Localizer]
    progress: Progress = lambda *_: None
    memory: bool = True

    def __post_init__(self) -> None:
        self.located = LocalizedRegions([], 0.0)

    @property
    def regions(self) -> list[Region]:
        """The localizers' regions, one an image."""
        return self.located.regions

    def localize(self) -> LocalizedRegions:
        """Localize; the kept result holds no encoded image, whose memory would be in no run's peak."""
        located = self.task.localize(self.localizers)
        self.located = LocalizedRegions(located.results, located.seconds)
        return located

    def baseline(self, **options: object) -> Timed:
        """Run the baseline; options as in `Task.baseline`."""
        return Timed(self.task.baseline(self.regions, **options))

    def crop(self, located: LocalizedRegions | None = None, **options: object) -> Timed:
        """Run the task's method, its localizer included: after `located`, None to localize now."""
        located = located or self.localize()
        return Timed(self.task.crop(self.regions, located, **options), located.seconds)

    def tick(self, ids: list[int]) -> None:
        """Progress of a run that is only measured."""
        self.progress("measure", [], self.regions)

    def first_runs(self, with_baseline: bool) -> tuple[Timed | None, Timed]:
        """The runs that answer: localize, baseline, CROP; they keep their logits and report their tokens."""
        self.progress("localize", [], ())
        located = self.localize()
        baseline = self._reported("baseline", self.baseline) if with_baseline else None
        return baseline, self._reported("crop", partial(self.crop, located))

    def _reported(self, stage: str, run: Callable[..., Timed]) -> Timed:
        self.progress(stage, [], self.regions)
        return run(on_token=lambda ids: self.progress(stage, ids, self.regions))


def answer(runs: RequestRuns) -> Answer:
    """One answer by the task's config, without a baseline; its tokens have no `other_logprob`."""
    task = runs.task
    _, crop = runs.first_runs(with_baseline=False)
    notices = run_notices(task, runs.located, crop.run.traces, task.adapter.unfamiliar(task.images))
    unknown = task.adapter.unknown_words(task.question)
    result = explained(_answer(task, crop.run, _cost(runs, crop, with_localizer=True), None), runs.located)
    notices += [*unknown_words_notice(unknown), *cut_notices(task, {"The answer": result})]
    method, budget = task.config.method, _budget(task)
    return replace(result, notices=notices, unknown_words=unknown, method=method, budget=budget)


def compare(runs: RequestRuns) -> Comparison:
    """Both answers; an error raised by `progress` ends the comparison and leaves no hooks on the model."""
    task, adapter, config = runs.task, runs.task.adapter, runs.task.config
    first, second = runs.first_runs(with_baseline=True)
    assert first is not None  # noqa: S101  as asked for
    regions, baseline, crop = runs.regions, first.run, second.run
    runs.progress("compare", [], regions)

    def tick(ids: list[int]) -> None:
        runs.progress("compare", [], regions)

    crop_on_baseline = logits_for(baseline.generated.ids, crop, partial(task.crop, regions, on_token=tick))
    baseline_on_crop = logits_for(crop.generated.ids, baseline, partial(task.baseline, regions, on_token=tick))
    answers = (
        explained(_answer(task, baseline, _cost(runs, first, with_localizer=False), crop_on_baseline), runs.located),
        explained(_answer(task, crop, _cost(runs, second, with_localizer=True), baseline_on_crop), runs.located),
    )
    known = adapter.unfamiliar(task.images)
    named = dict(
        zip(("The baseline's answer", f"The answer of {method_of(config.method).title}"), answers, strict=True)
    )
    return Comparison(
        question=task.question,
        model=adapter.name,
        device=str(adapter.device),
        dtype=dtype_name(adapter),
        regions=tuple(regions),
        baseline=answers[0],
        crop=answers[1],
        kl_first=first_token_kl(logits_of(baseline), logits_of(crop)),
        method=config.method,
        budget=_budget(task),
        seed=config.seed if config.parts.uses_seed else None,
        localizer="predicted" if config.localizer == "drawn" else config.localizer,
        unknown_words=adapter.unknown_words(task.question),
        notices=[*run_notices(task, runs.located, crop.traces, known), *cut_notices(task, named)],
        unfamiliar=bool(known),
        history=list(task.history),
        made=run_environment(),
    )


def _budget(task: Task) -> str:
    """The budget for these images, in words."""
    total, budget = sum(task.counts.visual), task.config.budget
    if budget is not None and budget.left is not None:
        return f"{min(budget.left, total):g} of {total} visual tokens left"
    return AS_GIVEN if task.counts.mean is None else f"{task.counts.mean:.4g} of {total} visual tokens per layer"


def _cost(runs: RequestRuns, timed: Timed, with_localizer: bool) -> Cost:
    """Cost of the run that answers: all but its times is exact, its peak memory not measured."""
    task, adapter, generated = runs.task, runs.task.adapter, timed.run.generated
    time = timed.time
    return Cost(
        device=str(adapter.device),
        dtype=dtype_name(adapter),
        **vars(time),
        new_tokens=len(generated.ids),
        tokens_per_s=len(generated.ids) / time.total_s,
        kv_bytes=generated.kv_bytes,
        weights_bytes=weights_bytes(adapter.model) + (_added_bytes(task) if with_localizer else 0),
        localizer_weights_bytes=max(each.weights_bytes for each in runs.localizers) if with_localizer else 0,
        peak_bytes=0,
        peak_method=NOT_MEASURED,
        flops=timed.run.flops,
        localizer_flops=runs.located.flops if with_localizer else 0,
    )


def _added_bytes(task: Task) -> int:
    """Bytes of the method's own weights, beside the model's and the localizer's."""
    return task.trained.weights_bytes if task.trained else 0


def _answer(task: Task, run: Run, cost: Cost, other: torch.Tensor | None) -> Answer:
    adapter, ids = task.adapter, run.generated.ids
    own = logprobs(logits_of(run), ids)
    others: list[float | None] = [None] * len(ids) if other is None else [*logprobs(other, ids)]
    texts = map(adapter.token_text, ids)
    tokens = [TokenProb(*each) for each in zip(texts, own, others, strict=True)]
    cut = len(ids) == task.max_new_tokens and not adapter.ends(ids)
    return Answer(adapter.decode(ids), tokens, cost, tuple(run.traces), cut)


def logits_of(run: Run) -> torch.Tensor:
    """(T, V) logits of a run that kept them."""
    logits = run.generated.logits
    assert logits is not None  # noqa: S101  the caller's own runs
    return logits


def logits_for(ids: Sequence[int], run: Run, rerun: Callable[..., Run]) -> torch.Tensor:
    """(T, V) logits of `run` for the answer `ids`: its own where it generated these, else those of a forced run.

    rerun: `Task.crop` or `Task.baseline` with the arguments of `run`.
    """
    return logits_of(run if run.generated.ids == list(ids) else rerun(forced=ids))


def logprobs(logits: torch.Tensor, ids: Sequence[int]) -> list[float]:
    """Log-probability in nats of each of the T tokens `ids` under logits (T, V)."""
    table = logits.double().log_softmax(-1)
    return table[torch.arange(len(ids)), torch.tensor(ids)].tolist()


def first_token_kl(baseline: torch.Tensor, crop: torch.Tensor) -> float:
    """KL(baseline || crop) in nats of the first token's distribution, from logits (T, V)."""
    log_p, log_q = (logits[0].double().log_softmax(-1) for logits in (baseline, crop))
    return max(0.0, float((log_p.exp() * (log_p - log_q)).nan_to_num(0.0, torch.inf).sum()))
