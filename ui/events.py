"""What happens when somebody asks: bad input becomes one sentence, an engine's stream becomes what is on screen.

One object per app, with no state that a request changes: what belongs to a visitor travels through Gradio's session.
"""

from __future__ import annotations

import html
import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import gradio as gr
from gradio.processing_utils import save_bytes_to_cache
from gradio.utils import get_upload_folder

from crop_core.images import check_question, open_image
from ui import controls, figures, overlays, words
from ui.examples import Example
from ui.payload import View

if TYPE_CHECKING:
    from PIL import Image

    from crop_core.config import CropConfig
    from crop_core.records import Comparison, StreamEvent
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


@dataclass(frozen=True, eq=False)
class Finished:
    """One visitor's latest picture and result, kept in the session for figures and downloads."""

    image: Image.Image
    result: Comparison


def message(sentence: str = "") -> str:
    """The message area: nothing, or one sentence that screen readers announce."""
    return f"<p class='message' role='alert'>{html.escape(sentence)}</p>" if sentence else ""


class Handlers:
    """The app's event handlers over one engine and its examples."""

    def __init__(self, engine: Engine, examples: list[Example]) -> None:
        self.engine = engine
        self.examples = examples

    def preview(self, path: str | None) -> tuple[Any, str]:
        """A new picture: (explorer, message). None, or a bad one, leaves the explorer as it is."""
        if path is None:  # taken away
            return gr.skip(), message()
        try:
            return View.of(open_image(path)).to_json(), message()
        except ValueError as error:
            return gr.skip(), message(str(error))

    def ask(self, path: str | None, question: str, *settings: Any) -> Iterator[tuple[Any, Any, Any]]:
        """Streams (explorer, message, state) for one question; bad input changes the message only."""
        shown = gr.skip()  # said again, should the engine fail half-way: a stream must not go back to skipping
        try:
            image, text = open_image(path), check_question(question)
            wanted = controls.read(settings, image.size)
            for outputs in self.comparison(image, text, wanted):
                shown = outputs[0]
                yield outputs
        except ValueError as error:
            yield shown, message(str(error)), gr.skip()
        except Exception:
            log.exception("the engine failed")
            yield shown, message(BROKEN), gr.skip()

    def comparison(self, image: Image.Image, question: str, wanted: controls.Wanted) -> Iterator[tuple[Any, Any, Any]]:
        """The engine's stream as (explorer, message, state).

        Nothing is shown before the engine's first event, so that a budget or box that it refuses changes nothing.
        """
        view = View.of(image, question, words.method_name(wanted.config.method))
        for event in self.engine.stream(image, question, wanted.config, wanted.region):
            view = view.event(event)
            done = Finished(image, event.comparison) if event.comparison is not None else gr.skip()
            yield view.to_json(), message(), done

    def show_example(self, event: gr.EventData) -> tuple[Any, Any]:
        """(picture, question) of a clicked example."""
        chosen = self.chosen(event)
        return (str(chosen.image), chosen.question) if chosen else (gr.skip(), gr.skip())

    def chosen(self, event: gr.EventData) -> Example | None:
        """The example that an event names, or None when it names none: the index comes from the browser."""
        index = (event._data or {}).get("index") if isinstance(event._data, dict) else None
        return self.examples[index] if type(index) is int and 0 <= index < len(self.examples) else None

    def withdraw(self) -> tuple[Any, Any]:
        """(picture file, JSON file) are not to be had until `extras` makes those of the new result."""
        return gr.DownloadButton(interactive=False), gr.DownloadButton(interactive=False)

    def extras(self, state: Finished | None) -> tuple[Any, ...]:
        """(time figure, alive figure, picture file, JSON file) of the latest result."""
        if state is None:
            return (gr.skip(),) * 4
        sheet = overlays.png(overlays.sheet(state.image, state.result.crop.trace))
        record = json.dumps(state.result.to_json(), allow_nan=False).encode()
        files = ((sheet, "crop-explorer.png"), (record, "crop-explorer.json"))
        saved = [save_bytes_to_cache(*file, get_upload_folder()) for file in files]
        buttons = [gr.DownloadButton(value=path, interactive=True) for path in saved]
        return figures.time_split(state.result), figures.alive_curve(state.result), *buttons
