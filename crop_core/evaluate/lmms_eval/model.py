"""The model "crop" of lmms-eval: a thin subclass that hands requests on. lmms-eval alone imports this file.

Differs from lmms-eval's own models: answers come one by one, while they are read, so that its response cache keeps each
at once; images lie before the text; nothing that goes wrong becomes an empty answer.
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
from crop_core.localize import WholeImage


class CropLmms(lmms):
    """arguments: those of `LmmsSettings`. batch_size: 1, since the engine takes a question at a time."""

    def __init__(self, batch_size: int | str = 1, max_batch_size: int | None = None, **arguments: Any) -> None:
        super().__init__()
        if str(batch_size) != "1":
            raise LmmsError(f"The batch size is {batch_size}, and questions are asked one by one; give 1.")
        settings = LmmsSettings.of(arguments)
        self._trace = settings.trace
        options = settings.engine_options()
        engine = CropEngine.from_pretrained(**{**options, "device": options["device"] or _own_gpu()})
        self.runner = RequestRunner(engine.adapter, engine.localizer or WholeImage(), settings.config)
        self._told: set[str] = set()

    @property
    def device(self) -> torch.device:
        """Where lmms-eval gathers what several processes count."""
        return self.runner.adapter.device

    def generate_until(self, requests: list[Instance]) -> Iterator[GenerationResult]:
        """The greedy answer to every request, in their order, each made when it is read; LmmsError and what `Task`
        raises for a request that cannot be answered, BudgetMissed for a method that did not prune.
        """
        for place, (context, settings, to_visual, *where) in self._each(requests):
            wanted = GenerationRequest.of(settings, place)
            self._tell(f"Nothing here reads the task's setting {name}." for name in wanted.ignored)
            images, question = self._images(to_visual, where, place), request_text(context, "question", place)
            asked = self.runner.answer(images, question, wanted.max_new_tokens)
            self._keep("generate_until", where, asked)
            counts = TokenCounts(output_tokens=len(asked.run.generated.ids))
            yield GenerationResult(wanted.cut(asked.text), counts)

    def loglikelihood(self, requests: list[Instance]) -> Iterator[GenerationResult]:
        """For every request the loss (mean negative log-probability of a token, nats) of its continuation, and whether
        it is the greedy answer. A loss, as of lmms-eval's own models: its multiple-choice tasks take the least.

        The pair is wrapped because lmms-eval 0.7 makes a text of a bare one, and then cannot read it.
        """
        for place, (context, target, to_visual, *where) in self._each(requests):
            continuation = request_text(
                target(self._document(where)) if callable(target) else target, "continuation", place
            )
            images, question = self._images(to_visual, where, place), request_text(context, "question", place)
            asked = self.runner.judge(images, question, continuation)
            self._keep("loglikelihood", where, asked)
            yield GenerationResult((asked.loss, asked.greedy))

    def generate_until_multi_round(self, requests: list[Instance]) -> NoReturn:
        """Not offered."""
        raise NotImplementedError(
            "The model crop answers one question at a time; choose a task whose output_type is generate_until or "
            "multiple_choice."
        )

    def _each(self, requests: list[Instance]) -> Iterator[tuple[str, tuple[Any, ...]]]:
        """What a sentence about a request begins with, and its six arguments; the means are logged at the end."""
        self.ledger = TokenLog(self._trace)
        try:
            for request in tqdm(requests, desc="CROP", disable=self.rank != 0):
                place = f"Question {request.doc_id} of the task {request.task_name}"
                if len(request.args) != 6:
                    raise LmmsError(f"{place} asks for an answer without its image; choose another metric or task.")
                yield place, request.args
        finally:
            self._log_means()

    def _document(self, where: Iterable[Any]) -> Any:
        """The row of the data set that a request is about."""
        number, task, split = where
        return self.task_dict[task][split][number]

    def _images(self, to_visual: Any, where: Iterable[Any], place: str) -> tuple[Image.Image, ...]:
        return request_images(to_visual(self._document(where)), place)

    def _keep(self, kind: str, where: Iterable[Any], asked: RequestRun) -> None:
        self._tell(notice for result in asked.located.results for notice in result.notices)
        number, task, split = where
        self.ledger.add({"task": task, "split": split, "doc_id": number, "request": kind}, asked.facts())

    def _tell(self, sentences: Iterable[str]) -> None:
        """Each once in all requests."""
        for sentence in sentences:
            if sentence not in self._told:
                self._told.add(sentence)
                logging.getLogger(__name__).warning(sentence)

    def _log_means(self) -> None:
        """lmms-eval shows them and writes them beside the results."""
        seconds, tokens = self.ledger.seconds, self.ledger.new_tokens
        if seconds:
            log_metrics(seconds, tokens, tokens / seconds, self.ledger.means())


def _own_gpu() -> str | None:
    """The GPU of this process where `accelerate launch` started several, None else."""
    several = int(os.environ.get("WORLD_SIZE", "1")) > 1 and torch.cuda.is_available()
    return f"cuda:{os.environ.get('LOCAL_RANK', '0')}" if several else None
