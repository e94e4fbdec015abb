"""An engine that is watched: every request ends in one `Report`, and the `Lane` knows what is under way.

Stands between the interface and the engine, and changes nothing of what either sees. What never gets as far as an
engine, such as a file that is no picture, is not reported.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import Any

from PIL import Image

from crop_core.records import Answer, Comparison, StreamEvent, Told, Way

STAGES = ("localizer", "encode", "compression", "scoring", "prefill", "decode")  # of `Cost`, each with its seconds


@dataclass
class Report:
    """One request. outcome: answered, refused (bad input, or a limit), cancelled or failed; error: of what class.

    sizes: (width, height) of each picture. ways: how many were asked, of requests about many. tokens: visual ones of
    all pictures, kept: the mean per layer of the pruned run. stages: run -> stage -> seconds, as far as measured.
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

    def take(self, run: str, answer: Answer) -> None:
        """What an answer tells of its work."""
        self.stages[run] = {name: getattr(answer.cost, f"{name}_s") for name in STAGES}
        self.tokens, self.kept = int(answer.total("visual_tokens")), answer.total("mean_tokens")

    def compared(self, result: Comparison) -> None:
        """Both answers."""
        self.take("baseline", result.baseline)
        self.take("crop", result.crop)


class Lane:
    """The requests under way, and when each last gave a sign of life.

    patience: seconds without one after which something is wrong.
    """

    def __init__(self, patience: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._patience, self._clock = patience, clock
        self._seen: dict[str, float] = {}
        self._lock = threading.Lock()

    def alive(self, request: str) -> None:
        """A request began, or came one step further."""
        with self._lock:
            self._seen[request] = self._clock()

    def end(self, request: str) -> None:
        """A request is over."""
        with self._lock:
            self._seen.pop(request, None)

    @property
    def busy(self) -> int:
        """How many requests are under way."""
        return len(self._seen)

    @property
    def stuck(self) -> bool:
        """Whether one of them has been silent for too long."""
        with self._lock:
            return any(self._clock() - seen > self._patience for seen in self._seen.values())


class Watched:
    """The engine's entries, each reported to all `tell` when it is over."""

    def __init__(self, engine: Any, lane: Lane, tell: Sequence[Callable[[Report], None]]) -> None:
        self._engine, self._lane, self._tell = engine, lane, tell

    @property
    def keeps_history(self) -> bool:
        """As the engine's."""
        return bool(self._engine.keeps_history)

    def answer(self, image: Any, question: str, config: Any = None, *more: Any) -> Answer:
        """As the engine's."""
        with self._request("ask", image, question, method=_method(config)) as report:
            answer: Answer = self._engine.answer(image, question, config, *more)
            report.take("crop", answer)
            return answer

    def compare(self, image: Any, question: str, config: Any = None, *more: Any) -> Comparison:
        """As the engine's."""
        with self._request("compare", image, question, method=_method(config)) as report:
            result: Comparison = self._engine.compare(image, question, config, *more)
            report.compared(result)
            return result

    def localize(self, image: Any, question: str) -> Any:
        """As the engine's."""
        with self._request("localize", image, question):
            return self._engine.localize(image, question)

    def stream(self, image: Any, question: str, config: Any = None, *more: Any) -> Iterator[StreamEvent]:
        """As the engine's; closing it closes the engine's."""
        with (
            self._request("page", image, question, method=_method(config)) as report,
            closing(self._engine.stream(image, question, config, *more)) as events,
        ):
            for event in events:
                self._lane.alive(report.id)
                if event.comparison is not None:
                    report.compared(event.comparison)
                    report.outcome = "answered"
                yield event

    def ask_many(self, image: Any, question: str, ways: Sequence[Way], *more: Any) -> Iterator[Any]:
        """As the engine's; closing it closes the engine's."""
        methods = ",".join(dict.fromkeys(way.config.method for way in ways))
        with (
            self._request("many", image, question, method=methods, ways=len(ways)) as report,
            closing(self._engine.ask_many(image, question, ways, *more)) as results,
        ):
            for told in results:
                self._lane.alive(report.id)
                if isinstance(told, Told):
                    report.tokens = max(report.tokens, told.trace.visual_tokens)
                yield told

    @contextmanager
    def _request(self, endpoint: str, image: Any, question: str, **known: Any) -> Iterator[Report]:
        report = Report(endpoint, question, _sizes(image), **known)
        self._lane.alive(report.id)
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
            self._lane.end(report.id)
            for tell in self._tell:
                tell(report)


def _sizes(image: Any) -> list[tuple[int, int]]:
    return [each.size for each in ([image] if isinstance(image, Image.Image) else image)]


def _method(config: Any) -> str:
    return "crop" if config is None else str(config.method)
