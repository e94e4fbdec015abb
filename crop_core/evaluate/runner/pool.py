"""Pools on this machine: the process itself, or several. Knows nothing of models.

A process that dies is replaced and its example asked again; one over which TRIES processes died is skipped.
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
    """Of so many workers; one is this process."""
    return alone if workers == 1 else partial(processes, workers=workers)


def alone(setup: WorkerFactory, works: Sequence[Work]) -> Generator[Outcome, None, None]:
    """In this process, in their order."""
    examine = setup.examiner()
    for work in works:
        yield examine(*work)


def processes(setup: WorkerFactory, works: Sequence[Work], workers: int) -> Generator[Outcome, None, None]:
    """In several, as they come. What a worker raises is raised here; whatever ends this ends the workers."""
    waiting, deaths = deque(works), Counter[str]()
    crew = [_Worker(setup) for _ in range(min(workers, len(works)))]
    try:
        for worker in crew:
            worker.take(waiting)
        while busy := {worker.pipe: worker for worker in crew if worker.work}:
            for pipe in connection.wait(list(busy)):
                worker = busy[pipe]  # type: ignore[index]
                work, outcome = worker.finish()
                if outcome is None:
                    crew[crew.index(worker)] = worker = _Worker(setup)
                    deaths[work[0].id] += 1
                    if deaths[work[0].id] < TRIES:
                        waiting.appendleft(work)
                    else:
                        outcome = Skipped.deadly(work[0])
                worker.take(waiting)
                if outcome is not None:
                    yield outcome
    finally:
        for worker in crew:
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
        """The next work, if there is any."""
        self.work = waiting.popleft() if waiting else None
        if self.work:
            with suppress(OSError):  # of a process that has died, which `finish` finds out
                self.pipe.send(self.work)

    def finish(self) -> tuple[Work, Outcome | None]:
        """The work with its outcome, None from a process that has died; raises what it raised."""
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
        """Whatever it is doing."""
        self.process.kill()
        self.process.join()
        self.pipe.close()


def _serve(setup: WorkerFactory, pipe: Any) -> None:
    """What a process does: an outcome for every work that comes, until no more can come."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that asks
    try:
        examine = setup.examiner()
        while True:
            pipe.send(examine(*pipe.recv()))
    except (EOFError, BrokenPipeError):
        return
    except Exception as error:  # the other side raises it
        pipe.send(error)
