"""Input and output of a pool of workers: works, records, skipped examples, and what a worker loads.

Knows nothing of processes and files; torch is imported when models are loaded.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from crop_core.evaluate.datasets.protocol import Example, Metric
from crop_core.evaluate.runner.plan import Trial

if TYPE_CHECKING:
    from crop_core.evaluate.runner.trial_runner import TrialRunner


@dataclass(frozen=True)
class Record:
    """One example in one trial.

    example, group, kind: of the `Example`; gold: the answer that is shown beside the reply. trial: its name; method to
    blind: its fields, budget "" for none. score: of the metric, 0..1. same: whether the reply is that with every visual
    token. kl_first: KL(all tokens || this trial) of the first token, nats. logprob: log-probability (nats) that this
    trial gives to the answer with every visual token. visual_tokens: N of the image; mean_tokens: per decoder layer;
    final_tokens: after the last cut. kv_bytes: of the KV cache at the end. Times in seconds; ttft_s and total_s hold
    localizer_s and encode_s. flops: with the localizer's. x0..y1: inclusive grid cells of the region that the trial
    used, and confidence in it (NaN without one); need_x0..need_y1: of the region that is needed, -1 where unknown;
    everything: of the `Example`.
    """

    dataset: str
    example: str
    group: str
    kind: str
    gold: str
    trial: str
    method: str
    budget: str
    seed: int
    region: str
    evict: bool
    blind: bool
    reply: str
    score: float
    same: bool
    kl_first: float
    logprob: float
    visual_tokens: int
    mean_tokens: float
    final_tokens: int
    kv_bytes: int
    localizer_s: float
    encode_s: float
    compression_s: float
    scoring_s: float
    ttft_s: float
    total_s: float
    flops: int
    x0: int
    y0: int
    x1: int
    y1: int
    confidence: float
    need_x0: int
    need_y0: int
    need_x1: int
    need_y1: int
    everything: bool


TRIES = 2  # workers that may die over one example


class SweepError(ValueError):
    """A sweep that cannot be run or read; the message is one sentence with what is wrong and what to do."""


@dataclass(frozen=True)
class Skipped:
    """An example that could not be asked in its trials, and why, in one sentence."""

    example: str
    reason: str

    @classmethod
    def deadly(cls, example: Example) -> Skipped:
        """What a pool says of an example over which TRIES workers died."""
        return cls(example.id, f"{TRIES} workers were killed while they answered it")


Work = tuple[Example, tuple[Trial, ...]]
Outcome = list[Record] | Skipped
Examine = Callable[[Example, tuple[Trial, ...]], Outcome]


class WorkerFactory(Protocol):
    """What a worker makes its examiner of: frozen, and small enough to be pickled.
    `crop_core.evaluate.runner.work.WorkerConfig`
    is one.
    """

    def examiner(self) -> Examine:
        """Models loaded; ValueError with one sentence when that is not possible."""


Pool = Callable[[WorkerFactory, Sequence[Work]], Generator[Outcome, None, None]]
"""Asks all of it, in any order: an outcome for every work, whoever dies meanwhile. What an examiner raises ends it."""


@dataclass(frozen=True)
class WorkerConfig:
    """model to quantize: as in `CropEngine.from_pretrained`, None for its own choice, but localizer None for none at
    all. dataset, metric and longest: of the `Dataset`. threads: of torch, None for its own choice; small models on a
    CPU gain more from processes of one thread each.
    """

    dataset: str
    metric: Metric
    max_new_tokens: int
    model: str
    localizer: str | None
    device: str | None = None
    dtype: str | None = None
    quantize: str | None = None
    threads: int | None = None

    def examiner(self) -> TrialRunner:
        """Models loaded and warm; ModelError with one sentence when that is not possible."""
        import torch

        from crop_core.engine.engine import CropEngine
        from crop_core.evaluate.runner.trial_runner import TrialRunner

        if self.threads:
            torch.set_num_threads(self.threads)
        engine = CropEngine.from_pretrained(self.model, self.localizer, self.device, self.dtype, quantize=self.quantize)
        return TrialRunner(engine.adapter, engine.localizer, self.dataset, self.metric, self.max_new_tokens)
