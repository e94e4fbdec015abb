"""Cost of one answer: times, sizes and FLOPs; its times may be those of several measured runs. No torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, field, replace
from statistics import median_low

from pydantic import computed_field

from crop_core.records.base import Record, Word
from crop_core.records.timing import Amount, Count, Peak, Runs, RunTime, Spread


class Cost(Record):
    """Times in seconds, sizes in bytes, FLOPs in floating-point operations, of one answer on one device.

    ttft_s (time to first token) contains localizer_s, encode_s, compression_s, scoring_s and prefill_s; total_s is the
    whole answer. The baseline has no localizer, compression or scoring: zeros. kv_bytes: the exact KV cache after the
    last token. weights_bytes and localizer_weights_bytes: parameters of the answering model and of the localizer.
    peak_bytes: peak of activations and KV cache above the weights, measured by peak_method. flops: vision and
    LLM prefill, without the localizer's localizer_flops, which are None where they cannot be counted.
    localizer_peak_bytes: peak of localizing by itself, as localizer_peak_method says; "" where it was not measured.

    runs: the measured runs; the times are those of the one with the median total time, all of one run together. Where
    it is empty, as in files of earlier versions, they are those of the run that gave the answer.
    """

    device: Word
    dtype: Word
    ttft_s: Amount
    total_s: Amount
    new_tokens: Count
    tokens_per_s: Amount
    localizer_s: Amount
    encode_s: Amount
    compression_s: Amount
    scoring_s: Amount
    prefill_s: Amount
    decode_s: Amount
    kv_bytes: Count
    weights_bytes: Count
    localizer_weights_bytes: Count
    peak_bytes: Count
    peak_method: Word
    flops: Count
    localizer_flops: Count | None
    runs: Runs = field(default_factory=list)
    localizer_peak_bytes: Count = 0
    localizer_peak_method: Word = ""

    @property
    def work(self) -> int:
        """FLOPs to the first token, the localizer's included where they are counted."""
        return self.flops + (self.localizer_flops or 0)

    @computed_field  # type: ignore[prop-decorator]
    @property
    def ranges(self) -> dict[str, Spread]:
        """Median and range of ttft_s, total_s and further_token_s, the mean time of a token after the first."""
        ranges = {name: self._spread(name) for name in ("ttft_s", "total_s")}
        further = self.new_tokens - 1
        return {**ranges, "further_token_s": self._spread("decode_s", further)} if further > 0 else ranges

    def _spread(self, name: str, count: int = 1) -> Spread:
        """Of a time, divided by `count`."""
        return Spread.of([getattr(run, name) / count for run in self.runs], getattr(self, name) / count)

    def measured(self, runs: Sequence[RunTime], peaks: Sequence[Peak] = ()) -> Cost:
        """With the times of measured runs, and the peaks of all and of localizing; without either it stays as it is."""
        named = zip(("peak", "localizer_peak"), peaks, strict=False)
        memory = {f"{name}_{part}": value for name, peak in named for part, value in asdict(peak).items()}
        if not runs:
            return replace(self, **memory)
        middle = median_low([run.total_s for run in runs])
        times = asdict(next(run for run in runs if run.total_s == middle))
        return replace(self, **memory, **times, tokens_per_s=self.new_tokens / middle, runs=list(runs))


def gflop(flops: int, localizer_flops: int | None) -> float | None:
    """A run's work with its localizer's; None where that is not counted."""
    return None if localizer_flops is None else (flops + localizer_flops) / 1e9
