"""Model "crop" of lmms-eval: a thin subclass that passes requests on. Only lmms-eval imports this file.

Differs from lmms-eval's own models: answers are generated lazily, one by one, so that its response cache keeps each at
once; images come before the text; no error becomes an empty answer.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Iterator
from typing import Any, NoReturn

import torch
from lmms_eval.api.instance import GenerationResult, Instance, TokenCounts
from lmms_eval.api.model import lmms
from lmms_eval.models.model_utils.gen_metrics import log_metrics
from PIL import Image
from tqdm import tqdm

from crop_core.engine.engine import CropEngine
from crop_core.evaluate.lmms_eval.requests import GenerationRequest, request_images, request_text
from crop_core.evaluate.lmms_eval.runner import RequestRun, RequestRunner, TokenLog
from crop_core.evaluate.lmms_eval.settings import LmmsError, LmmsSettings
from crop_core.io.images import image_notices
from crop_core.localize import WholeImage


class CropLmms(lmms):
    """arguments: those of `LmmsSettings`. batch_size: 1, since the engine runs one question at a time."""

    def __init__(self, batch_size: int | str = 1, max_batch_size: int | None = None, **arguments: Any) -> None:
        super().__init__()
        if str(batch_size) != "1":
            raise LmmsError(f"The batch size is {batch_size}, and questions run one by one; give 1.")
        settings = LmmsSettings.of(arguments)
        self._trace = settings.trace
        options = settings.engine_options()
        engine = CropEngine.from_pretrained(**{**options, "device": options["device"] or _process_gpu()})
        self.runner = RequestRunner(engine.adapter, engine.localizer or WholeImage(), settings.config)
        self._warned: set[str] = set()

    @property
    def device(self) -> torch.device:
        """Where lmms-eval gathers the counts of several processes."""
        return self.runner.adapter.device

    def generate_until(self, requests: list[Instance]) -> Iterator[GenerationResult]:
        """The greedy answer to every request, in order, each generated when it is read; LmmsError and the errors of
        `Task` for a request that cannot be answered, BudgetMissed for a method that did not prune.
        """
        for place, (context, settings, to_visual, *where) in self._each(requests):
            generation = GenerationRequest.of(settings, place)
            self._warn(f"The task's setting {name} is ignored." for name in generation.ignored)
            images, question = self._images(to_visual, where, place), request_text(context, "question", place)
            result = self.runner.answer(images, question, generation.max_new_tokens)
            self._log("generate_until", where, result)
            counts = TokenCounts(output_tokens=len(result.run.generated.ids))
            yield GenerationResult(generation.cut(result.text), counts)

    def loglikelihood(self, requests: list[Instance]) -> Iterator[GenerationResult]:
        """For every request the loss (mean negative log-probability of a token, nats) of its continuation, and whether
        it is the greedy answer. A loss, as in lmms-eval's own models: its multiple-choice tasks take the lowest.

        The pair is wrapped because lmms-eval 0.7 turns a bare one into a text, which it then cannot read.
        """
        for place, (context, target, to_visual, *where) in self._each(requests):
            continuation = request_text(
                target(self._document(where)) if callable(target) else target, "continuation", place
            )
            images, question = self._images(to_visual, where, place), request_text(context, "question", place)
            result = self.runner.judge(images, question, continuation)
            self._log("loglikelihood", where, result)
            yield GenerationResult((result.loss, result.greedy))

    def generate_until_multi_round(self, requests: list[Instance]) -> NoReturn:
        """Not supported."""
        raise NotImplementedError(
            "The model crop answers one question at a time; choose a task whose output_type is generate_until or "
            "multiple_choice."
        )

    def _each(self, requests: list[Instance]) -> Iterator[tuple[str, tuple[Any, ...]]]:
        """The name of each request in messages, and its six arguments; the means are logged at the end."""
        self.token_log = TokenLog(self._trace)
        try:
            for request in tqdm(requests, desc="CROP", disable=self.rank != 0):
                place = f"Question {request.doc_id} of the task {request.task_name}"
                if len(request.args) != 6:
                    raise LmmsError(f"{place} asks for an answer without its image; choose another metric or task.")
                yield place, request.args
        finally:
            self._log_means()

    def _document(self, where: Iterable[Any]) -> Any:
        """The dataset row of a request."""
        number, task, split = where
        return self.task_dict[task][split][number]

    def _images(self, to_visual: Any, where: Iterable[Any], place: str) -> tuple[Image.Image, ...]:
        images = request_images(to_visual(self._document(where)), place)
        self._warn(f"{place}: {notice}" for notice in image_notices(images))
        return images

    def _log(self, kind: str, where: Iterable[Any], result: RequestRun) -> None:
        self._warn(notice for result in result.located.results for notice in result.notices)
        number, task, split = where
        self.token_log.add({"task": task, "split": split, "doc_id": number, "request": kind}, result.facts())

    def _warn(self, sentences: Iterable[str]) -> None:
        """Log each sentence once over all requests."""
        for sentence in sentences:
            if sentence not in self._warned:
                self._warned.add(sentence)
                logging.getLogger(__name__).warning(sentence)

    def _log_means(self) -> None:
        """Log the means, which lmms-eval shows and writes beside the results."""
        seconds, tokens = self.token_log.seconds, self.token_log.new_tokens
        if seconds:
            log_metrics(seconds, tokens, tokens / seconds, self.token_log.means())


def _process_gpu() -> str | None:
    """The GPU of this process where `accelerate launch` started several, else None."""
    several = int(os.environ.get("WORLD_SIZE", "1")) > 1 and torch.cuda.is_available()
    return f"cuda:{os.environ.get('LOCAL_RANK', '0')}" if several else None
