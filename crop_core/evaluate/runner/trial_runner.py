"""Trial runner: one question in many trials, with a record of each.

The image is encoded once and each region localized once; both are in the times of every trial that reads them.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from hashlib import sha256

import torch
from PIL import Image

from crop_core.engine.localized_regions import LocalizedRegions
from crop_core.engine.run import Run
from crop_core.engine.session import Session, watches
from crop_core.evaluate.datasets.protocol import Example, Metric
from crop_core.evaluate.runner.plan import ALL, Trial
from crop_core.evaluate.runner.work import NOT_COUNTED, Outcome, Record, Skipped, SweepError
from crop_core.localize import LocalizationResult, Localizer, SelfLocalizer
from crop_core.models import Adapter
from crop_core.records.config import Budget, CropConfig, IlpConfig
from crop_core.records.methods import method_of
from crop_core.records.region import Region, random_region

GREY = (127, 127, 127)
NO_CELLS = (-1, -1, -1, -1)


def config_of(trial: Trial, example: Example, max_new_tokens: int) -> CropConfig:
    """The settings of a trial; samples differ from example to example, so that no single one decides."""
    return CropConfig(
        method=trial.method,
        budget=Budget.parse(trial.budget) if trial.budget else None,
        ilp=IlpConfig(evict=trial.evict),
        seed=example_seed(example, trial.seed),
        max_new_tokens=max_new_tokens,
    )


def example_seed(example: Example, seed: int) -> int:
    """A seed for this example, the same in every session: 32 bits."""
    return int.from_bytes(sha256(f"{seed} {example.id}".encode()).digest()[:4], "big")


@dataclass(frozen=True)
class TrialRunner:
    """adapter: the answering model. localizer: predicts the regions called "predicted", None where no trial reads one.
    localizers: others, by the name of their regions.

    dataset, metric, max_new_tokens and short_answer: of the `Dataset`. An example that cannot be run in one of its
    trials (an image that cannot be read, a budget that is not possible, a prompt that is too long, no memory left) is
    skipped in all of them.
    """

    adapter: Adapter
    localizer: Localizer | None
    dataset: str
    metric: Metric
    max_new_tokens: int
    short_answer: bool = False
    localizers: Mapping[str, Localizer] = field(default_factory=dict)

    def __call__(self, example: Example, trials: Sequence[Trial]) -> Outcome:
        """A record for each trial, in their order, or the reason why the example is skipped."""
        try:
            own = ExampleTrials(self, example, trials)
            return [own.record(trial) for trial in trials]
        except (ValueError, torch.OutOfMemoryError) as error:
            return Skipped(example.id, " ".join(str(error).split()))


class ExampleTrials:
    """One example in its trials, which share encoding and regions.

    Raises the error of any impossible trial before anything runs.
    """

    def __init__(self, runner: TrialRunner, example: Example, trials: Sequence[Trial]) -> None:
        self.runner, self.example, image = runner, example, example.open()
        configs = [config_of(trial, example, runner.max_new_tokens) for trial in trials]
        prompt = (example.question, runner.max_new_tokens)
        grey, short = Image.new("RGB", image.size, GREY), runner.short_answer
        self._session = Session(runner.adapter, image, *prompt, watches(configs, runner.adapter), short_answer=short)
        self._blind = Session(runner.adapter, grey, *prompt, short_answer=short)
        self._tasks = {
            trial: self._session_of(trial).task(config) for trial, config in zip(trials, configs, strict=True)
        }
        self._size = image.size
        self._whole = LocalizedRegions([LocalizationResult(Region.whole(*image.size))], 0.0)
        self._regions: dict[str, LocalizedRegions] = {"whole": self._whole}
        self._baseline = self._session.baseline  # runs first, whatever the trials are

    def record(self, trial: Trial) -> Record:
        """The example in one trial."""
        located = self._localized(trial.region) if method_of(trial.method).needs_region else self._whole
        rerun = partial(self._session_of(trial).run, self._tasks[trial], located.regions)
        run = self._baseline if trial == ALL else rerun()
        return self._record(trial, located, run, self._session.logprob(run, rerun))

    def _session_of(self, trial: Trial) -> Session:
        return self._blind if trial.blind else self._session

    def _localized(self, source: str) -> LocalizedRegions:
        if source not in self._regions:
            self._regions[source] = self._localize(source)
        return self._regions[source]

    def _localize(self, source: str) -> LocalizedRegions:
        if source == "reference":
            if self.example.needed is None:
                raise SweepError("The reference region is not known")
            return LocalizedRegions([LocalizationResult(Region(*self.example.needed, *self._size))], 0.0)
        if source == "random":
            predicted = self._localized("predicted")
            (result,) = predicted.results
            region = random_region(result.region, random.Random(example_seed(self.example, 0)))
            return replace(predicted, results=[replace(result, region=region)])
        others = {"self": SelfLocalizer(self.runner.adapter), **self.runner.localizers}
        localizer = others.get(source, self.runner.localizer)
        if localizer is None:
            raise SweepError("There is no localizer to predict a region")
        return self._session.localize(localizer)

    def _record(self, trial: Trial, located: LocalizedRegions, run: Run, logprob: float) -> Record:
        example, adapter, (region,) = self.example, self.runner.adapter, located.regions
        reply, answer = (adapter.decode(each.generated.ids) for each in (run, self._baseline))
        return Record(
            dataset=self.runner.dataset,
            example=example.id,
            group=example.group,
            kind=example.kind,
            gold=Counter(example.answers).most_common(1)[0][0] if example.answers else "",
            trial=trial.name,
            method=trial.method,
            budget=trial.budget,
            seed=trial.seed,
            region=trial.region,
            evict=trial.evict,
            blind=trial.blind,
            reply=reply,
            score=self.runner.metric.score(reply, example),
            same=reply == answer,
            kl_first=self._session.kl_first(run),
            logprob=logprob,
            visual_tokens=sum(trace.visual_tokens for trace in run.traces),
            mean_tokens=run.mean_tokens,
            final_tokens=sum(trace.final_tokens for trace in run.traces),
            kv_bytes=run.generated.kv_bytes,
            localizer_s=located.seconds,
            encode_s=run.stages["encode"],
            compression_s=run.stages.get("compression", 0.0),
            scoring_s=run.stages["scoring"],
            ttft_s=located.seconds + run.ttft_s,
            total_s=located.seconds + run.total_s,
            flops=NOT_COUNTED if located.flops is None else run.flops + located.flops,
            x0=region.x0,
            y0=region.y0,
            x1=region.x1,
            y1=region.y1,
            confidence=float("nan") if region.confidence is None else region.confidence,
            **dict(zip(("need_x0", "need_y0", "need_x1", "need_y1"), example.needed or NO_CELLS, strict=True)),
            everything=example.everything,
        )
