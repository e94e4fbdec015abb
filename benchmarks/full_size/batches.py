"""Largest batch that fits in memory, and decoding rates: the language model only, on copies of one prompt."""

from __future__ import annotations

from collections.abc import Callable
from statistics import median
from typing import Any

from benchmarks.full_size.llm import Prefilled
from benchmarks.full_size.variants import NEW_TOKENS
from crop_core.engine.localized_regions import Encoded
from crop_core.engine.out_of_memory import is_out_of_memory
from crop_core.engine.run import Task
from crop_core.measure.memory import free_memory
from crop_core.models.generation import Generated
from crop_core.records.region import Region

REPEATS = 3
STEP = 1 / 16  # relative precision of the search, at least one copy


def largest(fits: Callable[[int], bool], max_batch: int) -> int:
    """The largest batch up to `max_batch` that fits, to within STEP, by doubling and then bisection; 0 when none fits.
    `fits` must be False from some batch on.
    """
    low, high = 0, 1
    while high <= max_batch and fits(high):
        low, high = high, 2 * high
    high = min(high, max_batch + 1)  # the smallest that does not fit or may not be tried
    while high - low > max(1, low * STEP):
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low


class Batches:
    """Batches of one task's prompt; region: the one that its method reads."""

    def __init__(self, task: Task, encoded: Encoded, region: Region) -> None:
        self.task, self.encoded, self.region = task, encoded, region

    def fits(self, copies: int) -> bool:
        """Whether answering this many copies fits in the device's memory."""
        return self._timed(copies, 1) is not None

    def rates(self, copies: int) -> dict[str, Any] | None:
        """Medians of REPEATS runs of this many copies, after a warm-up; the clock starts with the prefill, which
        includes the scoring. None when memory does not suffice for consecutive runs.
        """
        timed = self._timed(copies, REPEATS + 1)
        if timed is None:
            return None
        flops, runs = timed
        steps = copies * (NEW_TOKENS - 1)
        return {
            "batch": copies,
            "prefill_s": median(run.first_token - run.started for run in runs[1:]),
            "total_s": median(run.finished - run.started for run in runs[1:]),
            "decode_tokens_per_s": median(steps / (run.finished - run.first_token) for run in runs[1:]),
            "kv_bytes": runs[0].kv_bytes,
            "prefill_flops": flops,
        }

    def _timed(self, copies: int, times: int) -> tuple[int, list[Generated]] | None:
        """FLOPs of the prefill, and this many runs; None when out of memory."""
        free_memory()  # here no reference to an earlier failed run is alive
        try:
            work = self._work(copies)
            return work.flops, [work.generate(NEW_TOKENS) for _ in range(times)]
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            return None

    def _work(self, copies: int) -> Prefilled:
        return Prefilled.of(self.task, self.encoded, self.region, copies)
