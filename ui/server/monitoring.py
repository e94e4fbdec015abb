"""Monitoring: one `Report` for every request to an engine, the active requests, and the request log.

Requests and results pass unchanged. Input that never reaches an engine, such as a file that is not an image, is not
reported.
"""

from __future__ import annotations

import json
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any, TextIO

from crop_core.records.request import Engine, EngineRequest, EngineWrapper, Kind, R, ResultStream
from crop_core.records.results import Answer, Comparison, RunResult, StreamEvent

ENDPOINTS: dict[Kind, str] = {
    "answer": "ask",
    "compare": "compare",
    "localize": "localize",
    "stream": "page",
    "run_many": "many",
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
        elif isinstance(result, StreamEvent) and result.comparison is not None:
            self.read(result.comparison)
            self.outcome = "answered"

    def _cost(self, run: str, answer: Answer) -> None:
        self.stages[run] = {name: getattr(answer.cost, f"{name}_s") for name in STAGES}
        self.tokens, self.kept = int(answer.total("visual_tokens")), answer.total("mean_tokens")


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

    def __init__(self, engine: Engine, active: ActiveRequests, reporters: Sequence[Callable[[Report], None]]) -> None:
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


@dataclass(frozen=True)
class RequestLog:
    """Log of requests: one JSON object a line, without images. questions: whether with the question.

    out: standard error when None.
    """

    questions: bool = False
    out: TextIO | None = None

    def __call__(self, report: Report) -> None:
        """Write the line of a finished request."""
        out = self.out or sys.stderr
        out.write(json.dumps(self.line(report)) + "\n")
        out.flush()

    def line(self, report: Report) -> dict[str, Any]:
        """Fields of the line: seconds to the tenth of a millisecond, tokens, sizes in pixels."""
        fields = {
            "time": datetime.now(timezone.utc).isoformat(timespec="milliseconds"),
            "request": report.id,
            "endpoint": report.endpoint,
            "outcome": report.outcome,
            "error": report.error,
            "seconds": round(report.seconds, 4),
            "pictures": [list(size) for size in report.sizes],
            "question_length": len(report.question),
            "method": report.method,
            "ways": report.ways,
            "visual_tokens": report.tokens,
            "mean_tokens": round(report.kept, 2),
            "stages": {run: {name: round(s, 4) for name, s in stages.items()} for run, stages in report.stages.items()},
        }
        return {**fields, "question": report.question} if self.questions else fields
