"""The fold under what a tab shows that saves it as a figure.

The file is made while the fold is open: a figure that nobody wants costs nothing.
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
IN_TURN: dict[str, Any] = {"trigger_mode": "always_last", "concurrency_limit": 1}
FORGET_AFTER = 3600  # seconds for which what is on screen can be saved
NOTHING = "There is nothing to save yet: start it above."
NO_NUMBER = f"The width of a figure is a number of centimetres; give one from {MIN_WIDTH:g} to {MAX_WIDTH:g}."


class LatestOnly:
    """A number on the page, which nobody sees, changes with every wish.

    Handlers of one event each would run beside each other, and an earlier wish could come true last. Gradio's page
    holds a wish back only once it knows of the one before, and sends two that come at once; so the server makes one
    after the other too, in the order in which they came.
    """

    def __init__(self) -> None:
        self._due = gr.Number(visible="hidden", container=False)

    def asked_by(self, *listeners: Callable[..., Any]) -> None:
        """Each of these events asks for it."""
        for listen in listeners:
            listen(None, None, self._due, js="() => performance.now()", **QUIET)

    def made_by(self, make: Callable[..., Any], inputs: Sequence[Any], outputs: Sequence[Any], **how: Any) -> None:
        """How it is made. While that goes on, of all further wishes the last one waits."""
        self._due.change(make, [*inputs], [*outputs], **IN_TURN, **how, **QUIET)


def chosen(option: Any) -> Callable[..., Any]:
    """The event of an option's new value; of one that is typed, when it has been."""
    listen: Callable[..., Any] = option.blur if isinstance(option, (gr.Number, gr.Textbox)) else option.input
    return listen


class SaveFigure:
    """The widgets, whose ids begin with `name`. plate: what is on screen, None for nothing."""

    def __init__(self, name: str) -> None:
        self.plate = gr.State(None, time_to_live=FORGET_AFTER)
        self.looked_at = gr.Checkbox(False, visible=False)
        with gr.Accordion("Save this figure", open=False, elem_id=f"{name}-save") as place:
            with gr.Row():
                self.kind, self.width = format_and_width(name)
            self.note = gr.HTML("", elem_id=f"{name}-note", elem_classes="figure-note", apply_default_css=False)
            self.button = gr.DownloadButton("Figure", interactive=False, elem_id=f"{name}-file")
        opened = place.expand(None, None, self.looked_at, js="() => true", **QUIET)
        place.collapse(None, None, self.looked_at, js="() => false", **QUIET)
        self.latest = LatestOnly()
        self.latest.made_by(saved, [self.plate, self.looked_at, self.kind, self.width], [self.button, self.note])
        self.latest.asked_by(opened.then, chosen(self.kind), chosen(self.width))

    def withdraw(self, listen: Callable[..., Any]) -> None:
        """From now on something else is made: no file is to be had until it is there."""
        listen(lambda: gr.DownloadButton(interactive=False), None, self.button, queue=False, **QUIET)


def saved(plate: ExportFigure | None, looked_at: bool, kind: str, width: Any) -> tuple[Any, str]:
    """(button, message) for what is on screen; one sentence for options (from the browser) that cannot be."""
    if not looked_at:
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
    """Centimetres; FigureError for what is no number."""
    try:
        return float(width)
    except (TypeError, ValueError, OverflowError):
        raise FigureError(NO_NUMBER) from None
