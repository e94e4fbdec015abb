"""What happens when somebody asks: bad input becomes one sentence, an engine's stream becomes what is on screen.

One object per app, with no state that a request changes: what belongs to a visitor travels through Gradio's session.
"""

from __future__ import annotations

import html
import logging
from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

import gradio as gr

from crop_core.embedded import data_url
from crop_core.images import check_question, open_image
from ui import controls, figures, links, words
from ui.examples import Example
from ui.history import Finished, History, strip_html
from ui.payload import View

if TYPE_CHECKING:
    from PIL import Image

    from crop_core.config import CropConfig
    from crop_core.records import StreamEvent
    from crop_core.region import Region

log = logging.getLogger(__name__)
BROKEN = (
    "The model could not answer: something went wrong inside. The app's log says what; nothing on screen has changed."
)


class Engine(Protocol):
    """What the interface needs of an engine (`crop_core.engine.CropEngine`)."""

    def stream(
        self, image: Image.Image, question: str, config: CropConfig, region: Region | None = None
    ) -> Iterator[StreamEvent]:
        """Events of one comparison, the last one with the comparison itself."""
        ...


def message(sentence: str = "") -> str:
    """The message area: nothing, or one sentence that screen readers announce."""
    return f"<p class='message' role='alert'>{html.escape(sentence)}</p>" if sentence else ""


class Handlers:
    """The app's event handlers over one engine and its examples."""

    def __init__(self, engine: Engine, examples: list[Example]) -> None:
        self.engine = engine
        self.examples = examples

    def preview(self, path: str | None, mode: str) -> tuple[Any, str, Any]:
        """A new picture: (explorer, message, region mode). None, or a bad one, leaves the explorer as it is."""
        if path is None:  # taken away
            return gr.skip(), message(), gr.skip()
        try:
            return View.of(open_image(path)).to_json(), message(), controls.without_drawn(mode)
        except ValueError as error:
            return gr.skip(), message(str(error)), gr.skip()

    def ask(self, history: History, path: str | None, question: str, *settings: Any) -> Iterator[tuple[Any, Any, Any]]:
        """Streams (explorer, message, history) for one question; bad input changes the message only."""
        shown = gr.skip()  # said again, should the engine fail half-way: a stream must not go back to skipping
        try:
            image, text = open_image(path), check_question(question)
            wanted = controls.read(settings, image.size)
            for view, done in self.comparison(image, text, wanted):
                shown = view.to_json()
                yield shown, message(), history.add(replace(done, settings=settings)) if done else gr.skip()
        except ValueError as error:
            yield shown, message(str(error)), gr.skip()
        except Exception:
            log.exception("the engine failed")
            yield shown, message(BROKEN), gr.skip()

    def comparison(
        self, image: Image.Image, question: str, wanted: controls.Wanted
    ) -> Iterator[tuple[View, Finished | None]]:
        """The engine's stream as views, the last one with the finished run.

        Nothing is shown before the engine's first event, so that a budget or box that it refuses changes nothing.
        """
        view = View.of(image, question, words.method_name(wanted.config.method))
        for event in self.engine.stream(image, question, wanted.config, wanted.region):
            view = view.event(event)
            yield view, None if event.comparison is None else Finished(image, event.comparison, view)

    def show_example(self, mode: str, event: gr.EventData) -> tuple[Any, Any, Any]:
        """(picture, question, region mode) of a clicked example; an index that is none changes nothing."""
        index = index_of(event)
        if not (type(index) is int and 0 <= index < len(self.examples)):
            return gr.skip(), gr.skip(), gr.skip()
        chosen = self.examples[index]
        return str(chosen.image), chosen.question, controls.without_drawn(mode)

    def show_failure(self, mode: str, event: gr.EventData) -> tuple[Any, ...]:
        """(picture, question, region mode, budget, tab) of a clicked example on which CROP fails at 64 tokens."""
        shown = self.show_example(mode, event)
        known = isinstance(shown[0], str)
        return *shown, "64" if known else gr.skip(), gr.Tabs(selected="explore") if known else gr.skip()

    def show_run(self, history: History, event: gr.EventData) -> tuple[Any, Any]:
        """(explorer, history) with the clicked run of the history on screen again."""
        chosen = history.choose(index_of(event))
        return (chosen.shown.view.to_json(), chosen) if chosen.shown else (gr.skip(), gr.skip())

    def extras(self, history: History) -> tuple[Any, ...]:
        """(runs so far, link, time figure, alive figure) of the result on screen."""
        state = history.shown
        if state is None:
            return (gr.skip(),) * 4
        shown = figures.time_split(state.result), figures.alive_curve(state.result)
        return strip_html(history), self.link(state), *shown

    def link(self, run: Finished) -> Any:
        """The query that brings a run back, of those whose picture is an example."""
        example = self._pictures.get(run.view.image)
        if example is None or run.file:
            return gr.Textbox("", visible=False)
        return gr.Textbox(links.query(example, run.result.question, run.settings), visible=True)

    @cached_property
    def _pictures(self) -> dict[str, Example]:
        """The examples by what the browser is sent of their pictures."""
        return {data_url(open_image(one.image)): one for one in self.examples}

    def restore(self, request: gr.Request, *settings: Any) -> tuple[Any, ...]:
        """(message, picture, question, *settings) of the link that the page was opened with, if it was."""
        try:
            found = links.read(dict(request.query_params), self.examples, settings)
        except ValueError as error:
            return message(str(error)), *(gr.skip(),) * (2 + len(settings))
        return message(), *(found or (gr.skip(),) * (2 + len(settings)))


def index_of(event: gr.EventData) -> object:
    """What a strip's event calls its index; it comes from the browser, and may be anything."""
    return event._data.get("index") if isinstance(event._data, dict) else None
