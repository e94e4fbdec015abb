"""Baseline and CROP compared: alternating timed runs, an untimed one for peak memory, and how the answer changed.

The first of several repetitions, which reports its tokens, is a warm-up; of the others the one with the median total
time is reported, all of its figures together.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch

from crop_core.engine.run import LocalizedRegions, Run, Task
from crop_core.localize import Localizer
from crop_core.measure.memory import peak_meter, weights_bytes
from crop_core.models import Adapter, keeps_history
from crop_core.records.environment import run_environment
from crop_core.records.region import Region
from crop_core.records.results import Answer, Comparison, Cost, TokenProb
from crop_core.records.trace import region_notices

Progress = Callable[[str, list[int], Sequence[Region]], None]  # stage, ids of the answer so far, regions once known


@dataclass(frozen=True)
class Timed:
    """One timed run; the localizer's seconds are zero for the baseline."""

    run: Run
    localizer_s: float = 0.0

    @property
    def total_s(self) -> float:
        """Localizer and answer."""
        return self.localizer_s + self.run.total_s


@dataclass
class Measurement:
    """The runs of one request.

    localizers: one an image. progress: called at every stage and every token, with the regions once known; it may raise
    to end the request. memory: whether peaks are measured, which takes one more run each.
    """

    task: Task
    localizers: Sequence[Localizer]
    progress: Progress = lambda *_: None
    memory: bool = True

    def __post_init__(self) -> None:
        self.located = LocalizedRegions([], 0.0)
        self.baselines: list[Timed] = []
        self.crops: list[Timed] = []

    @property
    def regions(self) -> list[Region]:
        """The localizers' regions, one an image."""
        return self.located.regions

    @property
    def localizer_notices(self) -> list[str]:
        """Notices of the localizers about their regions, each sentence once."""
        return list(dict.fromkeys(notice for result in self.located.results for notice in result.notices))

    def repeat(self, with_baseline: bool) -> None:
        """One repetition: localize, baseline, CROP; only the first keeps logits and reports its tokens."""
        first = not self.crops
        if first:
            self.progress("localize", [], ())
        located = self._locate()
        if with_baseline:
            self.baselines.append(Timed(self._run(self.task.baseline, "baseline", first)))
        crop = partial(self.task.crop, located=located)
        self.crops.append(Timed(self._run(crop, "crop", first), located.seconds))

    def _locate(self) -> LocalizedRegions:
        """Localize; the kept result holds no encoded image, whose memory would be in no run's peak."""
        located = self.task.localize(self.localizers)
        self.located = LocalizedRegions(located.results, located.seconds)
        return located

    def _run(self, run: Callable[..., Run], stage: str, first: bool) -> Run:
        if not first:
            return run(self.regions, on_token=self.tick, keep_logits=False)
        self.progress(stage, [], self.regions)
        return run(self.regions, on_token=lambda ids: self.progress(stage, ids, self.regions))

    def tick(self, ids: list[int]) -> None:
        """Progress of a run that is only measured."""
        self.progress("measure", [], self.regions)

    def baseline_cost(self) -> Cost:
        """Cost of the median baseline."""
        return self._cost(
            self.baselines, lambda: self._run(self.task.baseline, "baseline", False), with_localizer=False
        )

    def crop_cost(self) -> Cost:
        """Cost of the median CROP run, its localizer included."""

        def rerun() -> None:
            self._run(partial(self.task.crop, located=self._locate()), "crop", False)

        return self._cost(self.crops, rerun, with_localizer=True)

    def _cost(self, runs: list[Timed], rerun: Callable[[], object], with_localizer: bool) -> Cost:
        measured = runs[1:] or runs
        timed = sorted(measured, key=lambda each: each.total_s)[(len(measured) - 1) // 2]
        run, stages, new_tokens = timed.run, timed.run.stages, len(timed.run.generated.ids)
        adapter = self.task.adapter
        peak, method = self._peak(rerun)
        return Cost(
            device=str(adapter.device),
            dtype=dtype_name(adapter),
            ttft_s=timed.localizer_s + run.ttft_s,
            total_s=timed.total_s,
            new_tokens=new_tokens,
            tokens_per_s=new_tokens / timed.total_s,
            localizer_s=timed.localizer_s,
            encode_s=stages["encode"],
            compression_s=stages.get("compression", 0.0),
            scoring_s=stages["scoring"],
            prefill_s=stages["prefill"],
            decode_s=stages["decode"],
            kv_bytes=run.generated.kv_bytes,
            weights_bytes=weights_bytes(adapter.model) + (_added_bytes(self.task) if with_localizer else 0),
            localizer_weights_bytes=max(each.weights_bytes for each in self.localizers) if with_localizer else 0,
            peak_bytes=peak,
            peak_method=method,
            flops=run.flops,
            localizer_flops=self.located.flops if with_localizer else 0,
        )

    def _peak(self, rerun: Callable[[], object]) -> tuple[int, str]:
        """Peak bytes of one more run, and how they were measured."""
        if not self.memory:
            return 0, "not measured"
        meter, method = peak_meter(self.task.adapter.device)
        with meter:
            rerun()
        return meter.peak, method


def answer(measured: Measurement) -> Answer:
    """One answer by the task's config, without a baseline; its tokens have no `other_logprob`."""
    task = measured.task
    for _ in range(task.config.repeats):
        measured.repeat(with_baseline=False)
    run = measured.crops[0].run
    return _answer(task.adapter, run, measured.crop_cost(), None)


def compare(measured: Measurement) -> Comparison:
    """Both answers; an error raised by `progress` ends the comparison and leaves no hooks on the model."""
    task, adapter, config = measured.task, measured.task.adapter, measured.task.config
    for _ in range(config.repeats):
        measured.repeat(with_baseline=True)
    regions, baseline, crop = measured.regions, measured.baselines[0].run, measured.crops[0].run
    measured.progress("measure", [], regions)
    rerun_crop = partial(task.crop, regions, on_token=measured.tick)
    rerun_baseline = partial(task.baseline, regions, on_token=measured.tick)
    crop_on_baseline = logits_for(baseline.generated.ids, crop, rerun_crop)
    baseline_on_crop = logits_for(crop.generated.ids, baseline, rerun_baseline)
    return Comparison(
        question=task.question,
        model=adapter.name,
        device=str(adapter.device),
        dtype=dtype_name(adapter),
        regions=tuple(regions),
        baseline=_answer(adapter, baseline, measured.baseline_cost(), crop_on_baseline),
        crop=_answer(adapter, crop, measured.crop_cost(), baseline_on_crop),
        kl_first=first_token_kl(logits_of(baseline), logits_of(crop)),
        method=config.method,
        budget=_budget(task),
        unknown_words=adapter.unknown_words(task.question),
        notices=[*measured.localizer_notices, *region_notices(crop.traces), *_history_notices(task)],
        history=list(task.history),
        made=run_environment(),
    )


def _history_notices(task: Task) -> list[str]:
    """Notice of a follow-up question: what the model reads again."""
    if not task.history:
        return []
    images = len(task.layouts)
    what = "image was" if images == 1 else "images were"
    keeps = keeps_history(task.adapter, task.question, images, task.history)
    alone = "" if keeps else f" {task.adapter.name} reads each question by itself, without earlier ones."
    return [f"A follow-up: the {what} read again in full, and the region is that of this question.{alone}"]


def _budget(task: Task) -> str:
    """The budget for these images, in words."""
    if task.counts.mean is None:
        return "ratios and shares of the settings"
    return f"{task.counts.mean:.4g} of {sum(task.counts.visual)} visual tokens per layer"


def _added_bytes(task: Task) -> int:
    """Bytes of the method's own weights, beside the model's and the localizer's."""
    return task.trained.weights_bytes if task.trained else 0


def dtype_name(adapter: Adapter) -> str:
    """ "float32" and the like."""
    return str(adapter.dtype).removeprefix("torch.")


def _answer(adapter: Adapter, run: Run, cost: Cost, other: torch.Tensor | None) -> Answer:
    ids = run.generated.ids
    own = logprobs(logits_of(run), ids)
    others: list[float | None] = [None] * len(ids) if other is None else [*logprobs(other, ids)]
    texts = map(adapter.token_text, ids)
    tokens = [TokenProb(*each) for each in zip(texts, own, others, strict=True)]
    return Answer(adapter.decode(ids), tokens, cost, tuple(run.traces))


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
