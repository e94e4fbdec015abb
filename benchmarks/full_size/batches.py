"""How many copies of a prompt fit beside the weights, and how fast they decode: the language model's part alone."""

from __future__ import annotations

from collections.abc import Callable
from statistics import median
from typing import Any

from benchmarks.full_size.llm import Prefilled
from benchmarks.full_size.variants import NEW_TOKENS
from crop_core.engine.out_of_memory import is_out_of_memory
from crop_core.engine.run import Encoded, Task
from crop_core.measure.memory import free_memory
from crop_core.models.generation import Generated
from crop_core.records.region import Region

REPEATS = 3
STEP = 1 / 16  # the search ends when the next batch to try is that much larger, or by one


def largest(fits: Callable[[int], bool], most: int) -> int:
    """The largest batch up to `most` that fits, at least to within STEP of it, by doubling and then by halving the
    gap; 0 when not even one does. `fits` must be False from some batch on.
    """
    low, high = 0, 1
    while high <= most and fits(high):
        low, high = high, 2 * high
    high = min(high, most + 1)  # the least that does not fit, or may not be tried
    while high - low > max(1, low * STEP):
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low


class Batches:
    """Batches of one task's prompt; region: the one that its method reads."""

    def __init__(self, task: Task, encoded: Encoded, region: Region) -> None:
        self.task, self.encoded, self.region = task, encoded, region

    def fits(self, copies: int) -> bool:
        """Whether a whole answer of so many copies stays within the device's memory."""
        return self._timed(copies, 1) is not None

    def rates(self, copies: int) -> dict[str, Any] | None:
        """Medians of REPEATS runs of so many copies, after one that is not counted; the clock starts with the prefill,
        which contains the scoring. None where memory does not last for one after the other.
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
        """FLOPs of the prefill, and so many runs; None when memory is not enough."""
        free_memory()  # out here nothing of an earlier run that failed is alive any more
        try:
            work = self._work(copies)
            return work.flops, [work.generate(NEW_TOKENS) for _ in range(times)]
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            return None

    def _work(self, copies: int) -> Prefilled:
        return Prefilled.of(self.task, self.encoded, self.region, copies)
