"""What the sweeps on the page share: the choice of methods, the buttons that start and end one, and their wiring."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gradio as gr

from crop_core.records.methods import pruning_methods
from ui.page.save_figure import SaveFigure
from ui.page.sweeps import called


def method_choice(methods: list[str], elem_id: str) -> gr.Dropdown:
    """Which methods a sweep runs; `methods` at first."""
    choices = [(called(name), name) for name in pruning_methods()]
    return gr.Dropdown(choices, value=methods, multiselect=True, label="Methods", elem_id=elem_id)


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
