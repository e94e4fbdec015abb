"""The tabs beside the explorer: methods side by side, and budgets; and, under the explorer, where the answer lives.

Each has a button that starts it and one that ends it, and reads the image, question and settings on the left.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gradio as gr

from crop_core.records.methods import METHODS
from ui.page.components import GalleryView
from ui.page.save_figure import SaveFigure
from ui.page.sweeps import SweepHandlers, called
from ui.views.gallery import HEADERS, WIDTHS

CHOICES = [(called(name), name) for name in METHODS if name != "none"]
FIRST = ["crop", "divprune", "random", "fastv"]
METHODS_INTRO = (
    "Your question, asked by several methods at the same mean budget (Settings). Clear tokens are read in "
    "every layer; the earlier a token is gone, the paler it is; outlined ones are pooled. A click on a column's head "
    "sorts."
)
BUDGET_INTRO = (
    "How much of the answer to your question is left as the budget shrinks. The probability is that of "
    "the whole answer that every visual token gives; a cross is where the method says something else."
)
PLACES_INTRO = (
    "Slides the region, in the size that was found or drawn, over all 64 cells, and lets the model see nothing else: "
    "bright is where it still gives the answer of every token."
)


def methods_tab(many: SweepHandlers, inputs: list[Any], note: Any, model: dict[str, Any]) -> None:
    """Small multiples and a table that can be sorted."""
    with gr.Tab("Methods", id="methods"):
        gr.Markdown(METHODS_INTRO)
        names = gr.Dropdown(CHOICES, value=FIRST, multiselect=True, label="Methods", elem_id="chosen-methods")
        start, stop, status = buttons("Compare methods", "methods")
        gallery = GalleryView(elem_id="gallery")
        how: dict[str, Any] = {"interactive": False, "wrap": True, "show_label": False, "column_widths": WIDTHS}
        table = gr.Dataframe(headers=HEADERS, elem_id="methods-table", **how)
        save = SaveFigure("methods")
    shown = [gallery, table, save.plate, note, status]
    run(start, stop, many.methods, [*inputs[:2], names, *inputs[2:]], shown, save, model)


def budget_tab(many: SweepHandlers, inputs: list[Any], note: Any, model: dict[str, Any]) -> None:
    """Curves against the budget."""
    with gr.Tab("Budget", id="budget"):
        gr.Markdown(BUDGET_INTRO)
        names = gr.Dropdown(CHOICES, value=FIRST[:3], multiselect=True, label="Methods", elem_id="swept-methods")
        start, stop, status = buttons("Sweep the budget", "budgets")
        figure = gr.Plot(show_label=False, elem_id="budget-curves")
        save = SaveFigure("curves")
    shown = [figure, save.plate, note, status]
    run(start, stop, many.budgets, [*inputs[:2], names, *inputs[2:]], shown, save, model)


def places_part(many: SweepHandlers, inputs: list[Any], note: Any, model: dict[str, Any]) -> None:
    """The map of where the answer lives."""
    with gr.Accordion("Where does the answer live?", open=False, elem_id="places"):
        gr.Markdown(PLACES_INTRO)
        start, stop, status = buttons("Slide the region", "places")
        figure = gr.Plot(show_label=False, elem_id="answer-map")
        save = SaveFigure("map")
    run(start, stop, many.places, inputs, [figure, save.plate, note, status], save, model)


def buttons(label: str, name: str) -> tuple[gr.Button, gr.Button, gr.HTML]:
    """Start, stop, and the line that says how far it is."""
    with gr.Row(elem_classes="starter"):
        start = gr.Button(label, variant="primary", elem_id=f"start-{name}", scale=0, min_width=190)
        stop = gr.Button("Stop", elem_id=f"stop-{name}", scale=0, min_width=90)
        status = gr.HTML("", elem_id=f"status-{name}", apply_default_css=False)
    return start, stop, status


def run(
    start: gr.Button,
    stop: gr.Button,
    handler: Callable[..., Any],
    inputs: list[Any],
    outputs: list[Any],
    save: SaveFigure,
    model: dict[str, Any],
) -> None:
    """Wires one stream, its end, and the file of what it has shown by then."""
    save.withdraw(start.click)
    going = start.click(handler, inputs, outputs, api_visibility="private", **model)
    told = {"fn": lambda: "Stopped.", "outputs": outputs[-1], "queue": False, "api_visibility": "private"}
    ended = stop.click(**told, cancels=[going]).then(**told)  # once more, after what was under way when it was pressed
    for end in (going, ended):
        save.latest.asked_by(end.then)
