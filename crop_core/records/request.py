"""Requests to an engine and the interface that every engine has: `call` and `stream`. Knows nothing of torch."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, Protocol, TypeVar

from PIL import Image

from crop_core.records.config import CropConfig
from crop_core.records.region import Region
from crop_core.records.results import RunError, RunResult, RunSpec

Kind = Literal["answer", "compare", "localize", "stream", "measure", "run_many", "attention", "check"]
ManyResult = RunResult | RunError  # a result of "run_many"
R = TypeVar("R")  # type of a request's result, or of each result of its stream


@dataclass(frozen=True)
class QueueStatus:
    """Yielded by a stream while its request waits. ahead: requests before it, 0 where it waits for the model to be
    loaded. seconds: until it starts, None if unknown.
    """

    ahead: int
    seconds: float | None = None


ResultStream = Generator[R | QueueStatus, None, None]


class RequestError(ValueError):
    """A request that is invalid for its kind; the message is one sentence for the user."""


@dataclass(frozen=True, eq=False)
class EngineRequest(Generic[R]):
    """One request, the same for every engine; it can be pickled.

    kind: "answer" (Answer), "compare" (Comparison) and "localize" (Region, or Localization if `explain`) are for
    `call`; "stream" and "measure" (StreamEvent), "run_many" (ManyResult), "attention" (Attention, one an image) and
    "check" (CheckReport) for `stream`.
    images: RGB; "localize" and "run_many" take one, "check" none. config: of "run_many" only max_new_tokens and
    short_answer are read, of "localize" the localizer. regions: one per image, None for those to localize; empty:
    localize all. memory: whether peak memory is measured. with_baseline: of "measure", whether the baseline runs too.
    history: earlier questions about the same images and their answers. specs: of "run_many". scenes: to draw for
    "check".
    """

    kind: Kind
    images: tuple[Image.Image, ...]
    question: str
    config: CropConfig = field(default_factory=CropConfig)
    regions: tuple[Region | None, ...] = ()
    memory: bool = True
    with_baseline: bool = True
    history: tuple[tuple[str, str], ...] = ()
    specs: tuple[RunSpec, ...] = ()
    scenes: int = 0
    explain: bool = False
    fresh: bool = False

    @property
    def arguments(self) -> tuple[Any, ...]:
        """Images, question, config, regions, memory and history, as `CropEngine.compare` takes them."""
        about = self.images, self.question, self.config
        return *about, self.regions or None, self.memory, self.history

    @property
    def image(self) -> Image.Image:
        """The only image; RequestError if there is none or more than one."""
        if len(self.images) != 1:
            raise RequestError(f"This takes one image at a time, not {len(self.images)}; give exactly one.")
        return self.images[0]


class Engine(Protocol):
    """Interface of an engine for app, queue and servers (implemented by `crop_core.engine.engine.CropEngine`)."""

    @property
    def keeps_history(self) -> bool:
        """Whether the model reads earlier turns."""

    @property
    def reads_several(self) -> bool:
        """Whether a question about two images fits into the model's context."""

    @property
    def short_answer_request(self) -> str:
        """The sentence that asks the model for a short answer; "" where nothing has to."""

    def call(self, request: EngineRequest[R], /) -> R:
        """The result; ValueError with one sentence on failure."""
        ...

    def stream(self, request: EngineRequest[R], /) -> ResultStream[R]:
        """The results as they are produced; closing it stops the work. Raises as `call`, at any result."""
        ...


class EngineWrapper:
    """Engine that forwards every request to another one; base class of wrappers."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    @property
    def keeps_history(self) -> bool:
        """As `Engine`."""
        return self.engine.keeps_history

    @property
    def reads_several(self) -> bool:
        """As `Engine`."""
        return self.engine.reads_several

    @property
    def short_answer_request(self) -> str:
        """As `Engine`."""
        return self.engine.short_answer_request

    def call(self, request: EngineRequest[R], /) -> R:
        """As `Engine`."""
        return self.engine.call(request)

    def stream(self, request: EngineRequest[R], /) -> ResultStream[R]:
        """As `Engine`."""
        return self.engine.stream(request)


@dataclass(frozen=True)
class RemoteError:
    """Message of a ValueError of another process, returned as a value: Ray and ZeroGPU would replace the message."""

    message: str


def remote_call(engine: Engine, request: EngineRequest[R]) -> R | RemoteError:
    """`Engine.call` in the worker process; `unwrap` raises the error in the calling process."""
    try:
        return engine.call(request)
    except ValueError as error:
        return RemoteError(str(error))


def remote_stream(engine: Engine, request: EngineRequest[R]) -> ResultStream[R | RemoteError]:
    """`Engine.stream` in the worker process; an error is its last result."""
    try:
        yield from engine.stream(request)
    except ValueError as error:
        yield RemoteError(str(error))


def unwrap(result: R | RemoteError, error: type[ValueError]) -> R:
    """The result; `error` with the message of a RemoteError."""
    if isinstance(result, RemoteError):
        raise error(result.message)
    return result
