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
    """One example in one trial: a flat row of the records file.

    example, group, kind: of the `Example`; gold: the answer that is shown beside the reply. trial: its name; method to
    blind: its fields, budget "" for none. score: of the metric, 0..1. same: whether the reply is the baseline's.
    kl_first: KL(baseline || this trial) of the first token, nats. logprob: log-probability (nats) that this trial gives
    to the baseline's answer. visual_tokens: N of the image; mean_tokens: per decoder layer;
    final_tokens: after the last cut. kv_bytes: of the KV cache at the end. Times in seconds; ttft_s and total_s hold
    localizer_s and encode_s. flops: with the localizer's. x0..y1: inclusive grid cells of the region that the trial
    used, and its confidence (NaN without one); need_x0..need_y1: of the needed region, -1 where unknown;
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


TRIES = 2  # workers that may be killed by one example


class SweepError(ValueError):
    """A sweep that cannot be run or read; the message is one sentence with the error and what to do."""


@dataclass(frozen=True)
class Skipped:
    """An example that could not be run in its trials, with the reason in one sentence."""

    example: str
    reason: str

    @classmethod
    def killed_workers(cls, example: Example) -> Skipped:
        """An example that killed TRIES workers."""
        return cls(example.id, f"{TRIES} workers were killed while they answered it")


Work = tuple[Example, tuple[Trial, ...]]
Outcome = list[Record] | Skipped
RunTrials = Callable[[Example, tuple[Trial, ...]], Outcome]


class WorkerFactory(Protocol):
    """Makes a worker's trial runner: frozen, and small enough to be pickled, as `WorkerConfig` is."""

    def trial_runner(self) -> RunTrials:
        """Load the models; ValueError with one sentence when that is not possible."""


Pool = Callable[[WorkerFactory, Sequence[Work]], Generator[Outcome, None, None]]
"""Runs all works in any order, with an outcome for each, even if workers die; a trial runner's error ends it."""


@dataclass(frozen=True)
class WorkerConfig:
    """What every worker loads. model to quantize: as in `CropEngine.from_pretrained`, None for its default, but
    localizer None for none. dataset, metric and max_new_tokens: of the `Dataset`. threads: of torch, None for its
    default; small models on a CPU gain more from processes of one thread each.
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

    def trial_runner(self) -> TrialRunner:
        """Load and warm up the models; ModelError with one sentence when that is not possible."""
        import torch

        from crop_core.engine.engine import CropEngine
        from crop_core.evaluate.runner.trial_runner import TrialRunner

        if self.threads:
            torch.set_num_threads(self.threads)
        engine = CropEngine.from_pretrained(self.model, self.localizer, self.device, self.dtype, quantize=self.quantize)
        return TrialRunner(engine.adapter, engine.localizer, self.dataset, self.metric, self.max_new_tokens)
