"""Accordion under a tab's view that saves it as a figure, and jobs of which only the latest request counts.

The file is made only while the accordion is open.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import gradio as gr

from ui.export.figure import MAX_WIDTH, MIN_WIDTH, FigureError
from ui.export.figure_files import format_and_width, offered, written
from ui.export.multi_run_figures import ExportFigure
from ui.views.rendering import message

QUIET: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
ONE_AT_A_TIME: dict[str, Any] = {"trigger_mode": "always_last", "concurrency_limit": 1}
FORGET_AFTER = 3600  # seconds for which the view can be saved
NOTHING = "There is nothing to save yet; start a run above."
NO_NUMBER = f"The width of a figure is a number of centimetres; give one from {MIN_WIDTH:g} to {MAX_WIDTH:g}."


class LatestOnly:
    """A job that runs once at a time, the latest request last: a hidden number on the page changes with every request.

    Handlers of separate events would run concurrently, and an earlier request could finish last. Gradio's page holds
    a request back only once it knows of the one before, and sends two that come at once; so the server runs them one
    after the other too, in order.
    """

    def __init__(self) -> None:
        self._due = gr.Number(visible="hidden", container=False)

    def requested_by(self, *listeners: Callable[..., Any]) -> None:
        """Run the job at each of these events."""
        for listen in listeners:
            listen(None, None, self._due, js="() => performance.now()", **QUIET)

    def runs(self, job: Callable[..., Any], inputs: Sequence[Any], outputs: Sequence[Any], **options: Any) -> None:
        """Set the job. While it runs, only the latest of further requests waits."""
        self._due.change(job, [*inputs], [*outputs], **ONE_AT_A_TIME, **options, **QUIET)


def value_event(option: Any) -> Callable[..., Any]:
    """Event of an option's new value; for a typed one, when it loses the focus."""
    listen: Callable[..., Any] = option.blur if isinstance(option, (gr.Number, gr.Textbox)) else option.input
    return listen


class SaveFigure:
    """Widgets that save a figure, with ids that begin with `name`. plate: the figure on screen, or None."""

    def __init__(self, name: str) -> None:
        self.plate = gr.State(None, time_to_live=FORGET_AFTER)
        self.is_open = gr.Checkbox(False, visible=False)
        with gr.Accordion("Save this figure", open=False, elem_id=f"{name}-save") as place:
            with gr.Row():
                self.kind, self.width = format_and_width(name)
            self.note = gr.HTML("", elem_id=f"{name}-note", elem_classes="figure-note", apply_default_css=False)
            self.button = gr.DownloadButton("Figure", interactive=False, elem_id=f"{name}-file")
        opened = place.expand(None, None, self.is_open, js="() => true", **QUIET)
        place.collapse(None, None, self.is_open, js="() => false", **QUIET)
        self.latest = LatestOnly()
        self.latest.runs(saved, [self.plate, self.is_open, self.kind, self.width], [self.button, self.note])
        self.latest.requested_by(opened.then, value_event(self.kind), value_event(self.width))

    def withdraw(self, listen: Callable[..., Any]) -> None:
        """Disable the download at this event, until the next figure is there."""
        listen(lambda: gr.DownloadButton(interactive=False), None, self.button, queue=False, **QUIET)


def saved(plate: ExportFigure | None, is_open: bool, kind: str, width: Any) -> tuple[Any, str]:
    """(button, message) for the figure on screen; one sentence for invalid options (from the browser)."""
    if not is_open:
        return gr.DownloadButton(interactive=False), ""
    try:
        if plate is None:
            raise FigureError(NOTHING)
        centimetres = number(width)
        content = written(plate.figure(centimetres), kind)
    except ValueError as error:
        return gr.DownloadButton(interactive=False), message(str(error))
    return offered(content, f"crop-explorer-{plate.name}.{kind.lower()}", f"Figure ({kind}, {centimetres:g} cm)"), ""


def number(width: Any) -> float:
    """Width in centimetres; FigureError unless it is a number."""
    try:
        return float(width)
    except (TypeError, ValueError, OverflowError):
        raise FigureError(NO_NUMBER) from None
