"""Input and output of a pool of workers: works, records and skipped examples. Knows nothing of models and processes."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Protocol

from crop_core.evaluate.datasets.protocol import Example
from crop_core.evaluate.runner.plan import Trial

NOT_COUNTED = -1


@dataclass(frozen=True)
class Record:
    """One example in one trial: a flat row of the records file.

    example, group, kind: of the `Example`; gold: the answer that is shown beside the reply. trial: its name; method to
    blind: its fields, budget "" for none. score: of the metric, 0..1. same: whether the reply is the baseline's.
    kl_first: KL(baseline || this trial) of the first token, nats. logprob: log-probability (nats) that this trial gives
    to the baseline's answer. visual_tokens: N of the image; mean_tokens: per decoder layer;
    final_tokens: after the last cut. kv_bytes: of the KV cache at the end. Times in seconds; ttft_s and total_s hold
    localizer_s and encode_s. flops: with the localizer's, NOT_COUNTED where these are not known. x0..y1: inclusive grid
    cells of the region that the trial used, and its confidence (NaN without one); need_x0..need_y1: of the needed
    region, -1 where unknown; everything: of the `Example`.
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
