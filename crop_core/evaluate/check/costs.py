"""What an answer costs with every visual token and with CROP: times, memory and KV cache, of runs that alternate."""

from __future__ import annotations

from collections.abc import Iterator

from PIL import Image

from crop_core.engine.compare import RequestRuns
from crop_core.engine.engine import CropEngine
from crop_core.engine.measure import measured_comparison
from crop_core.engine.out_of_memory import translate_oom
from crop_core.engine.run import Task
from crop_core.localize import WholeImage
from crop_core.records.check import Repetition
from crop_core.records.config import CropConfig

MAX_NEW_TOKENS = 32  # of an answer
ANSWERED_AND_TIMED = 2  # runs of each: the first answers, and the second, which is warm, is timed


def repetitions(
    engine: CropEngine, image: Image.Image, question: str, count: int, done: int = 0
) -> Iterator[Repetition]:
    """Costs of one question, `count` times, but for those that are done, under the default configuration. The peak of a
    CPU, which is the same in every run and slow to count, is in the first alone.

    Raises ValueError for a model that cannot be run so, and for one that leaves no memory.
    """
    task = Task(engine.adapter, image, question, CropConfig(max_new_tokens=MAX_NEW_TOKENS, repeats=ANSWERED_AND_TIMED))
    localizers = [engine.localizer or WholeImage()]
    with translate_oom(lambda: None):
        for number in range(done, count):
            memory = number == 0 or engine.adapter.device.type == "cuda"
            result = measured_comparison(RequestRuns(task, localizers, memory=memory))
            yield Repetition(result.baseline.cost, result.crop.cost)
