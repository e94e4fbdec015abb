"""Bindings: which event calls which handler. All requests go to the engine at once, which has its own queue."""

from __future__ import annotations

from typing import Any

import gradio as gr

from ui.page.attention import AttentionHandler
from ui.page.components import QUIET
from ui.page.controls import ASK_PULL, STOPPABLE
from ui.page.export_panel import opened
from ui.page.handlers import Handlers
from ui.page.lesson_bar import LessonHandlers, bind_lesson
from ui.page.prepared import PreparedRuns
from ui.views.rendering import message

MAX_MESSAGE = 400  # characters of a sentence from the browser
MODEL: dict[str, Any] = {"concurrency_limit": None, "concurrency_id": "model", "show_progress": "hidden"}
LEAVE = "() => { window.cropExplorer?.stop(); }"
STOP = "async (...inputs) => { await window.cropExplorer?.stop(); return inputs; }"  # once the run can be cancelled
EXPLORE = "() => ({ __type__: 'update', selected: 'explore' })"
BEGIN = f"() => {{ window.cropExplorer?.begin(); return ({STOPPABLE})(); }}"
Parts = dict[str, Any]


def wire(handlers: Handlers, inputs: Parts, outputs: Parts) -> None:
    """Connect everything; inputs and outputs: as the layout's columns return them."""
    leave(handlers, inputs, outputs)  # first: the page runs what an event is bound to in this order
    preview(handlers, inputs, outputs)
    bound = (ask_prepared, ask_linked)
    runs = [*ask(handlers, inputs, outputs), *(bind(handlers, inputs, outputs) for bind in bound)]
    measuring = measure(handlers, inputs, outputs, runs)
    stopped = stop(handlers, inputs, outputs, [*runs, *measuring])
    prepare(handlers, inputs, outputs)
    moves = [button.click for button in outputs["bar"].buttons]
    gr.on(moves, None, None, None, cancels=[*runs, *measuring], js=LEAVE, **QUIET)  # a step's run ends with the step
    outputs["publish"].wire(outputs["history"])
    again = show_again(handlers, inputs, outputs)
    tried = outputs["explorer"].select(
        handlers.choose_tokens,
        outputs["history"],
        [outputs["explorer"], inputs["note"]],
        api_visibility="private",
        **MODEL,
    )
    looked = outputs["explorer"].apply(
        AttentionHandler(handlers.engine).look,
        outputs["history"],
        [outputs["explorer"], inputs["note"]],
        api_visibility="private",
        **MODEL,
    )
    for ended in (tried, looked):  # with the measurement
        ended.then(handlers.leave, outputs["history"], inputs["stop"], **QUIET)
    beside = [outputs["runs"], outputs["link"], *outputs["embed"], outputs["no_link"], outputs["follow"].box]
    for run in [*runs, *again]:
        run.then(handlers.beside, outputs["history"], beside, **QUIET)
    for end in [*measuring, *again, looked, stopped]:  # not before: figures would take time from what is measured
        outputs["publish"].after(end, outputs["history"])
    inputs["panel"].follow(outputs["explorer"], inputs["more"].drawn)


def preview(handlers: Handlers, inputs: Parts, outputs: Parts) -> None:
    """Show an image as soon as it is given."""
    image, more, mode = inputs["image"], inputs["more"], inputs["panel"].mode
    gr.on(
        new_images(inputs),
        handlers.preview,
        [image, more.files, mode],
        [outputs["explorer"], inputs["note"], mode, more.drawn, outputs["follow"].box],
        trigger_mode="always_last",  # an image that comes while another is processed is processed next
        **QUIET,
    )


def new_images(inputs: Parts) -> list[Any]:
    """Events of another image."""
    files = inputs["more"].files
    return [inputs["image"].upload, files.upload, files.delete, files.clear]


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


def begin(inputs: Parts, outputs: Parts, *events: Any) -> None:
    """Bind the start of a run, in the browser: no download until the new result's files are made; it can be stopped."""
    outputs["publish"].files.withdrawn_by(*events)
    gr.on(events, None, None, inputs["stop"], js=BEGIN, **QUIET)  # last: what is not under way yet cannot be stopped


def asked_by(inputs: Parts, outputs: Parts) -> list[Any]:
    """Events that ask: the typed question, a run with another region, a follow-up."""
    typed = [inputs["run"].click, inputs["question"].submit]
    return [*typed, outputs["explorer"].submit, *outputs["follow"].events]


def ask(handlers: Handlers, inputs: Parts, outputs: Parts) -> list[Any]:
    """Bind the typed question, a run with another region, and a follow-up; returns the events."""
    typed = [inputs["run"].click, inputs["question"].submit]
    explorer, follow, options = outputs["explorer"], outputs["follow"], asking(inputs, outputs)
    events = asked_by(inputs, outputs)
    gr.on(events, None, None, outputs["tabs"], js=EXPLORE, **QUIET)
    begin(inputs, outputs, *events)
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


def ask_prepared(handlers: Handlers, inputs: Parts, outputs: Parts) -> Any:
    """Bind the run of what `prepare` has put into the fields; returns its event."""
    bar, lesson, due = outputs["bar"], LessonHandlers(handlers), outputs["due"]
    due.change(None, None, outputs["tabs"], js=EXPLORE, **QUIET)
    ready = due.change(lambda: (None, ""), None, inputs["more"].values, queue=False, **QUIET)
    outputs["publish"].files.withdrawn_by(due.change)
    begun = ready.then(None, None, inputs["stop"], js=BEGIN, **QUIET)
    options = asking(inputs, outputs)
    options["inputs"] = [bar.progress, *options["inputs"]]
    run = begun.then(lesson.ask, **options)
    run.then(lesson.tell, [bar.progress, outputs["history"]], [*bar.outputs, bar.cue], **QUIET)
    return run


def prepare(handlers: Handlers, inputs: Parts, outputs: Parts) -> None:
    """Bind examples, failures and the steps of the lesson, each with one image."""
    bar, lesson = outputs["bar"], LessonHandlers(handlers)
    panel, line, due = inputs["panel"], outputs["line"], outputs["due"]
    prepared = PreparedRuns(handlers.examples, panel.usual)
    read = [due, line.brought, *panel.values]
    changed = [due, line.brought, inputs["image"], inputs["question"], *panel.values]
    for strip in filter(None, (inputs["strip"], outputs["failures"])):
        strip.select(prepared.example, read, changed, **QUIET)
    shown = [bar.progress, outputs["history"], inputs["image"], inputs["more"].files]
    showing = [outputs["explorer"], inputs["note"], inputs["stop"], bar.cue]
    for move in bind_lesson(bar, lesson, [outputs["start"], outputs["lesson"]], panel):
        move.then(None, None, outputs["tabs"], js=EXPLORE, **QUIET)
        prepared_step = move.then(prepared.step, [bar.progress, *read], changed, **QUIET)
        prepared_step.then(lesson.show, shown, showing, **QUIET)
    bar.to_step.click(None, None, outputs["tabs"], js=EXPLORE, **QUIET)
    line.follow(panel, prepared.reset)


def ask_linked(handlers: Handlers, inputs: Parts, outputs: Parts) -> Any:
    """Bind the run that the page's address names, whichever tab it names; returns the event."""
    begin(inputs, outputs, outputs["linked"].change)
    return outputs["linked"].change(handlers.ask, **asking(inputs, outputs))


def measure(handlers: Handlers, inputs: Parts, outputs: Parts, runs: list[Any]) -> list[Any]:
    """Bind the measurement of every new answer, and of the one on screen again; returns the events."""
    changed = [outputs["explorer"], inputs["note"], inputs["stop"]]
    options: Parts = {"inputs": outputs["history"], "outputs": changed, "api_visibility": "private", **MODEL}
    retry = outputs["explorer"].retry
    begin(inputs, outputs, retry)
    again = retry(handlers.measure, **options)
    return [*(run.then(handlers.measure_new, trigger_mode="multiple", **options) for run in runs), again]


def leave(handlers: Handlers, inputs: Parts, outputs: Parts) -> None:
    """End a measurement when other images or another run come on screen; a new question ends it by itself."""
    button, _, linked = outputs["open"]
    shown = [*new_images(inputs), outputs["runs"].select, button.upload, linked.upload]
    gr.on(shown, handlers.leave, outputs["history"], inputs["stop"], **QUIET)


def stop(handlers: Handlers, inputs: Parts, outputs: Parts, runs: list[Any]) -> Any:
    """Bind the Stop button to all runs; returns the event."""
    read = [outputs["history"], inputs["image"], inputs["more"].files]
    changed = [outputs["explorer"], inputs["note"], inputs["stop"]]
    return inputs["stop"].click(handlers.stop, read, changed, cancels=runs, js=STOP, **QUIET)


def show_again(handlers: Handlers, inputs: Parts, outputs: Parts) -> list[Any]:
    """Bind earlier runs and runs from files; returns the events after which one is on screen."""
    history, explorer, runs = (outputs[name] for name in ("history", "explorer", "runs"))
    button, note, linked = outputs["open"]
    outputs["publish"].files.withdrawn_by(runs.select, button.upload, linked.upload)
    panel = inputs["panel"]
    more = inputs["more"]
    fields = [inputs["image"], inputs["question"], more.files, *panel.values, more.drawn]

    def upload(files: gr.UploadButton, messages: gr.HTML) -> Any:
        options: Parts = {"outputs": [explorer, history, messages, *fields], **QUIET}
        return files.upload(lambda before, paths: opened(before, paths, panel.usual), [history, files], **options)

    not_linked(inputs["note"])
    own = runs.select(handlers.show_run, history, [explorer, history], **QUIET)
    return [own, upload(button, note), upload(linked, inputs["note"])]


def not_linked(note: gr.HTML) -> None:
    """Bind the sentence on a linked run that could not be loaded, which comes from the browser."""
    failed, why = gr.Button(visible="hidden", elem_id="linked-failed"), gr.Textbox(visible="hidden")
    told = "() => window.cropExplorer?.notOpened ?? ''"
    failed.click(lambda text: message(str(text)[:MAX_MESSAGE]), why, note, js=told, queue=False, **QUIET)
