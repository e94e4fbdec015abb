"""Asks one question in many trials and records what each of them said and took.

The image is encoded once, and each region looked for once; both are in the times of every trial that reads them.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from hashlib import sha256

import torch
from PIL import Image

from crop_core.engine.run import LocalizedRegions, Run
from crop_core.engine.session import Session, watches
from crop_core.evaluate.datasets.protocol import Example, Metric
from crop_core.evaluate.runner.record import Record
from crop_core.evaluate.runner.trial import ALL, Trial
from crop_core.evaluate.runner.work import Outcome, Skipped, SweepError
from crop_core.localize import LocalizationResult, Localizer, SelfLocalizer
from crop_core.models import Adapter
from crop_core.records.config import Budget, CropConfig, IlpConfig
from crop_core.records.methods import method_of
from crop_core.records.region import Region, random_region

GREY = (127, 127, 127)
NOWHERE = (-1, -1, -1, -1)


def config_of(trial: Trial, example: Example, max_new_tokens: int) -> CropConfig:
    """The settings of a trial; what is drawn differs from example to example, so that no one draw decides."""
    return CropConfig(
        method=trial.method,
        budget=Budget.parse(trial.budget) if trial.budget else None,
        ilp=IlpConfig(evict=trial.evict),
        seed=example_seed(example, trial.seed),
        max_new_tokens=max_new_tokens,
    )


def example_seed(example: Example, seed: int) -> int:
    """A seed of this example's own, the same in every session: 32 bits."""
    return int.from_bytes(sha256(f"{seed} {example.id}".encode()).digest()[:4], "big")


@dataclass(frozen=True)
class TrialRunner:
    """adapter: the answering model. localizer: finds the regions called "found", None where no trial reads one.

    dataset, metric and longest: of the `Dataset`. An example that cannot be asked in one of its trials (an image that
    cannot be read, a budget that is not possible, a prompt that is too long, no memory left) is skipped in all of them.
    """

    adapter: Adapter
    localizer: Localizer | None
    dataset: str
    metric: Metric
    max_new_tokens: int

    def __call__(self, example: Example, trials: Sequence[Trial]) -> Outcome:
        """A record for each trial, in their order, or why there is none."""
        try:
            own = ExampleTrials(self, example, trials)
            return [own.record(trial) for trial in trials]
        except (ValueError, torch.OutOfMemoryError) as error:
            return Skipped(example.id, " ".join(str(error).split()))


class ExampleTrials:
    """One example in its trials: what they share is made once.

    Raises what forbids any of the trials before anything runs.
    """

    def __init__(self, examiner: TrialRunner, example: Example, trials: Sequence[Trial]) -> None:
        self.examiner, self.example, image = examiner, example, example.open()
        asked = (example.question, examiner.max_new_tokens)
        configs = [config_of(trial, example, examiner.max_new_tokens) for trial in trials]
        self._session = Session(examiner.adapter, image, *asked, watches(configs, examiner.adapter))
        self._blind = Session(examiner.adapter, Image.new("RGB", image.size, GREY), *asked)
        self._tasks = {
            trial: self._session_of(trial).task(config) for trial, config in zip(trials, configs, strict=True)
        }
        self._size = image.size
        self._whole = LocalizedRegions([LocalizationResult(Region.whole(*image.size))], 0.0)
        self._places: dict[str, LocalizedRegions] = {"whole": self._whole}
        self._baseline = self._session.baseline  # runs first, whatever the trials are

    def record(self, trial: Trial) -> Record:
        """The example in one trial."""
        located = self._place(trial.region) if method_of(trial.method).needs_region else self._whole
        again = partial(self._session_of(trial).run, self._tasks[trial], located.regions)
        run = self._baseline if trial == ALL else again()
        return self._written(trial, located, run, self._session.logprob(run, again))

    def _session_of(self, trial: Trial) -> Session:
        return self._blind if trial.blind else self._session

    def _place(self, source: str) -> LocalizedRegions:
        if source not in self._places:
            self._places[source] = self._find(source)
        return self._places[source]

    def _find(self, source: str) -> LocalizedRegions:
        if source == "needed":
            if self.example.needed is None:
                raise SweepError("The region that is needed is not known")
            return LocalizedRegions([LocalizationResult(Region(*self.example.needed, *self._size))], 0.0)
        if source == "elsewhere":
            found = self._place("found")
            (finding,) = found.findings
            region = random_region(finding.region, random.Random(example_seed(self.example, 0)))
            return replace(found, findings=[replace(finding, region=region)])
        localizer = SelfLocalizer(self.examiner.adapter) if source == "self" else self.examiner.localizer
        if localizer is None:
            raise SweepError("There is no localizer to find a region")
        return self._session.localize(localizer)

    def _written(self, trial: Trial, located: LocalizedRegions, run: Run, logprob: float) -> Record:
        example, adapter, (region,) = self.example, self.examiner.adapter, located.regions
        reply, answer = (adapter.decode(each.generated.ids) for each in (run, self._baseline))
        return Record(
            dataset=self.examiner.dataset,
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
            score=self.examiner.metric.score(reply, example),
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
            flops=run.flops + located.flops,
            x0=region.x0,
            y0=region.y0,
            x1=region.x1,
            y1=region.y1,
            confidence=float("nan") if region.confidence is None else region.confidence,
            **dict(zip(("need_x0", "need_y0", "need_x1", "need_y1"), example.needed or NOWHERE, strict=True)),
            everything=example.everything,
        )
