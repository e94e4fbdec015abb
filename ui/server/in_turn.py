"""An engine whose requests wait in one line (`Turns`), so that each has the model to itself; streams tell of the wait.

All of them work in the same few threads: what the libraries below keep for every thread is not kept for each of
Gradio's.

Who closes a stream, waiting or at work, frees its place. A call that is no stream cannot be closed: it keeps its place
until it is answered, or has taken as long as a request may.
"""

from __future__ import annotations

import contextvars
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from ui.server.turns import Turn, Turns

END = object()


class InTurn:
    """The engine's entries, each in its turn; FullError where no place is free (of a stream, once it is read)."""

    def __init__(self, engine: Any, turns: Turns) -> None:
        self._engine, self._turns = engine, turns
        self._threads = ThreadPoolExecutor(turns.width, "crop-model")

    @property
    def keeps_history(self) -> bool:
        """As the engine's."""
        return bool(self._engine.keeps_history)

    def answer(self, *request: Any) -> Any:
        """As the engine's."""
        return self._call("answer", *request)

    def compare(self, *request: Any) -> Any:
        """As the engine's."""
        return self._call("compare", *request)

    def localize(self, *request: Any) -> Any:
        """As the engine's."""
        return self._call("localize", *request)

    def stream(self, *request: Any) -> Iterator[Any]:
        """As the engine's, after a `Waiting` every second."""
        return self._stream(1, "stream", *request)

    def ask_many(self, image: Any, question: str, ways: Sequence[Any], *more: Any) -> Iterator[Any]:
        """As the engine's, after a `Waiting` every second."""
        return self._stream(1 + len(ways), "ask_many", image, question, ways, *more)

    def _call(self, entry: str, *request: Any) -> Any:
        turn = self._turns.join(entry)
        try:
            for _ in turn.waits():
                pass
            result = self._work(getattr(self._engine, entry), *request).result()
            turn.leave(answered=True)
            return result
        finally:
            turn.leave()

    def _stream(self, size: int, entry: str, *request: Any) -> Iterator[Any]:
        turn = self._turns.join(entry, size)
        results = getattr(self._engine, entry)(*request)
        try:
            yield from turn.waits()
            while (result := self._work(next, results, END).result()) is not END:
                yield result
            turn.leave(answered=True)
        except GeneratorExit:
            self._work(_end, results, turn)  # not waited for: this is Gradio's event loop
            raise
        except BaseException:
            turn.leave()
            raise

    def _work(self, do: Callable[..., Any], *what: Any) -> Future[Any]:
        """Done in a thread of the model's, for the visitor whose request this is (ZeroGPU asks Gradio who that is)."""
        return self._threads.submit(contextvars.copy_context().run, do, *what)


def _end(results: Iterator[Any], turn: Turn) -> None:
    try:
        results.close()  # type: ignore[attr-defined]
    finally:
        turn.leave()
