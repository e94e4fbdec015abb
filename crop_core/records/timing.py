"""Times of several runs: their median and range, and the rule for when two runs differ measurably. No torch, no clocks.

Two runs differ measurably where at least MIN_RUNS of each were timed in turn, their ranges do not overlap, and the
medians are at least MIN_RATIO apart. By chance alone, the ranges of n equal runs each do not overlap with probability
2 n! n! / (2 n)!: 10 % for three, 2.9 % for four, 0.8 % for five.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import median_low
from typing import Annotated

from crop_core.records.base import Record, Word, limit
from crop_core.records.formatting import format_seconds

MIN_RUNS, MIN_RATIO = 4, 1.05
MAX_RUNS = 100  # in an untrusted file
NOT_MEASURABLE = "no difference measurable here"
NOT_MEASURED = "not measured"  # Cost.peak_method where it was not
Amount = Annotated[float, limit(1e24)]
Count = Annotated[int, limit(10**24)]


class RunTime(Record):
    """Seconds of one timed run, all of them stages of `Cost`."""

    ttft_s: Amount
    total_s: Amount
    localizer_s: Amount
    encode_s: Amount
    compression_s: Amount
    scoring_s: Amount
    prefill_s: Amount
    decode_s: Amount


Runs = Annotated[list[RunTime], limit(MAX_RUNS)]


class Spread(Record):
    """A time in several runs, in seconds. runs: how many were measured; 0 for a single one that only answered."""

    median: Amount
    low: Amount
    high: Amount
    runs: Count

    @classmethod
    def of(cls, measured: Sequence[float], unmeasured: float) -> Spread:
        """Of the measured seconds; of the unmeasured ones where there are none. The lower median of an even number."""
        values = measured or [unmeasured]
        return cls(median_low(values), min(values), max(values), len(measured))

    def __str__(self) -> str:
        """The median, with its range if there is one: "182 ms (170 ms to 210 ms)"."""
        return format_seconds(self.median) + (f" ({self.range_words})" if self.range_words else "")

    @property
    def range_words(self) -> str:
        """The range, "170 ms to 210 ms"; empty for less than two runs."""
        return f"{format_seconds(self.low)} to {format_seconds(self.high)}" if self.runs > 1 else ""


def measurably_different(one: Spread, other: Spread) -> bool:
    """Whether two times differ by the rule of this module."""
    slower, faster = sorted((one, other), key=lambda each: each.median, reverse=True)
    apart = slower.low > faster.high and slower.median >= MIN_RATIO * faster.median
    return min(one.runs, other.runs) >= MIN_RUNS and apart


def time_change(base: Spread, crop: Spread) -> tuple[str, str]:
    """Change from `base` to `crop` in words, "1.6× faster", and its tone: "gain", "loss" or "same"."""
    if not measurably_different(base, crop):
        return (NOT_MEASURABLE if min(base.runs, crop.runs) > 1 else ""), "same"
    ratio = base.median / crop.median if crop.median else math.inf
    return (f"{_times(ratio)}× faster", "gain") if ratio > 1 else (f"{_times(1 / ratio)}× slower", "loss")


def _times(ratio: float) -> str:
    """At most two digits before a unit: 1.6, 12."""
    return f"{ratio:.1f}" if ratio < 9.95 else f"{ratio:.0f}"


class Peak(Record):
    """Bytes above what was there before, and how they were measured; 0 and "" where nothing was."""

    bytes: Count = 0
    method: Word = ""


class Measured(Record):
    """What is measured of the runs of a question beside their answers, so far.

    baseline, crop: their times, in turn. planned: how many of each there are to be. peaks: of the baseline, of the
    pruned run with its localizer, and of localizing by itself; empty until measured.
    """

    baseline: Runs
    crop: Runs
    planned: Count
    peaks: tuple[Peak, ...] = ()
