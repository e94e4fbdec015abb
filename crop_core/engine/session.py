"""Session: one question encoded once, localized once, run under many configurations, scored against the baseline.

Knows nothing of medians, memory and streams: times are those of one run each, without a warm-up
(`crop_core.engine.compare` measures).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cached_property, partial

from crop_core.engine.compare import first_token_kl, logits_for, logits_of, logprobs
from crop_core.engine.feature_cache import FeatureCache
from crop_core.engine.localized_regions import Encoded, LocalizedRegions
from crop_core.engine.run import Regions, Run, Task
from crop_core.localize import KnownRegion, Localizer, WholeImage
from crop_core.measure.timing import now
from crop_core.models import Adapter, Images, ModelError, as_list
from crop_core.models.adapter import dtype_name
from crop_core.records.config import CropConfig
from crop_core.records.environment import run_environment
from crop_core.records.region import Region
from crop_core.records.results import RunResult, RunSpec

BASELINE = CropConfig(method="none", budget=None, localizer="whole")
BASELINE_SPEC = RunSpec("Baseline", BASELINE)


@dataclass(eq=False)
class Session:
    """A question about one or several RGB images. Nothing runs before it is needed, and nothing shared runs twice.

    max_new_tokens, short_answer: of every run, as in CropConfig. watch: whether the encoding keeps the vision tower's
    attention, for configurations that read it (`watches`). cache: features and regions of earlier
    sessions, with the seconds that they took.

    The seconds of the encoding are in the times of every run; those of the localizer are in none of them.
    """

    adapter: Adapter
    images: Images
    question: str
    max_new_tokens: int | None = None
    watch: bool = False
    cache: FeatureCache | None = None
    short_answer: bool = False

    @property
    def encoded(self) -> Encoded:
        """The preprocessed question and the vision features of its images."""
        encoded = self._encoding.encoded
        assert encoded is not None  # noqa: S101  `_encode` sets it
        return encoded

    @cached_property
    def baseline(self) -> Run:
        """The baseline run, which all others are scored against."""
        return self.run(self.task(BASELINE), [Region.whole(*image.size) for image in as_list(self.images)])

    def task(self, config: CropConfig) -> Task:
        """The question under a configuration, for `run`. Raises ValueError for an impossible configuration."""
        return self._task(config, None)

    def localize(self, localizer: Localizer) -> LocalizedRegions:
        """The localizer's regions, one an image, with their seconds and FLOPs."""
        if self.cache is None or isinstance(localizer, (KnownRegion, WholeImage)):
            return self._localize(localizer)
        key = self.images, "localized", self.question, id(localizer)
        return self.cache.get_or_compute(*key, compute=lambda: self._localize(localizer).for_cache())

    def run(self, task: Task, regions: Regions, **options: object) -> Run:
        """One run of a task of this session. regions: one an image. options: on_token, forced, keep_logits."""
        return task.crop(regions, self._encoding, **options)

    def kl_first(self, run: Run) -> float:
        """KL(baseline || run) of the first token in nats; the run must have kept its logits."""
        return first_token_kl(logits_of(self.baseline), logits_of(run))

    def logprob(self, run: Run, rerun: Callable[..., Run]) -> float:
        """Log-probability in nats that a run gives to the whole answer of the baseline.

        rerun: repeats the run with `forced` tokens, where its own answer is another one.
        """
        ids = self.baseline.generated.ids
        return sum(logprobs(logits_for(ids, run, rerun), ids))

    def run_spec(self, spec: RunSpec, located: LocalizedRegions | None = None) -> RunResult:
        """Run one configuration about one image: with its own region, the localized one, or the whole image where its
        method reads none. BASELINE_SPEC is the baseline itself.

        Raises ValueError for a budget that cannot be met.
        """
        (image,) = as_list(self.images)
        located = located if spec.region is None and spec.config.parts.needs_region else None
        region = spec.region or (located.regions[0] if located else Region.whole(*image.size))
        rerun = partial(self.run, self.task(spec.config), region)
        run = self.baseline if spec is BASELINE_SPEC else rerun()
        return RunResult(
            name=spec.name,
            method=spec.config.method,
            text=self.adapter.decode(run.generated.ids),
            same=run.generated.ids == self.baseline.generated.ids,
            answer_probability=math.exp(self.logprob(run, rerun)),
            kl_first=self.kl_first(run),
            region=region,
            trace=run.traces[0],
            ttft_s=run.ttft_s,
            kv_bytes=run.generated.kv_bytes,
            flops=run.flops,
            localizer_s=located.seconds if located else 0.0,
            localizer_flops=located.flops if located else 0,
            model=self.adapter.name,
            device=str(self.adapter.device),
            dtype=dtype_name(self.adapter),
            made=self._environment,
        )

    @cached_property
    def _environment(self) -> dict[str, str]:
        return run_environment()

    @cached_property
    def _encoding(self) -> LocalizedRegions:
        """The encoded images with the seconds of encoding, as a run counts them."""
        if self.cache is None:
            return self._encode()
        asked = (self.question, self.short_answer)
        model = (self.adapter.name, self.adapter.dtype, self.adapter.device, self.watch)
        return self.cache.get_or_compute(self.images, "encoded", *asked, *model, compute=self._encode)

    def _encode(self) -> LocalizedRegions:
        task, start = self.task(BASELINE), now(self.adapter.device)
        encoded = task.encode(self.watch)
        return LocalizedRegions([], 0.0, encoded, now(self.adapter.device) - start)

    def _localize(self, localizer: Localizer) -> LocalizedRegions:
        localizers = [localizer] * len(as_list(self.images))
        return replace(self._task(BASELINE, self.encoded).localize(localizers), encoded=None, encode_s=0.0)

    def _task(self, config: CropConfig, encoded: Encoded | None) -> Task:
        config = replace(config, max_new_tokens=self.max_new_tokens, short_answer=self.short_answer)
        return Task(self.adapter, self.images, self.question, config, encoded)


def watches(configs: Iterable[CropConfig], adapter: Adapter) -> bool:
    """Whether any configuration reads the vision tower's attention, and the model provides it."""
    if not any(config.parts.reads_tower for config in configs):
        return False
    try:
        adapter.record_tower()
    except ModelError:
        return False
    return True
