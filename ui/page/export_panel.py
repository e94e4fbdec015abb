"""Widgets of *Figures and downloads* and of *Open recorded runs*, and their handlers. They need no model.

Figures and files are made only while the first is open.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import gradio as gr

from crop_core.io.data_url import data_url
from ui.export.figure import FIGURES, FigureError, FigureOptions, figure
from ui.export.figure_files import format_and_width, offered, written
from ui.export.load_runs import open_files
from ui.export.report import page
from ui.page.save_figure import QUIET, LatestOnly, value_event
from ui.views import figures
from ui.views.history import FinishedRun, History
from ui.views.rendering import message

OPEN_HELP = (
    "Files written by “Run and trace (JSON)” above, or by `python -m crop_core ask … --json run.json --with-image`, "
    "here or on another machine, or zips of them. They open without a model; images that a file does not contain can "
    "be chosen together with it."
)
NOW = """(history, open, ...options) =>
  [history, open && document.querySelector('.cx').dataset.stage === 'done', ...options]"""  # not during another run


@dataclass(frozen=True)
class ExportPanel:
    """Widgets of *Figures and downloads*. charts: times, tokens alive. options: inputs of the figure's handler.

    files: downloads (figure, report, record). note: a line. latest: the job that makes them.
    """

    accordion: gr.Accordion
    is_open: gr.Checkbox
    charts: list[gr.Plot]
    options: list[Any]
    files: list[Any]
    note: gr.HTML
    latest: LatestOnly

    def wire(self, history: gr.State) -> None:
        """Make everything when it is opened, and the files again when an option changes."""
        read = [history, self.is_open, *self.options]
        self.latest.runs(publish, read, [*self.files, self.note], js=NOW)
        self.after(self.accordion.expand(None, None, self.is_open, js="() => true", **QUIET), history)
        self.accordion.collapse(None, None, self.is_open, js="() => false", **QUIET)
        self.latest.requested_by(*map(value_event, self.options))

    def after(self, event: Any, history: gr.State) -> None:
        """Update at an event after which another run is on screen."""
        event.then(charts, [history, self.is_open], self.charts, js=NOW, **QUIET)
        self.latest.requested_by(event.then)


def publish_part() -> ExportPanel:
    """Build two charts of the costs, a figure with its options, and three downloads."""
    is_open = gr.Checkbox(False, visible=False)
    with gr.Accordion("Figures and downloads", open=False, elem_id="extras") as accordion:
        with gr.Row():
            times = gr.Plot(label="Where the time goes", show_label=False, elem_id="times")
            alive = gr.Plot(label="Visual tokens alive per layer", show_label=False, elem_id="alive")
        options, files, note = figure_part()
    return ExportPanel(accordion, is_open, [times, alive], options, files, note, LatestOnly())


def figure_part() -> tuple[list[Any], list[Any], gr.HTML]:
    """Build the figure's options, three downloads, and a line for messages."""
    with gr.Row(elem_id="figure-options"):
        choices = [(kind.label, key) for key, kind in FIGURES.items()]
        name = gr.Dropdown(choices, value="row", label="Figure", elem_id="figure-name", min_width=220)
        kind, width = format_and_width("figure")
        dpi = gr.Number(300, label="PNG: dpi", precision=0, elem_id="figure-dpi", min_width=90)
        image = gr.Number(1, label="Image number", precision=0, elem_id="figure-image", min_width=90)
        layer = gr.Textbox("", label="Layer", placeholder="last", elem_id="figure-layer", min_width=110)
    with gr.Row():
        captioned = gr.Checkbox(False, label="Caption under the figure", elem_id="figure-caption")
        inside = gr.Checkbox(True, label="Include images in the trace file", elem_id="trace-images")
    note = gr.HTML("", elem_id="figure-message", apply_default_css=False)
    with gr.Row():
        labels = {"save-figure": "Figure", "save-page": "Report (HTML)", "save-record": "Run and trace (JSON)"}
        files = [gr.DownloadButton(label, interactive=False, elem_id=key) for key, label in labels.items()]
    return [name, kind, width, dpi, layer, image, captioned, inside], files, note


def open_part() -> tuple[gr.UploadButton, gr.HTML]:
    """Build the button that opens recorded runs, and its messages."""
    with gr.Accordion("Open recorded runs", open=False, elem_id="open"):
        gr.Markdown(OPEN_HELP)
        button = gr.UploadButton("Choose files", file_count="multiple", elem_id="open-files")
        note = gr.HTML("", elem_id="open-message", apply_default_css=False)
    return button, note


def withdraw() -> list[Any]:
    """Disable the downloads until `publish` makes those of the new result."""
    return [gr.DownloadButton(interactive=False)] * 3


def charts(history: History, is_open: bool) -> tuple[Any, Any]:
    """Charts (times, tokens alive) of the run on screen."""
    run = history.shown
    if run is None or not is_open:
        return gr.skip(), gr.skip()
    return figures.time_split(run.result), figures.alive_curve(run.result)


def publish(history: History, is_open: bool, *options: Any) -> list[Any]:
    """Downloads (figure, report, record) and message of the run on screen; no figure for invalid options."""
    run = history.shown
    if run is None or not is_open:
        return [*withdraw(), ""]
    *of_figure, inside = options
    try:
        content, name = figure_file(run, *of_figure)
        drawn, text = offered(content, name, f"Figure ({of_figure[1]}, {float(of_figure[2]):g} cm)"), ""
    except ValueError as error:
        drawn, text = gr.DownloadButton(interactive=False), message(str(error))
    files = [
        offered(page(run.view, run.result), "crop-explorer.html"),
        offered(record(run, inside), "crop-explorer.json"),
    ]
    return [drawn, *files, text]


def figure_file(
    run: FinishedRun, name: str, kind: str, width: Any, dpi: Any, layer: str, image: Any, captioned: bool
) -> tuple[bytes, str]:
    """(content, file name) of the figure; FigureError with one sentence for invalid options (from the browser)."""
    try:
        numbers = float(width), int(layer) if (layer or "").strip() else None
        dots, number = int(dpi), int(image)
    except (TypeError, ValueError, OverflowError, AttributeError):
        text = "Width, dpi, layer and image number of a figure are numbers; only the layer may be empty."
        raise FigureError(text) from None
    options = FigureOptions(name, *numbers, bool(captioned), number)
    content = written(figure(run.images, run.result, options), kind, dots)
    return content, f"crop-explorer-{name}.{kind.lower()}"


def record(run: FinishedRun, inside: bool) -> bytes:
    """Trace file; inside: whether with the images."""
    images = {"pictures": [data_url(image) for image in run.images]} if inside else {}
    return json.dumps({**run.result.to_json(), **images}, allow_nan=False).encode()


def opened(history: History, paths: list[str] | None) -> tuple[Any, Any, str]:
    """(explorer, history, message) with the files' runs in the history and the last of them on screen."""
    loaded = open_files(paths or [])
    for run in loaded.runs:
        history = history.add(run)
    if not loaded.runs:
        return gr.skip(), gr.skip(), message(*loaded.notices)
    return loaded.runs[-1].view.to_json(), history, message(*loaded.notices)
