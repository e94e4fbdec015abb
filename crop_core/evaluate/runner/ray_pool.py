"""A pool on Ray: a worker for every GPU of a cluster, or for every CPU core where it has none. Knows nothing of models.

Source: https://docs.ray.io, `ray.init` and actors. What a cluster needs: every machine the same versions of Python,
Ray and this project, the project in the same folder or installed, and the data and the models that are named by a path
at the same path (relative ones are read from the folder of the process that asks). That process runs on one of the
cluster's machines, makes no answers itself and is the only one that writes records. Since Ray 2.60 `ray start` asks for
a token where there is one in ~/.ray; who joins such a cluster by its address sets RAY_AUTH_MODE=token.

A work is given to a worker that has started and is free, one at a time, so that a machine that is lost takes one
example with it. Ray is an optional requirement, imported where it is needed.
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

JOIN_S = 30.0  # a cluster that takes longer to let a process in is not there; Ray itself would try for many minutes
START_S = 600.0  # without any worker at work, the longest wait for one to be started
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
    """The pool; SweepError without Ray, and from the pool when there is no such cluster or no worker can start in it.

    address: "host:port" of a cluster; None for the one that RAY_ADDRESS names or runs on this machine, and if there is
    none, for one of this machine's own that ends with the pool. A process that is in a cluster stays in that. gpus:
    whether a worker takes a GPU, where the cluster has any; Ray shows it that one alone, as "cuda".
    """
    check_installed()
    return partial(_ask, address=address, gpus=gpus)


def _ask(
    setup: WorkerFactory, works: Sequence[Work], address: str | None, gpus: bool
) -> Generator[Outcome, None, None]:
    waiting, deaths = deque(works), Counter[str]()
    with _cluster(address):
        crew = _Crew(setup, len(works), gpus)
        try:
            while waiting or crew.asked:
                work, outcome = crew.finish()
                if work and outcome is None:
                    deaths[work[0].id] += 1
                    if deaths[work[0].id] < TRIES:
                        waiting.appendleft(work)
                    else:
                        outcome = Skipped.deadly(work[0])
                crew.take(waiting)
                if outcome is not None:
                    yield outcome
        finally:
            crew.end()


class _Worker:
    """What lives in a process of the cluster: an actor, in Ray's words."""

    def __init__(self, setup: WorkerFactory, folder: str) -> None:
        self._setup, self._folder = setup, folder
        self._examine: Any = None

    def start(self) -> None:
        """Answers as soon as there is a process; it loads nothing, so that what loading raises belongs to a work."""
        with suppress(OSError):  # on another machine, where nothing may be named relative to it
            os.chdir(self._folder)

    def ask(self, work: Work) -> Outcome:
        """The outcome; models are loaded for the first one."""
        self._examine = self._examine or self._setup.examiner()
        return self._examine(*work)


class _Crew:
    """The workers: starting, free for a moment, or asked. asked: them and their works, by the promise of an outcome."""

    def __init__(self, setup: WorkerFactory, works: int, gpus: bool) -> None:
        import ray

        resources = ray.cluster_resources()
        gpus = gpus and resources.get("GPU", 0) >= 1
        self._class = ray.remote(_Worker).options(num_cpus=1, num_gpus=int(gpus))
        self._setup = setup
        self._starting: dict[Any, Any] = {}
        self._free: list[Any] = []
        self.asked: dict[Any, tuple[Any, Work]] = {}
        self._size = min(works, max(1, int(resources.get("GPU" if gpus else "CPU", 0))))
        self._failures = 0  # workers that failed to start since one last answered
        for _ in range(self._size):
            self._hire()

    def take(self, waiting: deque[Work]) -> None:
        """A work for each that is free. One for which there is none goes, and leaves its place in the cluster."""
        import ray

        for worker in self._free:
            if waiting:
                work = waiting.popleft()
                self.asked[worker.ask.remote(work)] = worker, work
            else:
                ray.kill(worker)
        self._free = []

    def finish(self) -> tuple[Work | None, Outcome | None]:
        """Waits for anyone: a work with its outcome, None from a worker that died; no work from one that started.

        Who died is replaced. Raises what a worker raised.
        """
        import ray

        ready, _ = ray.wait([*self.asked, *self._starting], timeout=None if self.asked else START_S)
        if not ready:
            raise SweepError(
                f"No worker was started in {START_S:g} s; see with `ray status` what else takes the cluster's machines."
            )
        worker, work = self.asked.pop(ready[0], None) or (self._starting.pop(ready[0]), None)
        try:
            outcome = ray.get(ready[0])
        except ray.exceptions.RayTaskError as error:
            raise error.cause from error
        except ray.exceptions.RayError as error:
            ray.kill(worker)  # of a machine that is only cut off, it may live on
            self._check_failures(work, error)
            self._hire()
            return work, None
        self._free.append(worker)
        return work, outcome

    def end(self) -> None:
        """Whatever they are doing."""
        import ray

        for worker in (*self._free, *self._starting.values(), *(worker for worker, _ in self.asked.values())):
            ray.kill(worker)

    def _hire(self) -> None:
        worker = self._class.remote(self._setup, os.getcwd())
        self._starting[worker.start.remote()] = worker

    def _check_failures(self, work: Work | None, error: Exception) -> None:
        self._failures = 0 if work else self._failures + 1
        if self._failures > TRIES * self._size:
            reason = str(error).strip().splitlines()[-1].rstrip(".")
            raise SweepError(f"Workers cannot be started in the Ray cluster, {self._failures} failed: {reason}.")


@contextmanager
def _cluster(address: str | None) -> Iterator[None]:
    """This process in a cluster; out of it at the end, unless it was in before."""
    import ray

    if ray.is_initialized():
        yield
        return
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    address = address or os.environ.get("RAY_ADDRESS")
    problem = _unreachable(address) if address else _barred("auto")
    if problem and address:
        advice = "give the host:port that `ray start` printed, and set RAY_AUTH_MODE=token where it wants a token"
        raise SweepError(f"No Ray cluster at {address!r}: {problem.rstrip('.')}; {advice}.")
    try:
        if problem:
            ray.init("local", include_dashboard=False, object_store_memory=STORE, **_QUIET)
        else:
            ray.init(address or "auto", **_QUIET)
    except Exception as error:  # Ray raises bare ones, on a busy machine for one
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
    return _barred(address)


def _barred(address: str) -> str | None:
    """The same, found out by a process of its own: one that is not let in would wait long, and could not be stopped."""
    try:
        run = subprocess.run([sys.executable, "-c", _JOIN, address], capture_output=True, text=True, timeout=JOIN_S)
    except subprocess.TimeoutExpired:
        return f"it does not answer as Ray within {JOIN_S:g} s"
    return (run.stderr.strip().splitlines() or ["it ended"])[-1] if run.returncode else None
