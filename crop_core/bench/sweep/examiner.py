"""Asks one question in many trials and records what each of them said and took.

The picture is encoded once, and each region looked for once; both are in the times of every trial that reads them.
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

from crop_core.bench.data.protocol import Example, Metric
from crop_core.bench.sweep.record import Record
from crop_core.bench.sweep.trial import ALL, Trial
from crop_core.bench.sweep.work import Outcome, Skipped, SweepError
from crop_core.compress.registry import reads_tower
from crop_core.config import Budget, CropConfig, IlpConfig, method_of
from crop_core.likelihood import first_token_kl, logits_for, logits_of, logprobs
from crop_core.localize import Localizer, SelfLocalizer
from crop_core.measure.timing import now
from crop_core.models import Adapter
from crop_core.probe import Found
from crop_core.region import GRID, Region
from crop_core.runs import Located, Run, Task

GREY = (127, 127, 127)
NOWHERE = (-1, -1, -1, -1)


def config_of(trial: Trial, example: Example, longest: int) -> CropConfig:
    """The settings of a trial; what is drawn differs from example to example, so that no one draw decides."""
    return CropConfig(
        method=trial.method,
        budget=Budget.parse(trial.budget) if trial.budget else None,
        ilp=IlpConfig(evict=trial.evict),
        seed=drawn(example, trial.seed),
        max_new_tokens=longest,
    )


def drawn(example: Example, seed: int) -> int:
    """A seed of this example's own, the same in every session: 32 bits."""
    return int.from_bytes(sha256(f"{seed} {example.id}".encode()).digest()[:4], "big")


def elsewhere(region: Region, rng: random.Random) -> Region:
    """A region of the same size anywhere in the picture: what a localizer must beat."""
    width, height = region.x1 - region.x0, region.y1 - region.y0
    x0, y0 = rng.randint(0, GRID - 1 - width), rng.randint(0, GRID - 1 - height)
    return replace(region, x0=x0, y0=y0, x1=x0 + width, y1=y0 + height, confidence=None)


@dataclass(frozen=True)
class Examiner:
    """adapter: the answering model. localizer: finds the regions called "found", None where no trial reads one.

    dataset, metric and longest: of the `Dataset`. An example that cannot be asked in one of its trials (a picture that
    cannot be read, a budget that is not possible, a prompt that is too long, no memory left) is skipped in all of them.
    """

    adapter: Adapter
    localizer: Localizer | None
    dataset: str
    metric: Metric
    longest: int

    def __call__(self, example: Example, trials: Sequence[Trial]) -> Outcome:
        """A record for each trial, in their order, or why there is none."""
        try:
            sitting = Sitting(self, example, trials)
            return [sitting.record(trial) for trial in trials]
        except (ValueError, torch.OutOfMemoryError) as error:
            return Skipped(example.id, " ".join(str(error).split()))


class Sitting:
    """One example while it is examined: its picture encoded, the answer with every token known.

    Raises what forbids any of the trials before anything runs.
    """

    def __init__(self, examiner: Examiner, example: Example, trials: Sequence[Trial]) -> None:
        self.examiner, self.example, self.image = examiner, example, example.open()
        self._tasks = {trial: self._task(trial) for trial in (ALL, *trials)}
        compressors = [method_of(trial.method).compressor for trial in trials]
        self.encoded = self._encode(ALL, any(name and reads_tower(name) for name in compressors))
        self.whole = Found(Region.whole(*self.image.size))
        self._places: dict[str, Found] = {"whole": self.whole}
        self.full = self._tasks[ALL].crop(self.whole.region, self.encoded)
        self._answer = self.full.generated.ids

    def record(self, trial: Trial) -> Record:
        """The example in one trial."""
        encoded = self._encode(trial, False) if trial.blind else self.encoded
        place = self._place(trial.region) if method_of(trial.method).needs_region else self.whole
        again = partial(self._tasks[trial].crop, place.region, encoded)
        run = self.full if trial == ALL else again()
        logits = logits_for(self._answer, run, again)
        return self._written(trial, place, run, first_token_kl(logits_of(self.full), logits_of(run)), logits)

    def _task(self, trial: Trial) -> Task:
        image = Image.new("RGB", self.image.size, GREY) if trial.blind else self.image
        config = config_of(trial, self.example, self.examiner.longest)
        return Task(self.examiner.adapter, image, self.example.question, config)

    def _encode(self, trial: Trial, watch: bool) -> Located:
        """The trial's encoded picture with the seconds that took, as a run counts them."""
        device = self.examiner.adapter.device
        start = now(device)
        encoded = self._tasks[trial].encode(watch)
        return Located([], 0.0, encoded, now(device) - start)

    def _place(self, source: str) -> Found:
        if source not in self._places:
            self._places[source] = self._find(source)
        return self._places[source]

    def _find(self, source: str) -> Found:
        size = self.image.size
        if source == "needed":
            if self.example.needed is None:
                raise SweepError("The region that is needed is not known")
            return Found(Region(*self.example.needed, *size))
        if source == "elsewhere":
            found = self._place("found")
            return replace(found, region=elsewhere(found.region, random.Random(drawn(self.example, 0))))
        adapter, localizer = self.examiner.adapter, self.examiner.localizer
        return self._located(SelfLocalizer(adapter) if source == "self" else localizer)

    def _located(self, localizer: Localizer | None) -> Found:
        if localizer is None:
            raise SweepError("There is no localizer to find a region")
        task = replace(self._tasks[ALL], encoded=self.encoded.encoded)
        located = task.localize([localizer])
        return Found(located.regions[0], located.seconds, located.findings[0].flops)

    def _written(self, trial: Trial, place: Found, run: Run, kl: float, logits: torch.Tensor) -> Record:
        example, adapter, region = self.example, self.examiner.adapter, place.region
        reply, answer = (adapter.decode(ids) for ids in (run.generated.ids, self._answer))
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
            kl_first=kl,
            logprob=sum(logprobs(logits, self._answer)),
            visual_tokens=sum(trace.visual_tokens for trace in run.traces),
            mean_tokens=run.mean_tokens,
            final_tokens=sum(trace.final_tokens for trace in run.traces),
            kv_bytes=run.generated.kv_bytes,
            localizer_s=place.seconds,
            encode_s=run.stages["encode"],
            compression_s=run.stages.get("compression", 0.0),
            scoring_s=run.stages["scoring"],
            ttft_s=place.seconds + run.ttft_s,
            total_s=place.seconds + run.total_s,
            flops=run.flops + place.flops,
            x0=region.x0,
            y0=region.y0,
            x1=region.x1,
            y1=region.y1,
            confidence=float("nan") if region.confidence is None else region.confidence,
            **dict(zip(("need_x0", "need_y0", "need_x1", "need_y1"), example.needed or NOWHERE, strict=True)),
            everything=example.everything,
        )
