"""What is kept of one answer: a flat row of the records file."""

from __future__ import annotations

from dataclasses import dataclass


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
