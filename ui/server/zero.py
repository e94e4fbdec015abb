"""Hugging Face's ZeroGPU, which lends a GPU for the length of one call: in a forked process, by `spaces.GPU`.

The models are moved to "cuda" before the app starts (`spaces` keeps the weights aside until then), and nothing runs
before a GPU is there. Every entry of the engine is one call: what goes in and comes out is pickled and lies on the CPU,
and what the fork changes stays in it. A refusal is carried out as a value, since `spaces` would replace its sentence.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import gradio as gr

from crop_core.config import CropConfig
from crop_core.engine import CropEngine

LEAST, MOST = 15, 120  # seconds; the most that ZeroGPU lends without a subscription
MOVE = 10  # seconds for the weights to reach the GPU, and the first run there
PREFILL, TOKEN = 0.5, 0.05  # seconds a picture, and an answer's token: rather too long for a model of 7 billion
WORKER = "ZeroGPU worker error"  # the title of what went wrong inside; others tell of quotas and queues
TAKEN = "GPU task aborted"  # its message when the seconds asked for are over
NOT_HERE = {"quantize": "it has room for 16 bits", "compiled": "each call would compile again"}
_warm: set[int] = set()  # processes in which the models have run


class ZeroError(ValueError):
    """What ZeroGPU refuses; the message is one sentence for the person who asked."""


@dataclass(frozen=True)
class Refusal:
    """The sentence of a ValueError, on its way out of the fork."""

    sentence: str


def on_zero(environ: Mapping[str, str] | None = None) -> bool:
    """Whether this is a Space on ZeroGPU."""
    return (os.environ if environ is None else environ).get("SPACES_ZERO_GPU", "").lower() in ("1", "t", "true")


def load_engine(options: dict[str, Any]) -> Any:
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


class ZeroEngine:
    """The entries of an engine, each in a call that has a GPU. gpu: `spaces.GPU`."""

    def __init__(self, engine: Any, gpu: Any) -> None:
        self.keeps_history = bool(engine.keeps_history)

        def called(entry: str, *request: Any) -> Any:
            try:
                return getattr(_warmed(engine), entry)(*request)
            except ValueError as error:
                return Refusal(str(error))

        def streamed(entry: str, *request: Any) -> Iterator[Any]:
            try:
                yield from getattr(_warmed(engine), entry)(*request)
            except ValueError as error:
                yield Refusal(str(error))

        self._called = gpu(called, duration=duration)
        self._streamed = gpu(streamed, duration=duration)

    def answer(self, *request: Any) -> Any:
        """As `CropEngine.answer`."""
        return self._call("answer", *request)

    def compare(self, *request: Any) -> Any:
        """As `CropEngine.compare`."""
        return self._call("compare", *request)

    def localize(self, *request: Any) -> Any:
        """As `CropEngine.localize`."""
        return self._call("localize", *request)

    def stream(self, *request: Any) -> Iterator[Any]:
        """As `CropEngine.stream`."""
        return self._stream("stream", *request)

    def ask_many(self, *request: Any) -> Iterator[Any]:
        """As `CropEngine.ask_many`; what is refused is refused by the first result."""
        return self._stream("ask_many", *request)

    def _call(self, *request: Any) -> Any:
        try:
            return _unless_refused(self._called(*request))
        except gr.Error as error:
            raise _told(error) from error

    def _stream(self, *request: Any) -> Iterator[Any]:
        try:
            with closing(self._streamed(*request)) as results:
                for each in results:
                    yield _unless_refused(each)
        except gr.Error as error:
            raise _told(error) from error


def duration(entry: str, image: Any, question: str, *request: Any) -> int:
    """Seconds of GPU that a request may take; arithmetic on rough times, not measured.

    request: as the entry's own, so that first comes a config, or the ways of `ask_many`.
    """
    config = request[0] if request and isinstance(request[0], CropConfig) else CropConfig()
    pictures = len(image) if isinstance(image, (list, tuple)) else 1
    answer = PREFILL * pictures + TOKEN * config.max_new_tokens
    runs = {
        "localize": 1,
        "answer": config.repeats + 2,  # the repetitions, one to measure memory, the localizer
        "ask_many": 2 + len(request[0]) if entry == "ask_many" else 0,
    }.get(entry, 2 * config.repeats + 5)  # of both, two that are fed what the other said, the localizer
    return round(min(MOST, max(LEAST, MOVE + runs * answer)))


def _warmed(engine: Any) -> Any:
    """The engine, run once in this process; forks start cold, and may be used again."""
    if os.getpid() not in _warm:
        engine.warm_up()
        _warm.add(os.getpid())
    return engine


def _unless_refused(result: Any) -> Any:
    if isinstance(result, Refusal):
        raise ZeroError(result.sentence)
    return result


def _told(error: gr.Error) -> Exception:
    """What `spaces` says: a sentence about quotas and queues without its markup, or that the call broke."""
    if error.message == TAKEN:
        return ZeroError("The GPU was taken back before the answer was there; ask for fewer things at once.")
    if getattr(error, "title", "") == WORKER:
        return RuntimeError(f"{WORKER}: {error.message}")
    return ZeroError(" ".join(re.sub(r"<[^>]*>", " ", str(error.message)).split()))
