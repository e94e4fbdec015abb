"""Many ways to ask one question about one image, which is encoded once: what each of them keeps of the answer.

The probability of the answer that every visual token gives is what all ways are compared by. Times are those of one run
each, without a warm-up: `crop_core.compare` measures.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from PIL import Image

from crop_core.compare import dtype_name
from crop_core.compress.registry import reads_tower
from crop_core.config import CropConfig
from crop_core.likelihood import first_token_kl, logits_for, logits_of, logprobs
from crop_core.localize import KnownRegion, Localizer, WholeImage
from crop_core.measure.environment import run_environment
from crop_core.measure.timing import now
from crop_core.models import Adapter, ModelError
from crop_core.records import Told, Way
from crop_core.region import Region
from crop_core.remembered import Remembered
from crop_core.runs import Encoded, Located, Run, Task

ALL = CropConfig(method="none", budget=None, localizer="whole")


@dataclass(frozen=True)
class Found:
    """A region, and the seconds and FLOPs that finding it took."""

    region: Region
    seconds: float = 0.0
    flops: int = 0


@dataclass
class Probe:
    """A question about an RGB image. watch: whether any way reads what the vision tower attends to. kept: what was made
    for the same before, if anything, with the seconds that it took then.

    Nothing runs before `start`; `start` comes before `ask`.
    """

    adapter: Adapter
    image: Image.Image
    question: str
    longest: int
    watch: bool = False
    kept: Remembered = field(default_factory=lambda: Remembered(0))
    _encoded: Encoded | None = field(default=None, init=False)
    _encode_s: float = field(default=0.0, init=False)
    _full: Run | None = field(default=None, init=False)
    _made: dict[str, str] = field(default_factory=run_environment, init=False)

    def find(self, localizer: Localizer) -> Found:
        """The region that all ways share."""
        if isinstance(localizer, (KnownRegion, WholeImage)):
            return self._find(localizer)
        return self.kept.of(self.image, "found", self.question, id(localizer), make=partial(self._find, localizer))

    def _find(self, localizer: Localizer) -> Found:
        located = Task(self.adapter, self.image, self.question, ALL, self._encoded).localize([localizer])
        return Found(located.regions[0], located.seconds, located.findings[0].flops)

    def start(self) -> Told:
        """The answer with every visual token; the image is encoded for all later ways."""
        model = (self.adapter.name, self.adapter.dtype, self.adapter.device, self.watch)
        self._encoded, self._encode_s = self.kept.of(self.image, "encoded", self.question, *model, make=self._encode)
        region = Region.whole(*self.image.size)
        self._full = self._task(ALL).crop(region, self._located)
        return self._told(Way("every token", ALL, region), region, self._full, lambda **_: self.full)

    def _encode(self) -> tuple[Encoded, float]:
        """And the seconds that it took."""
        task, begun = self._task(ALL), now(self.adapter.device)
        encoded = task.encode(self.watch)
        return encoded, now(self.adapter.device) - begun

    @property
    def full(self) -> Run:
        """The run with every token."""
        assert self._full is not None  # noqa: S101  `start` comes first
        return self._full

    def ask(self, way: Way, found: Found | None = None) -> Told:
        """One way, with its own region, or the one that was found, or the whole image for one that reads none.

        Raises ValueError for a budget that cannot be met.
        """
        found = found if way.region is None and way.config.parts.needs_region else None
        region = way.region or (found.region if found else Region.whole(*self.image.size))
        again = partial(self._task(way.config).crop, region, self._located)
        told = self._told(way, region, again(), again)
        return replace(told, localizer_s=found.seconds, localizer_flops=found.flops) if found else told

    def _task(self, config: CropConfig) -> Task:
        return Task(self.adapter, self.image, self.question, replace(config, max_new_tokens=self.longest))

    @property
    def _located(self) -> Located:
        """The encoded image with the seconds that took, as a run counts them."""
        return Located([], 0.0, self._encoded, self._encode_s)

    def _told(self, way: Way, region: Region, run: Run, again: Callable[..., Run]) -> Told:
        ids = self.full.generated.ids
        logits = logits_for(ids, run, again)
        return Told(
            name=way.name,
            method=way.config.method,
            text=self.adapter.decode(run.generated.ids),
            same=run.generated.ids == ids,
            chance=math.exp(sum(logprobs(logits, ids))),
            kl_first=first_token_kl(logits_of(self.full), logits_of(run)),
            region=region,
            trace=run.traces[0],
            ttft_s=run.ttft_s,
            kv_bytes=run.generated.kv_bytes,
            flops=run.flops,
            model=self.adapter.name,
            device=str(self.adapter.device),
            dtype=dtype_name(self.adapter),
            made=self._made,
        )


def watches(ways: Sequence[Way], adapter: Adapter) -> bool:
    """Whether any of the ways reads what the vision tower attends to, and the model can tell."""
    if not any(reads_tower(way.config.parts.compressor or "") for way in ways):
        return False
    try:
        adapter.watch()
    except ModelError:
        return False
    return True
