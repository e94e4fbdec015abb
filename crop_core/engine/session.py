"""One question about its images: encoded once, localized once, run under many configurations, scored against the full
run.

Knows nothing of medians, memory and streams: times are those of one run each, without a warm-up
(`crop_core.engine.compare`
measures).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cached_property, partial

from crop_core.engine.compare import dtype_name
from crop_core.engine.feature_cache import FeatureCache
from crop_core.engine.likelihood import first_token_kl, logits_for, logits_of, logprobs
from crop_core.engine.run import Encoded, LocalizedRegions, Regions, Run, Task
from crop_core.localize import KnownRegion, Localizer, WholeImage
from crop_core.measure.environment import run_environment
from crop_core.measure.timing import now
from crop_core.models import Adapter, Images, ModelError, as_list
from crop_core.records.config import CropConfig
from crop_core.records.region import Region
from crop_core.records.results import RunResult, RunSpec

BASELINE = CropConfig(method="none", budget=None, localizer="whole")
EVERY_TOKEN = RunSpec("every token", BASELINE)


@dataclass(eq=False)
class Session:
    """A question about RGB images, one or several. Nothing runs before it is needed, and nothing shared runs twice.

    max_new_tokens: of every run. watch: whether the encoding keeps what the vision tower attends to, for configurations
    that read it (`watches`). cache: what earlier sessions made of the same question, with the seconds that it took.

    The seconds of the encoding are in the times of every run; those of the localizer are in none of them.
    """

    adapter: Adapter
    images: Images
    question: str
    max_new_tokens: int = CropConfig().max_new_tokens
    watch: bool = False
    cache: FeatureCache | None = None

    @property
    def encoded(self) -> Encoded:
        """What preprocessing and the vision tower make of question and images."""
        encoded = self._encoding.encoded
        assert encoded is not None  # noqa: S101  `_encode` makes one
        return encoded

    @cached_property
    def baseline(self) -> Run:
        """The run with every visual token, which all others are scored against."""
        return self.run(self.task(BASELINE), [Region.whole(*image.size) for image in as_list(self.images)])

    def task(self, config: CropConfig) -> Task:
        """The question under a configuration, for `run`. Raises ValueError for one that is not possible."""
        return self._task(config, None)

    def localize(self, localizer: Localizer) -> LocalizedRegions:
        """The regions that a localizer finds, one an image, and their seconds and FLOPs."""
        if self.cache is None or isinstance(localizer, (KnownRegion, WholeImage)):
            return self._localize(localizer)
        found = partial(self._localize, localizer)
        return self.cache.of(self.images, "found", self.question, id(localizer), make=lambda: found().counted())

    def run(self, task: Task, regions: Regions, **how: object) -> Run:
        """One run of a task of this session. regions: one an image. how: on_token, forced, keep_logits."""
        return task.crop(regions, self._encoding, **how)

    def kl_first(self, run: Run) -> float:
        """KL(baseline || run) of the first token in nats; the run has kept its logits."""
        return first_token_kl(logits_of(self.baseline), logits_of(run))

    def logprob(self, run: Run, again: Callable[..., Run]) -> float:
        """Log-probability in nats that a run gives to the whole answer of the baseline.

        again: makes the same run once more, with `forced` tokens, where its own answer is another one.
        """
        ids = self.baseline.generated.ids
        return sum(logprobs(logits_for(ids, run, again), ids))

    def ask(self, way: RunSpec, located: LocalizedRegions | None = None) -> RunResult:
        """One configuration, about one image, with its own region, or the located one, or the whole image where it
        reads none. EVERY_TOKEN is the baseline itself.

        Raises ValueError for a budget that cannot be met.
        """
        (image,) = as_list(self.images)
        located = located if way.region is None and way.config.parts.needs_region else None
        region = way.region or (located.regions[0] if located else Region.whole(*image.size))
        again = partial(self.run, self.task(way.config), region)
        run = self.baseline if way is EVERY_TOKEN else again()
        return RunResult(
            name=way.name,
            method=way.config.method,
            text=self.adapter.decode(run.generated.ids),
            same=run.generated.ids == self.baseline.generated.ids,
            chance=math.exp(self.logprob(run, again)),
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
            made=self._made,
        )

    @cached_property
    def _made(self) -> dict[str, str]:
        return run_environment()

    @cached_property
    def _encoding(self) -> LocalizedRegions:
        """The encoded images with the seconds that took, as a run counts them."""
        if self.cache is None:
            return self._encode()
        model = (self.adapter.name, self.adapter.dtype, self.adapter.device, self.watch)
        return self.cache.of(self.images, "encoded", self.question, *model, make=self._encode)

    def _encode(self) -> LocalizedRegions:
        task, start = self.task(BASELINE), now(self.adapter.device)
        encoded = task.encode(self.watch)
        return LocalizedRegions([], 0.0, encoded, now(self.adapter.device) - start)

    def _localize(self, localizer: Localizer) -> LocalizedRegions:
        localizers = [localizer] * len(as_list(self.images))
        return replace(self._task(BASELINE, self.encoded).localize(localizers), encoded=None, encode_s=0.0)

    def _task(self, config: CropConfig, encoded: Encoded | None) -> Task:
        config = replace(config, max_new_tokens=self.max_new_tokens)
        return Task(self.adapter, self.images, self.question, config, encoded)


def watches(configs: Iterable[CropConfig], adapter: Adapter) -> bool:
    """Whether any of the configurations reads what the vision tower attends to, and the model can tell."""
    if not any(config.parts.reads_tower for config in configs):
        return False
    try:
        adapter.record_tower()
    except ModelError:
        return False
    return True
