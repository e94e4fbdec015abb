"""Wall times by stage, synchronized on the device so that queued work counts where it was asked for."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

import torch


def now(device: torch.device) -> float:
    """Seconds on a monotonic clock, after the device has finished all queued work."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


class StageTimer:
    """Adds up the seconds spent in named stages of one run; `seconds` is 0.0 for a stage that never ran."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.seconds: defaultdict[str, float] = defaultdict(float)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time the body as part of stage `name`."""
        start = now(self.device)
        try:
            yield
        finally:
            self.seconds[name] += now(self.device) - start
