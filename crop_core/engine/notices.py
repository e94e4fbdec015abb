"""Notices of a run for its user: about the images, the regions, earlier turns, and answers that a limit has ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from crop_core.engine.localized_regions import LocalizedRegions
from crop_core.engine.run import Task
from crop_core.io.images import image_notices
from crop_core.models import keeps_history
from crop_core.models.adapter import as_list
from crop_core.records.formatting import counted
from crop_core.records.results import Answer
from crop_core.records.trace import TokenTrace, region_notices


def run_notices(task: Task, located: LocalizedRegions, traces: Sequence[TokenTrace], known: str) -> list[str]:
    """Every notice of a pruned run but those on its answer, each sentence once. known: as `Adapter.unfamiliar`."""
    localizers = [notice for result in located.results for notice in result.notices]
    sentences = [
        *unfamiliar_notices(task, known),
        *image_notices(as_list(task.images)),
        *_size_notices(task),
        *task.adapter.notices,
        *_request_notices(task),
        *localizers,
        *region_notices(traces, task.config.budget if task.config.parts.prunes else None),
        *_history_notices(task),
    ]
    return list(dict.fromkeys(sentences))


def unfamiliar_notices(task: Task, known: str) -> list[str]:
    """Notice of an image that is unlike those of the model's training. known: as `Adapter.unfamiliar`."""
    if not known:
        return []
    what = "This does not look like" if len(task.layouts) == 1 else "Not all of these images look like"
    return [
        f"{what} {known}, which are all that {task.adapter.name} knows: the answers, the region and its confidence are "
        "guesses. For other images load a real model, such as llava-hf/llava-1.5-7b-hf."
    ]


def _history_notices(task: Task) -> list[str]:
    """Notice of a follow-up question: what the model reads again."""
    if not task.history:
        return []
    images = len(task.layouts)
    what = "image was" if images == 1 else "images were"
    keeps = keeps_history(task.adapter, task.question, images, task.history)
    alone = "" if keeps else f" {task.adapter.name} reads each question by itself, without earlier ones."
    return [f"A follow-up: the {what} read again in full, and the region is that of this question.{alone}"]


def _request_notices(task: Task) -> list[str]:
    """Notice of the request for a short answer, in its own words."""
    request = task.prompt_question.removeprefix(task.question).strip()
    return [f"The model read one more sentence below the question: “{request}”"] if request else []


def _size_notices(task: Task) -> list[str]:
    """Notice of images that are larger than the model's processor can be given."""
    adapter, sizes = task.adapter, [layout.image_size for layout in task.layouts]
    return [
        f"The image of {width}x{height} pixels was resized to {fitted[0]}x{fitted[1]}, the most for {adapter.name}."
        for width, height in dict.fromkeys(sizes)
        if (fitted := adapter.fitted_size((width, height))) != (width, height)
    ]


def cut_notices(task: Task, answers: Mapping[str, Answer]) -> list[str]:
    """Notice of answers, by what they are called in a sentence, that a limit has ended; none where none is cut."""
    cut = [name for name, answer in answers.items() if answer.cut]
    if not cut:
        return []
    which = f"{cut[0]} is" if len(cut) == 1 else "Both answers are"
    return [f"{which} cut after {counted(task.max_new_tokens, 'token')}; a larger max_new_tokens leaves more room."]
