"""Bindings: which event calls which handler. All requests go to the engine at once, which has its own queue."""

from __future__ import annotations

from typing import Any

import gradio as gr

from ui.page.controls import ASK_PULL
from ui.page.export_panel import opened, withdraw
from ui.page.handlers import Handlers, stopping
from ui.page.tabs.learn import asked_by

PRIVATE: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
MODEL: dict[str, Any] = {"concurrency_limit": None, "concurrency_id": "model", "show_progress": "hidden"}
STOP = "(...inputs) => { window.cropExplorer?.stop(); return inputs; }"
Parts = dict[str, Any]


def wire(handlers: Handlers, inputs: Parts, outputs: Parts) -> None:
    """Connect everything; inputs and outputs: as the layout's columns return them."""
    preview(handlers, inputs, outputs)
    asked = [*ask(handlers, inputs, outputs), *ask_prepared(handlers, inputs, outputs)]
    stop(handlers, inputs, outputs, asked)
    outputs["publish"].wire(outputs["history"])
    for run in [*asked, *show_again(handlers, outputs)]:
        beside = [outputs["runs"], outputs["link"], outputs["follow"].box]
        run.then(handlers.beside, outputs["history"], beside, **PRIVATE)
        outputs["publish"].after(run, outputs["history"])
    inputs["panel"].follow(outputs["explorer"], inputs["more"].drawn)


def preview(handlers: Handlers, inputs: Parts, outputs: Parts) -> None:
    """Show an image as soon as it is given."""
    image, more, mode = inputs["image"], inputs["more"], inputs["panel"].mode
    gr.on(
        [image.upload, more.files.upload, more.files.delete, more.files.clear],
        handlers.preview,
        [image, more.files, mode],
        [outputs["explorer"], inputs["note"], mode, more.drawn, outputs["follow"].box],
        trigger_mode="always_last",  # an image that comes while another is processed is processed next
        **PRIVATE,
    )


def asking(inputs: Parts, outputs: Parts) -> Parts:
    """Inputs and outputs of `Handlers.ask`."""
    more = inputs["more"]
    read = [outputs["history"], inputs["image"], inputs["question"], more.files]
    return {
        "inputs": [*read, *inputs["panel"].values, more.drawn],
        "outputs": [outputs["explorer"], inputs["note"], outputs["history"], inputs["stop"]],
        "api_visibility": "private",
        **MODEL,
    }


def begun(inputs: Parts, outputs: Parts) -> list[Any]:
    """Outputs of `begin`."""
    return [*outputs["publish"].files, inputs["stop"]]


def begin() -> list[Any]:
    """Start of a run: no download until the new result's files are made; the run can be stopped."""
    return [*withdraw(), stopping(True)]


def ask(handlers: Handlers, inputs: Parts, outputs: Parts) -> list[Any]:
    """Bind the typed question, a run with another region, and a follow-up; returns the events."""
    typed = [inputs["run"].click, inputs["question"].submit]
    explorer, follow, options = outputs["explorer"], outputs["follow"], asking(inputs, outputs)
    triggers = [*typed, explorer.submit, *follow.events]
    gr.on(triggers, begin, None, begun(inputs, outputs), queue=False, **PRIVATE)
    settings = [*inputs["panel"].values, inputs["more"].drawn]
    onward = {
        "inputs": [outputs["history"], follow.question, *settings],
        "outputs": [*options["outputs"], follow.question],
    }
    return [
        gr.on(typed, handlers.ask, **options),
        explorer.submit(handlers.again, js=ASK_PULL, **options),
        gr.on(follow.events, handlers.follow, **{**options, **onward}),
    ]


def ask_prepared(handlers: Handlers, inputs: Parts, outputs: Parts) -> list[Any]:
    """Bind examples, failures and the steps of the lesson, each with one image; returns the events."""
    panel, strip, failures = inputs["panel"], inputs["strip"], outputs["failures"]
    asked = [inputs["image"], inputs["question"]]
    chosen = asked_by(outputs["bar"], outputs["start"], panel, asked, outputs["tabs"], handlers.examples)
    if strip is not None:
        chosen.append(strip.select(handlers.show_example, panel.mode, [*asked, panel.mode], **PRIVATE))
    if failures is not None:
        changed = [*asked, panel.mode, panel.budget, outputs["tabs"]]
        chosen.append(failures.select(handlers.show_failure, panel.mode, changed, **PRIVATE))
    alone = [*inputs["more"].values, *begun(inputs, outputs)]
    ready = [each.then(lambda: (None, "", *begin()), None, alone, queue=False, **PRIVATE) for each in chosen]
    return [each.then(handlers.ask, **asking(inputs, outputs)) for each in ready]


def stop(handlers: Handlers, inputs: Parts, outputs: Parts, asked: list[Any]) -> None:
    """Bind the Stop button to all runs."""
    read = [outputs["history"], inputs["image"], inputs["more"].files]
    changed = [outputs["explorer"], inputs["note"], inputs["stop"]]
    inputs["stop"].click(handlers.stop, read, changed, cancels=asked, js=STOP, **PRIVATE)


def show_again(handlers: Handlers, outputs: Parts) -> list[Any]:
    """Bind earlier runs and runs from files; returns the events after which one is on screen."""
    history, explorer, runs, (button, note) = (outputs[name] for name in ("history", "explorer", "runs", "open"))
    files = outputs["publish"].files  # those of the run on screen so far
    gr.on([runs.select, button.upload], withdraw, None, files, queue=False, **PRIVATE)
    return [
        runs.select(handlers.show_run, history, [explorer, history], **PRIVATE),
        button.upload(opened, [history, button], [explorer, history, note], **PRIVATE),
    ]
