"""Widgets of the tabs that run one question many times, and what binds them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gradio as gr

from crop_core.records.localizers import comparable_localizers
from crop_core.records.methods import method_of, pruning_methods
from ui.page.components import QUIET
from ui.page.controls import JOINED_HELP, STOPPABLE
from ui.page.save_figure import SaveFigure
from ui.page.sweeps import OWN
from ui.views.progress import status_line

OPEN_TAB = "starts-open-tab"  # class of the button that Run and Enter press while its tab is open
OUTDATED = """(status) => !/>(Done|Stopped)/.test(status ?? "") ? status :
  '<span class="outdated">These results are of other inputs: another image, question or setting.</span>'"""


def method_choice(methods: list[str], elem_id: str) -> gr.Dropdown:
    """Dropdown of the methods of a sweep, where joined ones can be typed; `methods` are the default."""
    choices = [(method_of(name).title, name) for name in pruning_methods()]
    options: dict[str, Any] = {"multiselect": True, "allow_custom_value": True, "info": JOINED_HELP}
    return gr.Dropdown(choices, value=methods, label="Methods", elem_id=elem_id, **options)


def localizer_choice(elem_id: str) -> gr.Dropdown:
    """Dropdown of the localizers that can be compared; hidden. Those that need no further package are chosen."""
    rows = comparable_localizers()
    choices = [(OWN, ""), *((f"{name}: {row.label}", name) for name, row in rows.items() if row.installed)]
    chosen = ["", *(name for name, row in rows.items() if not row.packages)]
    return gr.Dropdown(choices, value=chosen, multiselect=True, label="Localizers", elem_id=elem_id, visible=False)


def buttons(label: str, name: str, *classes: str) -> tuple[gr.Button, gr.Button, gr.HTML]:
    """Build start (with these CSS classes), Stop, which it enables, and the progress line."""
    with gr.Row(elem_classes="starter"):
        start = gr.Button(
            label, variant="primary", elem_id=f"start-{name}", elem_classes=[*classes], scale=0, min_width=190
        )
        stop = gr.Button("Stop", elem_id=f"stop-{name}", scale=0, min_width=90, interactive=False)
        status = gr.HTML("", elem_id=f"status-{name}", apply_default_css=False)
    start.click(None, None, stop, js=STOPPABLE, **QUIET)  # first: the page runs what is bound to a click in this order
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
    """Bind one stream, its end, and the figure file of its results so far; results of other inputs are marked."""
    status = outputs[-1]
    save.files.withdrawn_by(start.click)
    running = start.click(handler, inputs, outputs, api_visibility="private", **model)
    for end in (running, stoppable(stop, running, status)):
        save.files.at_end(end.then)
    gr.on([each.change for each in inputs], None, status, status, js=OUTDATED, **QUIET)


def stoppable(stop: gr.Button, running: Any, status: gr.HTML) -> Any:
    """Bind Stop to what is running, of which it is disabled at the end; returns the event of its end by Stop."""
    stopped = {"fn": lambda: status_line("Stopped."), "outputs": status, "queue": False, **QUIET}
    ended = stop.click(**stopped, cancels=[running]).then(**stopped)  # again, after a result that was under way
    for end in (running, ended):
        end.then(None, None, stop, js="() => ({ __type__: 'update', interactive: false })", **QUIET)
    return ended
