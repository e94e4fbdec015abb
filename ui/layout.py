"""The page: inputs on the left, the explorer on the right, and the wiring between them and the handlers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

from ui import words
from ui.components import ExampleStrip, ExplorerView, PictureInput
from ui.controls import Panel
from ui.events import Engine, Handlers, message
from ui.examples import Example, strip_html
from ui.theme import css, theme

HIDE_FILES_AFTER = (3600, 24 * 3600)  # seconds: look for old uploads every hour, delete those older than a day
FORGET_AFTER = 3600  # seconds for which a visitor's latest result can be downloaded
HEADING = f"<header class='page-head'><h1>CROP Explorer</h1><p>{words.INTRO}</p></header>"
WORLD = f"<details class='world'><summary>What the bundled models know</summary><p>{words.WORLD}</p></details>"


def build(engine: Engine, examples: list[Example], bundled: bool = True, queue_size: int = 32) -> gr.Blocks:
    """The app over an engine.

    Args:
        engine: anything with `stream(image, question, config, region)`.
        examples: one-click examples, shown in this order.
        bundled: whether the engine's model is the bundled one, whose small world is then described.
        queue_size: how many people may wait before further ones are turned away.
    """
    handlers = Handlers(engine, examples)
    with gr.Blocks(
        title="CROP Explorer", analytics_enabled=False, fill_width=True, delete_cache=HIDE_FILES_AFTER
    ) as app:
        gr.HTML(HEADING, elem_id="heading", apply_default_css=False)
        with gr.Row(elem_id="columns"):
            with gr.Column(scale=0, min_width=340, elem_id="inputs"):
                inputs = input_column(examples, bundled)
            with gr.Column(scale=1, min_width=340, elem_id="outputs"):
                outputs = output_column()
        wire(handlers, inputs, outputs)
    app.queue(max_size=queue_size, default_concurrency_limit=4)
    return app


def input_column(examples: list[Example], bundled: bool) -> dict[str, Any]:
    """Picture, question, Run, message, settings, examples."""
    picture = PictureInput(
        label="Picture", sources=["upload", "clipboard", "webcam"], height=230, elem_id="picture", buttons=[]
    )
    question = gr.Textbox(
        label="Question", placeholder="what is left of the dog?", lines=1, max_lines=4, elem_id="question"
    )
    run = gr.Button("Run", variant="primary", elem_id="run")
    note = gr.HTML(message(), elem_id="message", apply_default_css=False)
    panel = Panel()
    strip = None
    if examples:
        gr.HTML("<h2 class='side-title'>Examples</h2>", elem_id="examples-title", apply_default_css=False)
        strip = ExampleStrip(strip_html(examples), elem_id="examples")
    if bundled:
        gr.HTML(WORLD, elem_id="world", apply_default_css=False)
    return {"picture": picture, "question": question, "run": run, "note": note, "panel": panel, "strip": strip}


def output_column() -> dict[str, Any]:
    """The explorer, and below it figures and downloads."""
    explorer = ExplorerView(elem_id="explorer")
    with gr.Accordion("Figures and downloads", open=False, elem_id="extras"):
        with gr.Row():
            times = gr.Plot(label="Where the time goes", show_label=False, elem_id="times")
            alive = gr.Plot(label="Visual tokens alive per layer", show_label=False, elem_id="alive")
        with gr.Row():
            picture = gr.DownloadButton("Pictures (PNG)", interactive=False, elem_id="save-picture")
            record = gr.DownloadButton("Result and trace (JSON)", interactive=False, elem_id="save-record")
    return {
        "explorer": explorer,
        "extras": [times, alive, picture, record],
        "state": gr.State(time_to_live=FORGET_AFTER),
    }


def wire(handlers: Handlers, inputs: dict[str, Any], outputs: dict[str, Any]) -> None:
    """Connects events and handlers. Both ways to ask share one place in the model's queue."""
    panel, explorer, note, state = inputs["panel"], outputs["explorer"], inputs["note"], outputs["state"]
    shown, asked = [explorer, note, state], [inputs["picture"], inputs["question"]]
    model: dict[str, Any] = {"concurrency_limit": 1, "concurrency_id": "model", "show_progress": "hidden"}
    private: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
    inputs["picture"].upload(handlers.preview, inputs["picture"], [explorer, note], **private)
    ask: dict[str, Any] = {"fn": handlers.ask, "inputs": [*asked, *panel.values], "outputs": shown, **model}
    runs = [gr.on([inputs["run"].click, inputs["question"].submit], api_name="ask", **ask)]
    if inputs["strip"] is not None:
        chosen = inputs["strip"].select(handlers.show_example, None, asked, **private)
        runs.append(chosen.then(api_visibility="private", **ask))
    downloads = outputs["extras"][-2:]
    asking = [inputs["run"].click, inputs["question"].submit, *([inputs["strip"].select] if inputs["strip"] else [])]
    gr.on(asking, handlers.withdraw, None, downloads, queue=False, **private)
    for run in runs:
        run.then(handlers.extras, state, outputs["extras"], **private)
    panel.follow(explorer)


def launch_options(examples: Path, max_upload_mb: int = 20) -> dict[str, Any]:
    """What `launch()` needs besides address and port: look, folder of examples, upload limit; nothing phones home."""
    return {
        "theme": theme(),
        "css": css(),
        "allowed_paths": [str(examples)],
        "max_file_size": f"{max_upload_mb}mb",
        "footer_links": ["api"],
        "run_history": False,
        "enable_monitoring": False,
        "ssr_mode": False,
        "share": False,
    }
