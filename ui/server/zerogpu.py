"""Hugging Face's ZeroGPU, which lends a GPU for the length of one call: in a forked process, by `spaces.GPU`.

The models are moved to "cuda" before the app starts (`spaces` keeps the weights aside until then), and nothing runs
before a GPU is there. Every request is one call: request and results are pickled and lie on the CPU, and what the fork
changes stays in it. A ValueError is returned as a value, since `spaces` would replace its message.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from typing import Any

import gradio as gr

from crop_core.engine.engine import CropEngine
from crop_core.records.request import (
    Engine,
    EngineRequest,
    EngineWrapper,
    R,
    RemoteError,
    ResultStream,
    remote_call,
    remote_stream,
    unwrap,
)

LEAST, MOST = 15, 120  # seconds; the most that ZeroGPU lends without a subscription
MOVE = 10  # seconds for the weights to reach the GPU, and the first run there
PREFILL, TOKEN = 0.5, 0.05  # seconds an image, and an answer's token: rather too long for a model of 7 billion
WORKER = "ZeroGPU worker error"  # the title of what went wrong inside; others tell of quotas and queues
TAKEN = "GPU task aborted"  # its message when the seconds asked for are over
NOT_HERE = {"quantize": "it has room for 16 bits", "compiled": "each call would compile again"}
_warm: set[int] = set()  # processes in which the models have run


class ZeroError(ValueError):
    """What ZeroGPU refuses; the message is one sentence for the person who asked."""


def on_zero(environ: Mapping[str, str] | None = None) -> bool:
    """Whether this is a Space on ZeroGPU."""
    return (os.environ if environ is None else environ).get("SPACES_ZERO_GPU", "").lower() in ("1", "t", "true")


def load_engine(options: dict[str, Any]) -> Engine:
    """The engine by the arguments of `CropEngine.from_pretrained`; on ZeroGPU behind its decorator.

    Raises ValueError with one sentence, there also for settings that cannot be.
    """
    if not on_zero():
        return CropEngine.from_pretrained(**options)
    for name, why in NOT_HERE.items():
        if options.get(name):
            raise ZeroError(f"CROP_{name.upper()} cannot be used on ZeroGPU, where {why}; leave it empty.")
    if options.get("device") not in (None, "cuda"):
        raise ZeroError(f"CROP_DEVICE is {options['device']!r}, and on ZeroGPU must be cuda; leave it empty.")
    import spaces  # which takes CUDA's place; a Space has it

    engine = CropEngine.from_pretrained(**{"dtype": "bfloat16", **options, "device": "cpu", "warm_up": False})
    engine.to("cuda")
    return ZeroEngine(engine, spaces.GPU)


class ZeroEngine(EngineWrapper):
    """An engine of which every request runs in a call that has a GPU. gpu: `spaces.GPU`."""

    def __init__(self, engine: CropEngine, gpu: Any) -> None:
        super().__init__(engine)

        def call(request: EngineRequest[R]) -> R | RemoteError:
            return remote_call(_warmed(engine), request)

        def stream(request: EngineRequest[R]) -> ResultStream[R | RemoteError]:
            yield from remote_stream(_warmed(engine), request)

        self._call = gpu(call, duration=duration)
        self._stream = gpu(stream, duration=duration)

    def call(self, request: EngineRequest[R], /) -> R:
        """As the engine's."""
        with _translated():
            result: R = unwrap(self._call(request), ZeroError)
            return result

    def stream(self, request: EngineRequest[R], /) -> ResultStream[R]:
        """As the engine's."""
        with _translated(), closing(self._stream(request)) as results:
            for result in results:
                yield unwrap(result, ZeroError)


def duration(request: EngineRequest[Any]) -> int:
    """Seconds of GPU that a request may take; arithmetic on rough times, not measured."""
    repeats = request.config.repeats
    answer = PREFILL * len(request.images) + TOKEN * request.config.max_new_tokens
    runs = {
        "localize": 1,
        "answer": repeats + 2,  # the repetitions, one to measure memory, the localizer
        "run_many": 2 + len(request.specs),
    }.get(request.kind, 2 * repeats + 5)  # of both, two that are fed what the other said, the localizer
    return round(min(MOST, max(LEAST, MOVE + runs * answer)))


def _warmed(engine: CropEngine) -> CropEngine:
    """The engine, run once in this process; forks start cold, and may be used again."""
    if os.getpid() not in _warm:
        engine.warm_up()
        _warm.add(os.getpid())
    return engine


@contextmanager
def _translated() -> Iterator[None]:
    """Translate what `spaces` raises."""
    try:
        yield
    except gr.Error as error:
        raise _told(error) from error


def _told(error: gr.Error) -> Exception:
    """What `spaces` says: a sentence about quotas and queues without its markup, or that the call broke."""
    if error.message == TAKEN:
        return ZeroError("The GPU was taken back before the answer was there; ask for fewer things at once.")
    if getattr(error, "title", "") == WORKER:
        return RuntimeError(f"{WORKER}: {error.message}")
    return ZeroError(" ".join(re.sub(r"<[^>]*>", " ", str(error.message)).split()))
