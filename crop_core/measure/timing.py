"""Wall times by stage, synchronized with the device."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

import torch


def now(device: torch.device) -> float:
    """Seconds of a monotonic clock, after all queued work of the device."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


class StageTimer:
    """Seconds spent in named stages of one run; 0.0 for a stage that never ran."""

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
    """Seconds between `start` and `stop`, summed, without synchronizing the device; read `seconds` after the work."""

    def __init__(self) -> None:
        self._host = 0.0
        self._events: list[tuple[torch.cuda.Event, torch.cuda.Event]] = []

    def start(self, device: torch.device) -> None:
        """Start to count work queued on the device."""
        self._device, self._began = device, time.perf_counter()
        if device.type == "cuda":
            self._first = _mark(device)

    def stop(self) -> None:
        """Stop counting."""
        if self._device.type == "cuda":
            self._events.append((self._first, _mark(self._device)))
        else:
            self._host += time.perf_counter() - self._began

    @property
    def seconds(self) -> float:
        """Device time on a GPU, host time otherwise."""
        for _, end in self._events:
            end.synchronize()
        return self._host + sum(start.elapsed_time(end) for start, end in self._events) / 1000


def _mark(device: torch.device) -> torch.cuda.Event:
    event = torch.cuda.Event(enable_timing=True)
    event.record(torch.cuda.current_stream(device))
    return event
