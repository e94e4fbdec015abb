"""Widgets shared by the sweeps: the choice of methods, start and stop buttons, and their bindings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gradio as gr

from crop_core.records.methods import pruning_methods
from ui.page.save_figure import SaveFigure
from ui.page.sweeps import method_title


def method_choice(methods: list[str], elem_id: str) -> gr.Dropdown:
    """Dropdown of the methods of a sweep; `methods` are the default."""
    choices = [(method_title(name), name) for name in pruning_methods()]
    return gr.Dropdown(choices, value=methods, multiselect=True, label="Methods", elem_id=elem_id)


def buttons(label: str, name: str) -> tuple[gr.Button, gr.Button, gr.HTML]:
    """Build start, stop, and the progress line."""
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
    """Bind one stream, its end, and the figure file of its results so far."""
    save.withdraw(start.click)
    running = start.click(handler, inputs, outputs, api_visibility="private", **model)
    stopped = {"fn": lambda: "Stopped.", "outputs": outputs[-1], "queue": False, "api_visibility": "private"}
    ended = stop.click(**stopped, cancels=[running]).then(**stopped)  # again, after a result that was under way
    for end in (running, ended):
        save.latest.requested_by(end.then)
