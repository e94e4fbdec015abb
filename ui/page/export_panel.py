"""The widgets of *Figures and downloads* and of *Open recorded runs*, and their handlers. They need no model.

What is in the first is made while it is open: a run that nobody publishes costs nothing.
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
from ui.page.save_figure import QUIET, LatestOnly, chosen
from ui.views import figures
from ui.views.history import FinishedRun, History
from ui.views.rendering import message

OPEN_HELP = (
    "Files that “Run and trace (JSON)” above, or `python -m crop_core ask … --json run.json --with-image`, wrote "
    "here or on another machine, or zips of them. They open without a model; an image that is not inside can be given "
    "beside them."
)
NOW = """(history, open, ...options) =>
  [history, open && document.querySelector('.cx').dataset.stage === 'done', ...options]"""  # not while another is asked


@dataclass(frozen=True)
class ExportPanel:
    """place: what is opened. looked_at: whether it is open. charts: times, tokens alive. options: what the figure's
    handler reads. files: what can be downloaded (figure, page, record). note: a line. latest: how they are made.
    """

    place: gr.Accordion
    looked_at: gr.Checkbox
    charts: list[gr.Plot]
    options: list[Any]
    files: list[Any]
    note: gr.HTML
    latest: LatestOnly

    def wire(self, history: gr.State) -> None:
        """All is made when it is opened, and the files once more when an option changes."""
        read = [history, self.looked_at, *self.options]
        self.latest.made_by(publish, read, [*self.files, self.note], js=NOW)
        self.after(self.place.expand(None, None, self.looked_at, js="() => true", **QUIET), history)
        self.place.collapse(None, None, self.looked_at, js="() => false", **QUIET)
        self.latest.asked_by(*map(chosen, self.options))

    def after(self, event: Any, history: gr.State) -> None:
        """After this event another run is on screen."""
        event.then(charts, [history, self.looked_at], self.charts, js=NOW, **QUIET)
        self.latest.asked_by(event.then)


def publish_part() -> ExportPanel:
    """Two charts of the costs, a figure with its options, and three files."""
    looked_at = gr.Checkbox(False, visible=False)
    with gr.Accordion("Figures and downloads", open=False, elem_id="extras") as place:
        with gr.Row():
            times = gr.Plot(label="Where the time goes", show_label=False, elem_id="times")
            alive = gr.Plot(label="Visual tokens alive per layer", show_label=False, elem_id="alive")
        options, files, note = figure_part()
    return ExportPanel(place, looked_at, [times, alive], options, files, note, LatestOnly())


def figure_part() -> tuple[list[Any], list[Any], gr.HTML]:
    """Which image, how, three files, and a line."""
    with gr.Row(elem_id="figure-options"):
        choices = [(kind.label, name) for name, kind in FIGURES.items()]
        picture = gr.Dropdown(choices, value="row", label="Picture", elem_id="figure-picture", min_width=220)
        kind, width = format_and_width("figure")
        dpi = gr.Number(300, label="PNG: dpi", precision=0, elem_id="figure-dpi", min_width=90)
        image = gr.Number(1, label="Of image", precision=0, elem_id="figure-image", min_width=90)
        layer = gr.Textbox("", label="Layer", placeholder="the last one", elem_id="figure-layer", min_width=110)
    with gr.Row():
        captioned = gr.Checkbox(False, label="Caption under the figure", elem_id="figure-caption")
        inside = gr.Checkbox(True, label="Images inside the trace file", elem_id="trace-picture")
    note = gr.HTML("", elem_id="figure-message", apply_default_css=False)
    with gr.Row():
        labels = {"save-picture": "Figure", "save-page": "Report (HTML)", "save-record": "Run and trace (JSON)"}
        files = [gr.DownloadButton(label, interactive=False, elem_id=name) for name, label in labels.items()]
    return [picture, kind, width, dpi, layer, image, captioned, inside], files, note


def open_part() -> tuple[gr.UploadButton, gr.HTML]:
    """The button that opens recorded runs, and where it says what it could not."""
    with gr.Accordion("Open recorded runs", open=False, elem_id="open"):
        gr.Markdown(OPEN_HELP)
        button = gr.UploadButton("Choose files", file_count="multiple", elem_id="open-files")
        note = gr.HTML("", elem_id="open-message", apply_default_css=False)
    return button, note


def withdraw() -> list[Any]:
    """No file is to be had until `publish` makes those of the new result."""
    return [gr.DownloadButton(interactive=False)] * 3


def charts(history: History, looked_at: bool) -> tuple[Any, Any]:
    """(times, tokens alive) of the run on screen."""
    run = history.shown
    if run is None or not looked_at:
        return gr.skip(), gr.skip()
    return figures.time_split(run.result), figures.alive_curve(run.result)


def publish(history: History, looked_at: bool, *options: Any) -> list[Any]:
    """(figure, page, record, message) of the run on screen; without a figure where the options cannot be."""
    run = history.shown
    if run is None or not looked_at:
        return [*withdraw(), ""]
    *of_figure, inside = options
    try:
        content, name = figure_file(run, *of_figure)
        drawn, said = offered(content, name, f"Figure ({of_figure[1]}, {float(of_figure[2]):g} cm)"), ""
    except ValueError as error:
        drawn, said = gr.DownloadButton(interactive=False), message(str(error))
    files = [
        offered(page(run.view, run.result), "crop-explorer.html"),
        offered(record(run, inside), "crop-explorer.json"),
    ]
    return [drawn, *files, said]


def figure_file(
    run: FinishedRun, picture: str, kind: str, width: Any, dpi: Any, layer: str, image: Any, captioned: bool
) -> tuple[bytes, str]:
    """(content, name) of the figure; FigureError with one sentence for options (from the browser) that cannot be."""
    try:
        numbers = float(width), int(layer) if (layer or "").strip() else None
        dots, place = int(dpi), int(image)
    except (TypeError, ValueError, OverflowError, AttributeError):
        said = "Width, dpi, layer and image of a figure are numbers; the layer alone may be left empty."
        raise FigureError(said) from None
    wanted = FigureOptions(picture, *numbers, bool(captioned), place)
    content = written(figure(run.images, run.result, wanted), kind, dots)
    return content, f"crop-explorer-{picture}.{kind.lower()}"


def record(run: FinishedRun, inside: bool) -> bytes:
    """The trace file, with the images inside when that is wanted."""
    pictures = {"pictures": [data_url(image) for image in run.images]} if inside else {}
    return json.dumps({**run.result.to_json(), **pictures}, allow_nan=False).encode()


def opened(history: History, paths: list[str] | None) -> tuple[Any, Any, str]:
    """(explorer, history, message) with the files' runs in the history and the last of them on screen."""
    found = open_files(paths or [])
    for run in found.runs:
        history = history.add(run)
    if not found.runs:
        return gr.skip(), gr.skip(), message(*found.notices)
    return found.runs[-1].view.to_json(), history, message(*found.notices)
