"""API endpoints: ask, compare and localize. They take the inputs of the page, and answer in JSON.

The same three are the tools of the MCP server, where that is enabled; their docstrings are what a client reads.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import gradio as gr
from PIL import Image

from crop_core.io.images import check_question, open_image
from crop_core.records.config import Budget, ConfigError, CropConfig
from crop_core.records.formatting import truncated_repr
from crop_core.records.methods import method_of
from crop_core.records.region import Region, RegionError
from crop_core.records.request import Engine, EngineRequest
from crop_core.records.results import Answer, Comparison
from ui.page.components import ImageInput

log = logging.getLogger(__name__)
NAMES = ("ask", "compare", "localize")
BROKEN = "The model could not answer: something went wrong inside; the app's log says what."


@dataclass(frozen=True)
class Endpoints:
    """The endpoints over one engine; invalid input is a `gr.Error` with one sentence."""

    engine: Engine

    def ask(self, image: str | None, question: str, method: str, budget: str, region: str) -> dict[str, Any]:
        """Answer a question about an image by a pruning method.

        Args:
            image: the image.
            question: what to ask, up to 500 characters.
            method: crop, plc, ilp, fastv, divprune, random and the others, or two joined as in plc+fastv.
            budget: mean number of visual tokens per layer (64), or a share of them (11.1%); empty for the default.
            region: grid cells x0,y0,x1,y1 from 0 to 7 that hold the answer; empty to have them predicted.

        Returns:
            answer, region, and what it cost.
        """
        return self._checked(lambda: self._answered(image, question, method, budget, region))

    def compare(self, image: str | None, question: str, method: str, budget: str, region: str) -> dict[str, Any]:
        """Answer a question about an image with every visual token (the baseline) and by a pruning method.

        Args:
            image: the image.
            question: what to ask, up to 500 characters.
            method: crop, plc, ilp, fastv, divprune, random and the others, or two joined as in plc+fastv.
            budget: mean number of visual tokens per layer (64), or a share of them (11.1%); empty for the default.
            region: grid cells x0,y0,x1,y1 from 0 to 7 that hold the answer; empty to have them predicted.

        Returns:
            both answers with their costs, and what happened to every visual token.
        """
        return self._checked(lambda: self._compared(image, question, method, budget, region))

    def localize(self, image: str | None, question: str) -> dict[str, Any]:
        """Find the region of an image that holds the answer to a question.

        Args:
            image: the image.
            question: what to ask, up to 500 characters.

        Returns:
            grid cells, pixel box, and the confidence that they hold all that the answer needs.
        """
        return self._checked(lambda: self._localized(image, question))

    def _answered(self, *settings: Any) -> dict[str, Any]:
        answer = self.engine.call(EngineRequest[Answer]("answer", *self._request(*settings)))
        return {"region": answer.trace.region.to_json(), **answer.to_json(with_trace=False)}

    def _compared(self, *settings: Any) -> dict[str, Any]:
        return self.engine.call(EngineRequest[Comparison]("compare", *self._request(*settings))).to_json()

    def _localized(self, image: str | None, question: str) -> dict[str, Any]:
        request = EngineRequest[Region]("localize", (open_image(image),), check_question(question))
        return self.engine.call(request).to_json()

    @staticmethod
    def _request(
        image: str | None, question: str, method: str, budget: str, region: str
    ) -> tuple[tuple[Image.Image], str, CropConfig, tuple[Region | None]]:
        opened, text, name = open_image(image), check_question(question), (method or "").strip() or "crop"
        if not method_of(name).prunes:
            raise ConfigError(f"The method {truncated_repr(name)} prunes nothing; choose one that does, such as crop.")
        config = CropConfig(method=name)
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


def cells(text: str, size: tuple[int, int]) -> Region | None:
    """A drawn region from "x0,y0,x1,y1"; None when empty. RegionError for anything else."""
    if not text.strip():
        return None
    try:
        x0, y0, x1, y1 = (int(part) for part in text.split(","))
    except ValueError:
        raise RegionError(
            f"The region {truncated_repr(text)} is not four grid cells; write them like 2,2,5,5."
        ) from None
    return Region(x0, y0, x1, y1, *size, "drawn")


def endpoints(engine: Engine, model: dict[str, Any]) -> None:
    """Add the endpoints to the app that is being built, on hidden widgets."""
    own = Endpoints(engine)
    with gr.Column(visible=False):
        image, question = ImageInput(label="image"), gr.Textbox(label="question")
        method, budget = gr.Textbox("crop", label="method"), gr.Textbox("", label="budget")
        region, answer = gr.Textbox("", label="region"), gr.JSON(label="result")
        trigger = gr.Button()
    settings = [method, budget, region]
    for name, inputs in (("ask", settings), ("compare", settings), ("localize", [])):
        trigger.click(getattr(own, name), [image, question, *inputs], answer, api_name=name, **model)
