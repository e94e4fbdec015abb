"""How long one question keeps a worker: what an answer alone takes, and what the app's comparison does."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import pairwise
from time import perf_counter
from typing import Any

from PIL import Image

from benchmarks.full_size import variants
from benchmarks.full_size.random_tokenizer import QUESTION
from benchmarks.full_size.runs import spread
from crop_core.engine.engine import CropEngine
from crop_core.localize import SelfLocalizer
from crop_core.models import Adapter
from crop_core.records.config import Budget, CropConfig

REPEATS = 3


def seconds_of_questions(adapter: Adapter, image: Image.Image, budget: Budget) -> dict[str, Any]:
    """{entry of the engine: median, least and most seconds}, after one call that is not counted; CROP with the model as
    its own localizer, and answers of variants.NEW_TOKENS tokens.

    A comparison runs both ways more than once: for their times, their peaks, and what each thinks of the other's words.
    """
    engine = CropEngine(adapter, SelfLocalizer(adapter))
    config = CropConfig("crop", budget, max_new_tokens=variants.NEW_TOKENS)
    entries: dict[str, Callable[..., object]] = {"compare": engine.compare, "answer": engine.answer}
    return {name: spread(_seconds(partial(ask, image, QUESTION, config))) for name, ask in entries.items()}


def _seconds(ask: Callable[[], object]) -> list[float]:
    starts = []
    for _ in range(REPEATS + 2):
        starts.append(perf_counter())
        ask()
    return [end - start for start, end in pairwise(starts[1:])]
