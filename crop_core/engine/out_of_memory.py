"""Out-of-memory fallback: retry a request with less, or raise one sentence that says what to do.

A comparison is retried without the baseline, which needs most, and then with the image at half its size, where that
gives fewer tokens. Requests run one by one, so there is no batch to make smaller. A notice says what was left out, and
the memory is free for the next request.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TypeVar

import torch
from PIL import Image

from crop_core.engine.compare import RequestRuns, answer
from crop_core.engine.measure import measure
from crop_core.engine.run import Task
from crop_core.localize import KnownRegion, Localizer
from crop_core.measure.memory import free_memory
from crop_core.models import as_list
from crop_core.records.region import Region
from crop_core.records.results import Answer, Comparison
from crop_core.records.timing import Measured
from crop_core.records.trace import TokenTrace

Result = TypeVar("Result")
OOM_MESSAGES = (  # of allocators that raise RuntimeError: CUDA and its libraries, MPS, CPU on Linux and Windows
    "out of memory",
    "alloc_failed",
    "can't allocate memory",
    "not enough memory",
)
ADVICE = "use a smaller image, fewer images, or a smaller or quantized model"
HALVED = (
    "The device ran out of memory with {what} in full size, so {they} read at half the width and height; the figures "
    "are about that."
)


class OutOfMemory(ValueError):
    """A request that does not fit into the device's memory; the message is one sentence for its user."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether the error is a device's out-of-memory error."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(text in str(error).lower() for text in OOM_MESSAGES)


@contextmanager
def translate_oom(release: Callable[[], None]) -> Iterator[None]:
    """Raise OutOfMemory in place of the device's error, with the memory of the failed work freed. release: drops what
    can be computed again.
    """
    try:
        yield
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        _clear_frames(error)
        release()
        free_memory()
        raise OutOfMemory(f"The device has too little memory for this question; {ADVICE}.") from None


def compare_with_fallback(
    compare: Callable[[RequestRuns], Comparison], runs: RequestRuns, release: Callable[[], None]
) -> Comparison:
    """The comparison; where that does not fit, with smaller images and a notice. Raises OutOfMemory where nothing fits,
    with the pruned answer in its sentence where that alone does. release: as in `translate_oom`.
    """
    result = _try(lambda: compare(runs), release)
    if result is not None:
        return result
    pruned = _try(lambda: answer(_fresh(runs, runs.task, runs.localizers)), release)
    if pruned is not None:
        raise OutOfMemory(_pruned_only_message(pruned, runs.task.config.method))
    smaller = _smaller(runs)
    result = None if smaller is None else _try(lambda: compare(smaller), release)
    if result is None:
        raise OutOfMemory(f"The device has too little memory for this question, even with pruning; {ADVICE}.")
    return _restore_size(result, runs.task)


def measure_with_fallback(runs: RequestRuns, with_baseline: bool, release: Callable[[], None]) -> Iterator[Measured]:
    """`measure`; of smaller images where the first pair does not fit: `compare_with_fallback` answered about them."""
    fits = False
    try:
        with translate_oom(release):
            for measured in measure(runs, with_baseline):
                fits = True
                yield measured
            return
    except OutOfMemory:
        smaller = None if fits else _smaller(runs)
        if smaller is None:
            raise
    with translate_oom(release):
        yield from measure(smaller, with_baseline)


def _try(work: Callable[[], Result], release: Callable[[], None]) -> Result | None:
    """The result of `work`, None where it does not fit."""
    try:
        with translate_oom(release):
            return work()
    except OutOfMemory:
        return None


def _clear_frames(error: BaseException | None) -> None:
    """Drop every local variable, and so every tensor, of the frames that the error passed through."""
    while error is not None:
        traceback.clear_frames(error.__traceback__)
        error = error.__context__


def _fresh(runs: RequestRuns, task: Task, localizers: Sequence[Localizer]) -> RequestRuns:
    """The request about another task, without results."""
    return RequestRuns(task, localizers, runs.progress, runs.memory)


def _pruned_only_message(pruned: Answer, method: str) -> str:
    kept, total = pruned.total("mean_tokens"), pruned.total("visual_tokens")
    return (
        f"The device has too little memory to answer with every visual token; the method {method!r} alone answers "
        f"“{pruned.text}” and reads {kept:.4g} of {total:.0f} visual tokens per layer; to compare both, {ADVICE}."
    )


def _smaller(runs: RequestRuns) -> RequestRuns | None:
    """The request with images of half the size; None where that saves no token, or the budget cannot be met."""
    task = runs.task
    halves = [image.resize([max(1, side // 2) for side in image.size]) for image in as_list(task.images)]
    try:
        small = Task(task.adapter, halves, task.question, task.config, history=task.history)
    except ValueError:
        return None
    if sum(each.count for each in small.layouts) >= sum(each.count for each in task.layouts):
        return None
    localizers = [
        KnownRegion(_scaled(each.region, image.size)) if isinstance(each, KnownRegion) else each
        for each, image in zip(runs.localizers, halves, strict=True)
    ]
    return _fresh(runs, small, localizers)


def _scaled(region: Region, size: tuple[int, int]) -> Region:
    return replace(region, width=size[0], height=size[1])


def _restore_size(result: Comparison, task: Task) -> Comparison:
    """The result of the smaller images in pixels of the original ones, with the notice."""
    images = as_list(task.images)
    what, they = ("the image", "it was") if len(images) == 1 else ("the images", "they were")

    def on_original(reply: Answer) -> Answer:
        return replace(reply, traces=tuple(map(_trace_on, reply.traces, images)))

    return replace(
        result,
        regions=tuple(_scaled(region, image.size) for region, image in zip(result.regions, images, strict=True)),
        baseline=on_original(result.baseline),
        crop=on_original(result.crop),
        notices=[HALVED.format(what=what, they=they), *result.notices],
    )


def _trace_on(trace: TokenTrace, image: Image.Image) -> TokenTrace:
    """The trace in pixels of the original image."""
    across, down = (new / old for new, old in zip(image.size, trace.image_size, strict=True))
    left, top, right, bottom = trace.visible
    return replace(
        trace,
        image_size=image.size,
        boxes=trace.boxes * (across, down, across, down),
        visible=(left * across, top * down, right * across, bottom * down),
        region=_scaled(trace.region, image.size),
        explanation=trace.explanation and trace.explanation.scaled(across, down),
    )
