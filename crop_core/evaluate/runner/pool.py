"""Pools on this machine: the process itself, or several. Knows nothing of models.

A process that dies is replaced and its example retried; an example that killed TRIES processes is skipped.
"""

from __future__ import annotations

import signal
from collections import Counter, deque
from collections.abc import Generator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import connection, get_context
from typing import Any

from crop_core.evaluate.runner.work import TRIES, Outcome, Pool, Skipped, Work, WorkerFactory

_spawn = get_context("spawn")  # a fork of a process that runs torch's threads may hang


def pool_of(workers: int) -> Pool:
    """The pool of a number of workers; 1 is this process."""
    return in_process if workers == 1 else partial(processes, workers=workers)


def in_process(setup: WorkerFactory, works: Sequence[Work]) -> Generator[Outcome, None, None]:
    """Run the works in this process, in order."""
    run_trials = setup.trial_runner()
    for work in works:
        yield run_trials(*work)


def processes(setup: WorkerFactory, works: Sequence[Work], workers: int) -> Generator[Outcome, None, None]:
    """Run the works in several processes, outcomes as they come. A worker's error is raised here; the end of this
    generator ends the workers.
    """
    waiting, deaths = deque(works), Counter[str]()
    pool = [_Worker(setup) for _ in range(min(workers, len(works)))]
    try:
        for worker in pool:
            worker.take(waiting)
        while busy := {worker.pipe: worker for worker in pool if worker.work}:
            for pipe in connection.wait(list(busy)):
                worker = busy[pipe]  # type: ignore[index]
                work, outcome = worker.finish()
                if outcome is None:
                    pool[pool.index(worker)] = worker = _Worker(setup)
                    deaths[work[0].id] += 1
                    if deaths[work[0].id] < TRIES:
                        waiting.appendleft(work)
                    else:
                        outcome = Skipped.killed_workers(work[0])
                worker.take(waiting)
                if outcome is not None:
                    yield outcome
    finally:
        for worker in pool:
            worker.end()


@dataclass(eq=False)
class _Worker:
    """A process with one work at a time."""

    setup: WorkerFactory
    work: Work | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self.pipe, theirs = _spawn.Pipe()
        self.process = _spawn.Process(target=_serve, args=(self.setup, theirs), daemon=True)
        self.process.start()
        theirs.close()  # so that the end of the process is the end of the pipe

    def take(self, waiting: deque[Work]) -> None:
        """Send the next work to the process, if there is any."""
        self.work = waiting.popleft() if waiting else None
        if self.work:
            with suppress(OSError):  # of a process that has died, which `finish` detects
                self.pipe.send(self.work)

    def finish(self) -> tuple[Work, Outcome | None]:
        """The work with its outcome, None from a process that has died; raises the process's error."""
        assert self.work is not None  # noqa: S101  only busy workers are waited for
        try:
            outcome = self.pipe.recv()
        except (EOFError, OSError):
            self.end()
            return self.work, None
        if isinstance(outcome, BaseException):
            raise outcome
        return self.work, outcome

    def end(self) -> None:
        """Kill the process, whatever it is doing."""
        self.process.kill()
        self.process.join()
        self.pipe.close()


def _serve(setup: WorkerFactory, pipe: Any) -> None:
    """Main loop of a process: an outcome for every work until the pipe closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent process
    try:
        run_trials = setup.trial_runner()
        while True:
            pipe.send(run_trials(*pipe.recv()))
    except (EOFError, BrokenPipeError):
        return
    except Exception as error:  # the parent raises it
        pipe.send(error)
