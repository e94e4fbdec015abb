"""API endpoints: ask, compare and localize. They take the inputs of the page, and answer in JSON.

The same three are the tools of the MCP server, where that is enabled; their docstrings are what a client reads.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from typing import Any

import gradio as gr
from gradio.utils import get_function_description
from PIL import Image

from crop_core.io.images import check_question, image_notices, open_image
from crop_core.records.config import Budget, ConfigError, CropConfig
from crop_core.records.explanation import Explanation, Localization
from crop_core.records.formatting import truncated_repr
from crop_core.records.localizers import comparable_localizers
from crop_core.records.methods import method_of
from crop_core.records.region import Region, RegionError, numbers_in
from crop_core.records.request import Engine, EngineRequest, QueueStatus, R, ResultStream
from crop_core.records.results import Answer, Comparison, StreamEvent
from crop_core.records.saving import localizer_notices
from crop_core.records.timing import Measured
from ui.page.api_inputs import ApiFlag, ApiImage, ApiNumber, ApiRegion, ApiText
from ui.page.controls import parse_longest

log = logging.getLogger(__name__)
PREDICTING = ("predicted", *comparable_localizers())  # regions are drawn by their cells
NAMES = ("ask", "compare", "localize")
PARAMETERS: tuple[tuple[str, Any, Any, Any], ...] = (  # after image and question: name, component, default, example
    ("method", ApiText, "crop", "crop"),
    ("budget", ApiNumber, "", "64"),
    ("region", ApiRegion, "", "2,2,5,5"),
    ("max_new_tokens", ApiNumber, "", "32"),
    ("short_answer", ApiFlag, False, False),
    ("localizer", ApiText, "", "self"),
)
BROKEN = "The model could not answer: something went wrong inside; the app's log says what."


@dataclass(frozen=True)
class Endpoints:
    """The endpoints over one engine; invalid input is a `gr.Error` with one sentence."""

    engine: Engine

    def ask(
        self,
        image: str | None,
        question: str,
        method: str,
        budget: str,
        region: str,
        max_new_tokens: str = "",
        short_answer: bool = False,
        localizer: str = "",
    ) -> dict[str, Any]:
        """Answer a question about an image by a pruning method.

        Args:
            image: a data URL, bare base64, or the path that /gradio_api/upload returned; addresses are not fetched.
            question: what to ask, up to 500 characters.
            method: crop, plc, ilp, fastv, divprune, random and the others, two joined (plc+fastv), or fastv@paper.
            budget: mean tokens per layer (64), a share (11.1%) or what is left at the end (64 left); empty: default.
            region: grid cells x0,y0,x1,y1 from 0 to 7 that hold the answer, as a text or a list; empty to predict them.
            max_new_tokens: longest answer, in tokens; empty for the model's own limit.
            short_answer: whether the model is asked for a short answer, by a sentence that the notices show.
            localizer: what predicts the region: self, text or whole; empty for the app's own.

        Returns:
            answer, region and how it came about, settings, unknown words, notices, costs (medians and ranges of times).
        """
        settings = method, budget, region, max_new_tokens, short_answer, localizer
        return self._checked(lambda: self._answered(image, question, *settings))

    def compare(
        self,
        image: str | None,
        question: str,
        method: str,
        budget: str,
        region: str,
        max_new_tokens: str = "",
        short_answer: bool = False,
        localizer: str = "",
    ) -> dict[str, Any]:
        """Answer a question about an image with every visual token (the baseline) and by a pruning method.

        Args:
            image: a data URL, bare base64, or the path that /gradio_api/upload returned; addresses are not fetched.
            question: what to ask, up to 500 characters.
            method: crop, plc, ilp, fastv, divprune, random and the others, two joined (plc+fastv), or fastv@paper.
            budget: mean tokens per layer (64), a share (11.1%) or what is left at the end (64 left); empty: default.
            region: grid cells x0,y0,x1,y1 from 0 to 7 that hold the answer, as a text or a list; empty to predict them.
            max_new_tokens: longest answer, in tokens; empty for the model's own limit.
            short_answer: whether the model is asked for a short answer, by a sentence that the notices show.
            localizer: what predicts the region: self, text or whole; empty for the app's own.

        Returns:
            both answers, their costs (medians and ranges of times), and what happened to every visual token.
        """
        settings = method, budget, region, max_new_tokens, short_answer, localizer
        return self._checked(lambda: self._compared(image, question, *settings))

    def localize(self, image: str | None, question: str, localizer: str = "") -> dict[str, Any]:
        """Find the region of an image that holds the answer to a question.

        Args:
            image: a data URL, bare base64, or the path that /gradio_api/upload returned; addresses are not fetched.
            question: what to ask, up to 500 characters.
            localizer: what predicts the region: self, text or whole; empty for the app's own.

        Returns:
            grid cells, pixel box, confidence that they hold what the answer needs, how they came about, cost, notices.
        """
        return self._checked(lambda: self._localized(image, question, localizer))

    def _answered(self, *settings: Any) -> dict[str, Any]:
        request = EngineRequest[Answer]("answer", *self._request(*settings), with_baseline=False)
        answer = self.engine.call(unmeasured(request))
        for measured in self._measured(request):
            answer = answer.measured(measured)
        result = answer.to_json(with_trace=False)
        how = {name: getattr(answer, name) for name in ("method", "budget", "unknown_words", "notices")}
        trace, why = answer.trace, explanation_json(answer.trace.explanation)
        return {"region": trace.region.to_json(), "explanation": why, **result, **how}

    def _compared(self, *settings: Any) -> dict[str, Any]:
        request = EngineRequest[Comparison]("compare", *self._request(*settings))
        result = self.engine.call(unmeasured(request))
        for measured in self._measured(request):
            result = result.measured(measured)
        return {**result.to_json(), "notices": [*result.notices, *localizer_notices(result)]}

    def _measured(self, request: EngineRequest[Any]) -> Iterator[Measured]:
        """What is measured of a request's runs, as far as it goes: it ends where it would wait for others."""
        stream: ResultStream[StreamEvent] = self.engine.stream(replace(request, kind="measure"))
        with suppress(ValueError), closing(stream):
            for event in stream:
                if isinstance(event, QueueStatus):
                    return
                if event.measured is not None:
                    yield event.measured

    def _localized(self, image: str | None, question: str, localizer: str) -> dict[str, Any]:
        opened, text, config = open_image(image), check_question(question), CropConfig(localizer=named(localizer))
        request = EngineRequest[Localization]("localize", (opened,), text, config, explain=True)
        found = self.engine.call(request)
        cost = {"seconds": found.seconds, "flops": found.flops, "weights_bytes": found.weights_bytes}
        return {
            **found.region.to_json(),
            "explanation": explanation_json(found.explanation),
            "cost": cost,
            "notices": [*image_notices(request.images), *found.notices],
        }

    @staticmethod
    def _request(
        image: str | None,
        question: str,
        method: str,
        budget: str,
        region: str,
        max_new_tokens: str,
        short_answer: bool,
        localizer: str,
    ) -> tuple[tuple[Image.Image], str, CropConfig, tuple[Region | None]]:
        opened, text, name = open_image(image), check_question(question), (method or "").strip() or "crop"
        if not method_of(name).prunes:
            raise ConfigError(f"The method {truncated_repr(name)} prunes nothing; choose one that does, such as crop.")
        longest, found_by = parse_longest(max_new_tokens or ""), named(localizer)
        config = CropConfig(name, max_new_tokens=longest, short_answer=short_answer, localizer=found_by)
        if (budget or "").strip():
            config = replace(config, budget=Budget.parse(budget))
        return (opened,), text, config, (cells(region or "", opened.size),)

    @staticmethod
    def _checked(work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        try:
            return work()
        except ValueError as error:
            raise gr.Error(str(error), print_exception=False) from None
        except Exception:
            log.exception("the engine failed")
            raise gr.Error(BROKEN, print_exception=False) from None


def named(localizer: str | None) -> str:
    """The localizer of a config; the app's own when empty. ConfigError for a name that predicts no region."""
    name = (localizer or "").strip() or "predicted"
    if name not in PREDICTING:
        choices = ", ".join(PREDICTING)
        raise ConfigError(f"The localizer {truncated_repr(name)} is not known; choose one of {choices}.")
    return name


def explanation_json(explanation: Explanation | None) -> dict[str, Any] | None:
    """How a region came about; None where it was given."""
    return None if explanation is None else explanation.to_json()


def unmeasured(request: EngineRequest[R]) -> EngineRequest[R]:
    """The request for the answer alone."""
    return replace(request, config=replace(request.config, repeats=1), memory=False)


def cells(text: str, size: tuple[int, int]) -> Region | None:
    """A drawn region from "x0,y0,x1,y1"; None when empty. RegionError for anything else."""
    if not text.strip():
        return None
    try:
        x0, y0, x1, y1 = map(int, numbers_in(text))
    except ValueError:
        raise RegionError(
            f"The region {truncated_repr(text)} is not four grid cells x0,y0,x1,y1 from 0 to 7; write it like 2,2,5,5."
        ) from None
    return Region(x0, y0, x1, y1, *size, "drawn")


def endpoints(engine: Engine, model: dict[str, Any]) -> None:
    """Add the endpoints to the app that is being built, on hidden widgets."""
    own = Endpoints(engine)
    _, about, _ = get_function_description(own.ask)
    with gr.Column(visible=False):
        image = ApiImage(label="image")
        question = ApiText(label="question").described(about["question"], "what is left of the dog?")
        settings = [
            kind(value, label=name).described(about[name], example) for name, kind, value, example in PARAMETERS
        ]
        answer = gr.JSON(label="result")
        trigger = gr.Button()
    for name, inputs in (("ask", settings), ("compare", settings), ("localize", settings[-1:])):
        trigger.click(getattr(own, name), [image, question, *inputs], answer, api_name=name, **model)
