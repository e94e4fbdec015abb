"""Worker processes that prepare later training steps ahead of time; results do not depend on their number."""

from __future__ import annotations

import os
import pickle
import signal
import threading
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context, parent_process
from typing import Any, Generic, TypeVar

import torch

T = TypeVar("T")
_BROKEN = (
    "a worker process of the training ended unexpectedly, perhaps for lack of memory; the same command resumes "
    "from the last checkpoint (fewer --workers need less memory)"
)


class PendingResult(Generic[T]):
    """Result of a job that may still be running."""

    def __init__(self, future: Future[bytes] | None = None, value: T | None = None) -> None:
        self._future, self._value = future, value

    def result(self) -> T:
        """Wait for the result; may be called repeatedly."""
        if self._future is not None:
            try:
                self._value = pickle.loads(self._future.result())
            except BrokenProcessPool as error:
                raise RuntimeError(_BROKEN) from error
            self._future = None
        return self._value  # type: ignore[return-value]  # set once the future is gone


class Workers:
    """`count` processes of one thread each; with 0 a job runs in the caller.

    A context manager: the processes end with it, and also when their parent process is gone.
    """

    def __init__(self, count: int = 0) -> None:
        self.count = count
        context = get_context("spawn")  # a process that uses a GPU must not be forked
        self._pool = ProcessPoolExecutor(count, context, initializer=_initialize) if count else None

    def start(self, job: Callable[..., T], *arguments: Any) -> PendingResult[T]:
        """Start a job; it and its arguments must be picklable."""
        if self._pool is None:
            return PendingResult(value=job(*arguments))
        try:
            return PendingResult(self._pool.submit(_run_job, job, *arguments))
        except BrokenProcessPool as error:
            raise RuntimeError(_BROKEN) from error

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)


def _initialize() -> None:
    """Initialize a worker process: ignore Ctrl-C, and end with the parent process."""
    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _run_job(job: Callable[..., T], *arguments: Any) -> bytes:
    """Run a job and pickle its result: tensors would otherwise use shared memory, which containers limit."""
    return pickle.dumps(job(*arguments), protocol=pickle.HIGHEST_PROTOCOL)
