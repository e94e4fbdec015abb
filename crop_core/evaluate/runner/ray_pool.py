"""A pool on Ray: a worker for every GPU of a cluster, or for every CPU core where it has none. Knows nothing of models.

Source: https://docs.ray.io, `ray.init` and actors. Requirements of a cluster: the same versions of Python,
Ray and this project on every machine, the project in the same folder or installed, and data and models named by a path
at the same path (relative ones are read from the folder of the driver process). The driver runs on one of the cluster's
machines, makes no answers itself and is the only one that writes records. Since Ray 2.60 `ray start` requires a token
where there is one in ~/.ray; to join such a cluster by its address set RAY_AUTH_MODE=token.

Works go one at a time to workers that have started and are free, so that a lost machine costs one example. Ray is an
optional requirement, imported where it is needed.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections import Counter, deque
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from importlib.util import find_spec
from typing import Any

from crop_core.evaluate.runner.work import TRIES, Outcome, Pool, Skipped, SweepError, Work, WorkerFactory

JOIN_S = 30.0  # time limit for joining a cluster; Ray itself would try for many minutes
START_S = 600.0  # longest wait for a worker to start while none is busy
STORE = 2**28  # bytes of shared memory of a cluster started here: works and records are small
_QUIET = {"logging_level": "ERROR", "log_to_driver": False}
_JOIN = f"""
import sys, ray
try:
    ray.init(sys.argv[1], **{_QUIET!r})
except Exception as error:
    sys.exit(" ".join(str(error).split()))
"""


def check_installed() -> None:
    """SweepError without Ray."""
    if find_spec("ray") is None:
        raise SweepError('A sweep on a cluster needs Ray, which is not installed: run pip install "ray>=2.40".')


def ray_pool(address: str | None = None, gpus: bool = True) -> Pool:
    """Pool on Ray; SweepError without Ray, and from the pool when there is no such cluster or no worker can start in
    it.

    address: "host:port" of a cluster; None for the one that RAY_ADDRESS names or runs on this machine, and if there is
    none, for one of this machine's own that ends with the pool. A process that is in a cluster stays in it. gpus:
    whether a worker takes a GPU, where the cluster has any; Ray makes that one visible alone, as "cuda".
    """
    check_installed()
    return partial(_run, address=address, gpus=gpus)


def _run(
    setup: WorkerFactory, works: Sequence[Work], address: str | None, gpus: bool
) -> Generator[Outcome, None, None]:
    waiting, deaths = deque(works), Counter[str]()
    with _cluster(address):
        workers = _Workers(setup, len(works), gpus)
        try:
            while waiting or workers.busy:
                work, outcome = workers.finish()
                if work and outcome is None:
                    deaths[work[0].id] += 1
                    if deaths[work[0].id] < TRIES:
                        waiting.appendleft(work)
                    else:
                        outcome = Skipped.killed_workers(work[0])
                workers.take(waiting)
                if outcome is not None:
                    yield outcome
        finally:
            workers.end()


class _Worker:
    """Ray actor: one worker process of the cluster."""

    def __init__(self, setup: WorkerFactory, folder: str) -> None:
        self._setup, self._folder = setup, folder
        self._run_trials: Any = None

    def start(self) -> None:
        """Returns once the process runs; loads nothing, so that errors of loading belong to a work."""
        with suppress(OSError):  # on another machine, without that folder
            os.chdir(self._folder)

    def run(self, work: Work) -> Outcome:
        """The outcome; models are loaded for the first work."""
        self._run_trials = self._run_trials or self._setup.trial_runner()
        return self._run_trials(*work)


class _Workers:
    """The workers: starting, free or busy. busy: workers and their works, by the reference to the outcome."""

    def __init__(self, setup: WorkerFactory, works: int, gpus: bool) -> None:
        import ray

        resources = ray.cluster_resources()
        gpus = gpus and resources.get("GPU", 0) >= 1
        self._class = ray.remote(_Worker).options(num_cpus=1, num_gpus=int(gpus))
        self._setup = setup
        self._starting: dict[Any, Any] = {}
        self._free: list[Any] = []
        self.busy: dict[Any, tuple[Any, Work]] = {}
        self._size = min(works, max(1, int(resources.get("GPU" if gpus else "CPU", 0))))
        self._failures = 0  # workers that failed to start since the last outcome
        for _ in range(self._size):
            self._start_worker()

    def take(self, waiting: deque[Work]) -> None:
        """Give each free worker a work; a worker without one ends and frees its place in the cluster."""
        import ray

        for worker in self._free:
            if waiting:
                work = waiting.popleft()
                self.busy[worker.run.remote(work)] = worker, work
            else:
                ray.kill(worker)
        self._free = []

    def finish(self) -> tuple[Work | None, Outcome | None]:
        """Wait for any worker: a work with its outcome, None from a worker that died; no work from one that started.

        A dead worker is replaced. Raises a worker's error.
        """
        import ray

        ready, _ = ray.wait([*self.busy, *self._starting], timeout=None if self.busy else START_S)
        if not ready:
            raise SweepError(
                f"No worker was started in {START_S:g} s; see with `ray status` what else uses the cluster's machines."
            )
        worker, work = self.busy.pop(ready[0], None) or (self._starting.pop(ready[0]), None)
        try:
            outcome = ray.get(ready[0])
        except ray.exceptions.RayTaskError as error:
            raise error.cause from error
        except ray.exceptions.RayError as error:
            ray.kill(worker)  # on a machine that is only disconnected, it may still run
            self._check_failures(work, error)
            self._start_worker()
            return work, None
        self._free.append(worker)
        return work, outcome

    def end(self) -> None:
        """Kill all workers, whatever they are doing."""
        import ray

        for worker in (*self._free, *self._starting.values(), *(worker for worker, _ in self.busy.values())):
            ray.kill(worker)

    def _start_worker(self) -> None:
        worker = self._class.remote(self._setup, os.getcwd())
        self._starting[worker.start.remote()] = worker

    def _check_failures(self, work: Work | None, error: Exception) -> None:
        self._failures = 0 if work else self._failures + 1
        if self._failures > TRIES * self._size:
            reason = str(error).strip().splitlines()[-1].rstrip(".")
            raise SweepError(f"Workers cannot be started in the Ray cluster, {self._failures} failed: {reason}.")


@contextmanager
def _cluster(address: str | None) -> Iterator[None]:
    """Join a cluster, and leave it at the end unless this process was in it before."""
    import ray

    if ray.is_initialized():
        yield
        return
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    address = address or os.environ.get("RAY_ADDRESS")
    problem = _unreachable(address) if address else _join_error("auto")
    if problem and address:
        advice = "give the host:port that `ray start` printed, and set RAY_AUTH_MODE=token where it wants a token"
        raise SweepError(f"No Ray cluster at {address!r}: {problem.rstrip('.')}; {advice}.")
    try:
        if problem:
            ray.init("local", include_dashboard=False, object_store_memory=STORE, **_QUIET)
        else:
            ray.init(address or "auto", **_QUIET)
    except Exception as error:  # Ray raises bare exceptions, for example on a busy machine
        raise SweepError(f"Ray does not start on this machine: {' '.join(str(error).split()).rstrip('.')}.") from error
    try:
        yield
    finally:
        ray.shutdown()


def _unreachable(address: str) -> str | None:
    """Why a process cannot join the cluster at an address; None if it can."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=5).close()
    except (OSError, ValueError, OverflowError) as error:
        return str(error)
    return _join_error(address)


def _join_error(address: str) -> str | None:
    """The same, tested in a separate process: a refused one would wait long and could not be stopped."""
    try:
        run = subprocess.run([sys.executable, "-c", _JOIN, address], capture_output=True, text=True, timeout=JOIN_S)
    except subprocess.TimeoutExpired:
        return f"it does not answer as Ray within {JOIN_S:g} s"
    return (run.stderr.strip().splitlines() or ["it ended"])[-1] if run.returncode else None
