"""Hugging Face's ZeroGPU: a GPU for the duration of one call, in a forked process, by `spaces.GPU`.

The models are moved to "cuda" before the app starts (`spaces` holds the weights until then), and nothing runs without a
GPU. Every request is one call: request and results are pickled and lie on the CPU, and changes in the fork stay there.
A ValueError is returned as a value, since `spaces` would replace its message.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
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
from ui.server.checking_engine import load_checking
from ui.server.space import on_zero

MIN_SECONDS, MAX_SECONDS = 15, 120  # maximum of ZeroGPU without a subscription
MOVE = 10  # seconds for the transfer of the weights to the GPU, and the first run there
PREFILL, TOKEN = 0.5, 0.05  # seconds an image, and a token of the answer: an upper bound for 7 billion parameters
WORKER = "ZeroGPU worker error"  # title of internal errors; others concern quotas and queues
ABORTED = "GPU task aborted"  # its message when the requested seconds are over
UNSUPPORTED = {"quantize": "16-bit weights fit", "compiled": "each call would compile again"}
_warm: set[int] = set()  # processes in which the models have run


class ZeroError(ValueError):
    """Request refused by ZeroGPU; the message is one sentence for the visitor."""


def load_engine(options: dict[str, Any], check: bool = False) -> Engine:
    """Load the engine by the arguments of `CropEngine.from_pretrained`; on ZeroGPU behind its decorator.

    check: whether it can check its model. Raises ValueError with one sentence, also for settings that ZeroGPU does not
    support.
    """
    if not on_zero():
        return load_checking(**options) if check else CropEngine.from_pretrained(**options)
    if check:
        raise ZeroError("CROP_CHECK cannot be used on ZeroGPU, where a call ends long before a check; leave it empty.")
    for name, why in UNSUPPORTED.items():
        if options.get(name):
            raise ZeroError(f"CROP_{name.upper()} cannot be used on ZeroGPU, where {why}; leave it empty.")
    if options.get("device") not in (None, "cuda"):
        raise ZeroError(f"CROP_DEVICE is {options['device']!r}, and on ZeroGPU must be cuda; leave it empty.")
    import spaces  # patches CUDA; part of every Space

    engine = CropEngine.from_pretrained(**{"dtype": "bfloat16", **options, "device": "cpu", "warm_up": False})
    engine.to("cuda")
    return ZeroEngine(engine, spaces.GPU)


class ZeroEngine(EngineWrapper):
    """Engine whose requests each run in a call with a GPU. gpu: `spaces.GPU`."""

    def __init__(self, engine: CropEngine, gpu: Any) -> None:
        super().__init__(engine)

        def call(request: EngineRequest[R]) -> R | RemoteError:
            return remote_call(_warmed(engine), request)

        def stream(request: EngineRequest[R]) -> ResultStream[R | RemoteError]:
            yield from remote_stream(_warmed(engine), request)

        seconds = partial(duration, longest=engine.adapter.max_new_tokens)
        self._call = gpu(call, duration=seconds)
        self._stream = gpu(stream, duration=seconds)

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


def duration(request: EngineRequest[Any], longest: int) -> int:
    """GPU seconds to reserve for a request: a rough estimate, not measured. longest: answer where it names none."""
    repeats = request.config.repeats
    answer = PREFILL * len(request.images) + TOKEN * (request.config.max_new_tokens or longest)
    runs = {
        "localize": 1,
        "answer": repeats + 2,  # the repetitions, one to measure memory, the localizer
        "stream": 5,  # of both, two teacher-forced on the other's answer, the localizer
        "measure": 2 * repeats + 1,  # of both, and of each one to measure memory, the localizer
        "compare": 2 * repeats + 5,
        "run_many": 2 + len(request.specs),
        "attention": 2,  # the localizer, and the run
    }[request.kind]
    return round(min(MAX_SECONDS, max(MIN_SECONDS, MOVE + runs * answer)))


def _warmed(engine: CropEngine) -> CropEngine:
    """The engine, warmed up once a process; forks start cold, and may be reused."""
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
        raise _translate(error) from error


def _translate(error: gr.Error) -> Exception:
    """Error of `spaces` as a sentence without markup, or as RuntimeError for an internal one."""
    if error.message == ABORTED:
        return ZeroError("The GPU's time was over before the answer was complete; run fewer configurations at once.")
    if getattr(error, "title", "") == WORKER:
        return RuntimeError(f"{WORKER}: {error.message}")
    return ZeroError(" ".join(re.sub(r"<[^>]*>", " ", str(error.message)).split()))
