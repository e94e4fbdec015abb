"""An engine that works elsewhere: the entries of `CropEngine`, each asked of a free worker.

A request whose worker dies is asked once more, of another; where that one dies too, one sentence says so. What a stream
of many ways had told already is not told twice; a comparison that is told as it happens begins again.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from crop_core.serving.replica import Refusal


class WorkerError(ValueError):
    """What a worker refuses, or that it was lost; the message is one sentence for the person who asked."""


class ServedEngine:
    """handle: of the engine's deployment (`ray.serve.handle.DeploymentHandle`). Not for use on an event loop."""

    def __init__(self, handle: Any) -> None:
        self._handle = handle
        self.keeps_history = bool(handle.keeps_history.remote().result())

    def answer(self, *request: Any) -> Any:
        """As `CropEngine.answer`."""
        return self._call("answer", request)

    def compare(self, *request: Any) -> Any:
        """As `CropEngine.compare`."""
        return self._call("compare", request)

    def localize(self, *request: Any) -> Any:
        """As `CropEngine.localize`."""
        return self._call("localize", request)

    def stream(self, *request: Any) -> Iterator[Any]:
        """As `CropEngine.stream`."""
        return self._stream("stream", request, again=True)

    def ask_many(self, *request: Any) -> Iterator[Any]:
        """As `CropEngine.ask_many`; what is refused is refused by the first result."""
        return self._stream("ask_many", request, again=False)

    def _call(self, entry: str, request: tuple[Any, ...]) -> Any:
        for last in (False, True):
            with _lost(last):
                return _unless_refused(self._handle.call.remote(entry, request).result())
        raise AssertionError  # the second try returns or raises

    def _stream(self, entry: str, request: tuple[Any, ...], again: bool) -> Iterator[Any]:
        """again: whether a second try tells all of it anew, or only what the first had not told."""
        told = 0
        for last in (False, True):
            results = self._handle.options(stream=True).stream.remote(entry, request)
            try:
                with _lost(last):
                    for number, result in enumerate(results):
                        if again or number >= told:
                            yield _unless_refused(result)
                            told = number + 1
                    return
            finally:
                results.cancel()


@contextmanager
def _lost(last: bool) -> Iterator[None]:
    """Lets a first try go by whose worker died; WorkerError for the last."""
    from ray.exceptions import ActorDiedError, ActorUnavailableError, RayActorError

    try:
        yield
    except (RayActorError, ActorDiedError, ActorUnavailableError):
        if last:
            raise WorkerError("The machine that worked at this was lost, twice; please ask again.") from None


def _unless_refused(result: Any) -> Any:
    if isinstance(result, Refusal):
        raise WorkerError(result.sentence)
    return result
