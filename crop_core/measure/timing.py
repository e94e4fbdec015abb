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


class Stopwatch:
    """Adds up the seconds between `start` and `stop` without making the host wait for the device; read `seconds` once
    the work is done.
    """

    def __init__(self) -> None:
        self._host = 0.0
        self._events: list[tuple[torch.cuda.Event, torch.cuda.Event]] = []

    def start(self, device: torch.device) -> None:
        """What is queued on the device from here on counts."""
        self._device, self._began = device, time.perf_counter()
        if device.type == "cuda":
            self._first = _mark(device)

    def stop(self) -> None:
        """What is queued from here on does not count."""
        if self._device.type == "cuda":
            self._events.append((self._first, _mark(self._device)))
        else:
            self._host += time.perf_counter() - self._began

    @property
    def seconds(self) -> float:
        """Of the device's own time on a GPU, of the host's elsewhere."""
        for _, end in self._events:
            end.synchronize()
        return self._host + sum(start.elapsed_time(end) for start, end in self._events) / 1000


def _mark(device: torch.device) -> torch.cuda.Event:
    event = torch.cuda.Event(enable_timing=True)
    event.record(torch.cuda.current_stream(device))
    return event
