"""Monitoring: one `Report` for every request to an engine, and the active requests.

Requests and results pass unchanged. Input that never reaches an engine, such as a file that is not an image, is not
reported.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field

from crop_core.records.request import Engine, EngineRequest, EngineWrapper, Kind, R, ResultStream
from crop_core.records.results import Answer, Comparison, RunResult, StreamEvent

ENDPOINTS: dict[Kind, str] = {
    "answer": "ask",
    "compare": "compare",
    "localize": "localize",
    "stream": "page",
    "measure": "measure",
    "run_many": "many",
    "attention": "attention",
    "check": "check",
}
STAGES = ("localizer", "encode", "compression", "scoring", "prefill", "decode")  # of `Cost`, each with its seconds


@dataclass
class Report:
    """Report of one request. outcome: answered, refused (bad input, or a limit), cancelled or failed; error: its class.

    endpoint: a value of ENDPOINTS. sizes: (width, height) of each image. ways: number of run specs. tokens: visual
    tokens of all images, kept: the mean per layer of the pruned run. stages: run -> stage -> seconds, if measured.
    """

    endpoint: str
    question: str
    sizes: list[tuple[int, int]]
    method: str = ""
    ways: int = 0
    outcome: str = ""
    error: str = ""
    seconds: float = 0.0
    tokens: int = 0
    kept: float = 0.0
    stages: dict[str, dict[str, float]] = field(default_factory=dict)
    id: str = field(default_factory=lambda: uuid.uuid4().hex[:12])

    @classmethod
    def of(cls, request: EngineRequest[R]) -> Report:
        """Report of a request that begins."""
        configs = [spec.config for spec in request.specs] if request.kind == "run_many" else [request.config]
        methods = [] if request.kind == "localize" else [config.method for config in configs]
        return cls(
            ENDPOINTS[request.kind],
            request.question,
            [image.size for image in request.images],
            ",".join(dict.fromkeys(methods)),
            len(request.specs),
        )

    def read(self, result: object) -> None:
        """Add the costs and token counts of a result."""
        if isinstance(result, Answer):
            self._cost("crop", result)
        elif isinstance(result, Comparison):
            self._cost("baseline", result.baseline)
            self._cost("crop", result.crop)
        elif isinstance(result, RunResult):
            self.tokens = max(self.tokens, result.trace.visual_tokens)
        elif isinstance(result, StreamEvent):
            if result.comparison is not None:
                self.read(result.comparison)
            if result.comparison or result.measured:
                self.outcome = "answered"

    def _cost(self, run: str, answer: Answer) -> None:
        self.stages[run] = {name: getattr(answer.cost, f"{name}_s") for name in STAGES}
        self.tokens, self.kept = int(answer.total("visual_tokens")), answer.total("mean_tokens")


Reporter = Callable[[Report], None]
Reporters = Sequence[Reporter]


class ActiveRequests:
    """Active requests, and when each last made progress. patience: seconds without progress that count as stuck."""

    def __init__(self, patience: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._patience, self._clock = patience, clock
        self._seen: dict[str, float] = {}
        self._lock = threading.Lock()

    def alive(self, request: str) -> None:
        """Note that a request began or made progress."""
        with self._lock:
            self._seen[request] = self._clock()

    def end(self, request: str) -> None:
        """Note that a request ended."""
        with self._lock:
            self._seen.pop(request, None)

    @property
    def busy(self) -> int:
        """Number of active requests."""
        return len(self._seen)

    @property
    def stuck(self) -> bool:
        """Whether a request has made no progress for too long."""
        with self._lock:
            return any(self._clock() - seen > self._patience for seen in self._seen.values())


class MonitoredEngine(EngineWrapper):
    """Engine that reports every finished request to all `reporters`."""

    def __init__(self, engine: Engine, active: ActiveRequests, reporters: Reporters) -> None:
        super().__init__(engine)
        self._active, self._reporters = active, reporters

    def call(self, request: EngineRequest[R], /) -> R:
        """As the engine's."""
        with self._reported(request) as report:
            result = super().call(request)
            report.read(result)
            return result

    def stream(self, request: EngineRequest[R], /) -> ResultStream[R]:
        """As the engine's; closing it closes the engine's."""
        with self._reported(request) as report:
            results = super().stream(request)
            with closing(results):
                for result in results:
                    self._active.alive(report.id)
                    report.read(result)
                    yield result

    @contextmanager
    def _reported(self, request: EngineRequest[R]) -> Iterator[Report]:
        report = Report.of(request)
        self._active.alive(report.id)
        began = time.monotonic()
        try:
            yield report
            report.outcome = "answered"
        except GeneratorExit:
            report.outcome = report.outcome or "cancelled"
            raise
        except Exception as error:
            report.outcome = "refused" if isinstance(error, ValueError) else "failed"
            report.error = type(error).__name__
            raise
        finally:
            report.seconds = time.monotonic() - began
            self._active.end(report.id)
            for reporter in self._reporters:
                reporter(report)


class RefusalMonitor(EngineWrapper):
    """Engine that reports what queue and rate limit refuse; what passes them, the `MonitoredEngine` inside reports.

    refusals: exceptions of these limits.
    """

    def __init__(self, engine: Engine, refusals: tuple[type[Exception], ...], reporters: Reporters) -> None:
        super().__init__(engine)
        self._refusals, self._reporters = refusals, reporters

    def call(self, request: EngineRequest[R], /) -> R:
        """As the engine's."""
        with self._reported(request):
            return super().call(request)

    def stream(self, request: EngineRequest[R], /) -> ResultStream[R]:
        """As the engine's; the rate limit refuses at once, the queue when the first result is read."""
        with self._reported(request):
            results = super().stream(request)
        return self._read(request, results)

    def _read(self, request: EngineRequest[R], results: ResultStream[R]) -> ResultStream[R]:
        with self._reported(request):
            yield from results

    @contextmanager
    def _reported(self, request: EngineRequest[R]) -> Iterator[None]:
        try:
            yield
        except self._refusals as error:
            report = Report.of(request)
            report.outcome, report.error = "refused", type(error).__name__
            for reporter in self._reporters:
                reporter(report)
            raise
