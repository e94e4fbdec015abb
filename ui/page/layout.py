"""Layout of the page: inputs on the left, tabs on the right."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gradio as gr

from crop_core.records.request import Engine
from ui.export.load_runs import opening_example, opening_view
from ui.page.api import endpoints
from ui.page.bindings import MODEL, wire
from ui.page.components import QUIET, ImageInput, Strip, class_mode_button
from ui.page.controls import SettingsPanel
from ui.page.handlers import Handlers
from ui.page.hardened_blocks import HardenedBlocks
from ui.page.images import MoreImages
from ui.page.lesson_bar import LessonBar
from ui.page.settings_line import SettingsLine
from ui.page.sweeps import SweepHandlers
from ui.page.tabs import TabContext, tab_modules
from ui.views import scripts, texts
from ui.views.examples import Example, strip_html
from ui.views.rendering import message, render
from ui.views.style_sheets import css
from ui.views.theme import theme

CLEAN_UP_EVERY = 3600  # seconds between two deletions of old uploads
BACKLOG = 500  # small events that may wait; requests to the model wait in the engine's own queue
# On paper, what is clipped is lost. Not in page.css, where Gradio would look for its container inside its container.
PRINTED = "@media print { html body .gradio-container.gradio-container { overflow: visible !important; } }"
VISITORS = 1000  # whose state is kept, about 0.4 MB each plus their runs; the oldest goes first

# The open tab is in the page's address, beside the run (ui/static/js/address.js), once the one that it named is open.
SHOW_TAB = "() => { if (window.cropTabNamed) window.cropExplorer?.showTab(%s, %s); }"
TO_TAB = """() => {
  window.cropTabNamed = true;
  const [names, named] = [%s, new URLSearchParams(location.search).get('tab')];
  return { __type__: 'update', selected: names.includes(named) ? named : names[0] };
}"""


def build(
    engine: Engine,
    examples: list[Example],
    bundled: bool = True,
    keep_hours: int = 24,
    operator: str | None = None,
) -> gr.Blocks:
    """The app over an engine.

    Args:
        engine: such as `crop_core.engine.engine.CropEngine`.
        examples: one-click examples, shown in this order.
        bundled: whether the engine's model is the bundled one, whose scenes are then described.
        keep_hours: how long uploads and downloads are kept.
        operator: the login that may check the model, "" for everybody, None to offer no check.
    """
    handlers = Handlers(engine, examples)
    kept = (CLEAN_UP_EVERY, keep_hours * 3600)
    with HardenedBlocks(title="CROP Explorer", analytics_enabled=False, fill_width=True, delete_cache=kept) as app:
        with gr.Row(elem_id="top"):
            gr.HTML(render("heading", texts.INTRO), elem_id="heading", apply_default_css=False)
            lesson = gr.Button("Take the 10-minute lesson", size="sm", elem_id="take-lesson", scale=0, min_width=220)
            over = gr.Button("Start over", size="sm", elem_id="start-over", scale=0, min_width=120)
            over.click(None, js="() => window.cropExplorer?.startOver()", **QUIET)
            # Shown to those who are logged in (ui/static/js/session.js).
            leave = gr.Button("Log out", size="sm", elem_id="log-out", scale=0, min_width=100)
            leave.click(None, js="() => window.cropExplorer?.logOut()", **QUIET)
            class_mode_button("Leave class mode", False, size="sm", elem_id="leave-class-mode")
        with gr.Row(elem_id="columns"):
            with gr.Column(scale=0, min_width=340, elem_id="inputs"):
                bar = LessonBar()
                inputs = input_column(engine, examples, bundled)
            with gr.Column(scale=1, min_width=340, elem_id="outputs"):
                outputs: dict[str, Any] = {"bar": bar, "line": SettingsLine(inputs["panel"].usual)}
                outputs |= {"due": gr.State(0), "linked": gr.State(0), "lesson": lesson}
                outputs |= output_tabs(engine, inputs, examples, operator)
        endpoints(engine, MODEL)  # first, so that no other event takes their names
        wire(handlers, inputs, outputs)
        restored = [inputs["note"], outputs["linked"], inputs["image"], inputs["question"], *inputs["panel"].values]
        app.load(None, js="() => document.querySelector('#to-tab')?.click()", **QUIET)
        app.load(handlers.restore, inputs["panel"].values, restored, **QUIET)
    app.queue(max_size=BACKLOG, default_concurrency_limit=4, api_open=False)  # no direct calls beside the queue
    return app


def input_column(engine: Engine, examples: list[Example], bundled: bool) -> dict[str, Any]:
    """Examples, images, question, Run and Stop, message, settings."""
    strip = None
    if examples:
        gr.HTML(render("title", "Examples"), elem_id="examples-title", apply_default_css=False)
        strip = Strip(strip_html(examples), elem_id="examples")
    if bundled:
        gr.HTML(render("model_scope", texts.WORLD), elem_id="world", apply_default_css=False)
    opening = opening_example(examples)  # the page opens on its run, which can be asked again or otherwise at once
    image = ImageInput(
        str(opening.image) if opening else None,
        label="Image",
        sources=["upload", "clipboard", "webcam"],
        height=190,
        elem_id="image",
        buttons=[],
    )
    more = MoreImages(engine.reads_several)
    question = gr.Textbox(
        opening.question if opening else "",
        label="Question",
        placeholder="What is left of the dog?",
        lines=1,
        max_lines=4,
        elem_id="question",
    )
    if bundled:
        tries = Strip(render("question_strip", texts.TRY), elem_id="try")
        tries.select(tried, None, question, queue=False, **QUIET)
    with gr.Row(elem_id="go"):
        run = gr.Button("Run", variant="primary", elem_id="run", scale=3, min_width=160)
        stop = gr.Button("Stop", elem_id="stop", scale=1, min_width=90, interactive=False)
    note = gr.HTML(message(), elem_id="message", apply_default_css=False)
    panel = SettingsPanel(engine.short_answer_request)
    fields = {"image": image, "more": more, "question": question, "panel": panel}
    return {**fields, "run": run, "stop": stop, "note": note, "strip": strip}


def tried(event: gr.EventData) -> Any:
    """The clicked question of `texts.TRY`; the index comes from the browser."""
    index = event._data.get("index") if isinstance(event._data, dict) else None
    return texts.TRY[index] if isinstance(index, int) and 0 <= index < len(texts.TRY) else gr.skip()


def output_tabs(
    engine: Engine, inputs: dict[str, Any], examples: list[Example], operator: str | None
) -> dict[str, Any]:
    """The tabs, from the modules of `ui/page/tabs/`; returns the widgets that the handlers change."""
    fields = [inputs["image"], inputs["question"], *inputs["panel"].values]
    view = opening_view(examples)
    opening = None if view is None else view.to_json()
    page = TabContext(SweepHandlers(engine), fields, inputs["note"], MODEL, examples, operator, opening)
    outputs: dict[str, Any] = {}
    modules = {module.__name__.rpartition(".")[2]: module for module in tab_modules(page)}
    with gr.Tabs(elem_id="tabs") as outputs["tabs"]:
        for name, module in modules.items():
            with gr.Tab(module.TITLE, id=name) as tab:
                outputs |= module.build(page) or {}
            tab.select(None, js=SHOW_TAB % (json.dumps(name), json.dumps(next(iter(modules)))), **QUIET)
    outputs["to_tab"] = gr.Button(visible="hidden", elem_id="to-tab")
    outputs["to_tab"].click(None, None, outputs["tabs"], js=TO_TAB % json.dumps([*modules]), **QUIET)
    return outputs


def launch_options(examples: Path, max_upload_mb: int = 20) -> dict[str, Any]:
    """Options of `launch()` besides address and port: theme, examples folder, upload limit; no telemetry."""
    return {
        "theme": theme(),
        "css": css(),
        "head": f"<style>{PRINTED}</style>\n{scripts.head()}",
        "i18n": gr.I18n(en={"common.upload": "Add images"}),  # missing in Gradio's own texts
        "allowed_paths": [str(examples)],
        "max_file_size": f"{max_upload_mb}mb",
        "footer_links": ["api"],
        "state_session_capacity": VISITORS,
        "run_history": False,
        "enable_monitoring": False,
        "ssr_mode": False,
        "share": False,
    }
