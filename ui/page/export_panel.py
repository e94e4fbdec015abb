"""Widgets of *Figures and downloads* and of *Open recorded runs*, and their handlers. They need no model.

Figures and files are made only while the first is open.
"""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import gradio as gr
from gradio.processing_utils import save_bytes_to_cache
from gradio.utils import get_upload_folder

from crop_core.io.data_url import data_url
from crop_core.records.config import LEFT, PAPER_TOKENS, PRESETS
from crop_core.records.latex import escaped
from crop_core.records.tables import csv_text, token_rows
from ui.export.figure import FIGURES, FigureError, FigureOptions, caption, figure
from ui.export.figure_files import DPI, preview, written
from ui.export.load_runs import open_files
from ui.export.report import page
from ui.page.components import QUIET
from ui.page.controls import offered_modes
from ui.page.images import regions_text
from ui.page.request import KEYS
from ui.page.save_figure import (
    FIGURE,
    FilesOnRequest,
    caption_field,
    figure_label,
    figure_options,
    offered,
    parse_letters,
    value_event,
    withdrawn,
)
from ui.views import figures
from ui.views.chart_data import ALIVE_TITLE, TIMES_TITLE
from ui.views.history import FinishedRun, History
from ui.views.rendering import message, render

if TYPE_CHECKING:
    from PIL import Image

    from crop_core.records.results import Comparison
    from ui.export.page_layout import RunFigure

OPEN_HELP = (
    "Files written by “Run and trace (JSON)” above, or by `python -m crop_core ask … --json run.json --with-image`, "
    "here or on another machine, or zips of them. They open without a model; images that a file does not contain can "
    "be chosen together with it."
)
NOW = """(history, open, ...options) => [
  history,
  open && !!document.querySelector('.cx').dataset.drawn, // not during another run
  ...options.map((option) => option === 'screen' ? document.querySelector('.cx-pruning').dataset.layer ?? '' : option),
]"""
FILES = {
    "save-figure": FIGURE,
    "save-page": "Report (HTML)",
    "save-record": "Run and trace (JSON)",
    "save-tokens": "Tokens (CSV)",
}
LINKED = "Linked run"  # the page finds the field by this name
LAYERS = [("the layer on screen", "screen"), ("the last layer", "")]


@dataclass(frozen=True)
class ExportPanel:
    """Widgets of *Figures and downloads*. charts: times, tokens alive. options: inputs of the figure's handler.

    files: downloads (figure, report, record, tokens). notes: preview or message, and caption. moved: pressed by the
    page when another layer is on screen.
    """

    accordion: gr.Accordion
    is_open: gr.Checkbox
    charts: list[gr.Plot]
    options: list[Any]
    files: FilesOnRequest
    notes: list[Any]
    moved: gr.Button

    def wire(self, history: gr.State) -> None:
        """Make everything when it is opened, and the files again when an option changes."""
        read = [history, self.is_open, *self.options]
        self.files.made_by(publish, read, self.notes, NOW)
        opened = self.accordion.expand(None, None, self.is_open, js="() => true", **QUIET)
        opened.then(charts, [history, self.is_open], self.charts, js=NOW, **QUIET)
        self.files.requested_by(opened.then)
        self.accordion.collapse(None, None, self.is_open, js="() => false", **QUIET)
        self.files.requested_by(*map(value_event, self.options), self.moved.click)

    def after(self, event: Any, history: gr.State) -> None:
        """Update at an event after which another run is on screen."""
        event.then(charts, [history, self.is_open], self.charts, js=NOW, **QUIET)
        self.files.at_end(event.then)


def publish_part() -> ExportPanel:
    """Build two charts of the costs, a figure with its options, and the downloads."""
    is_open = gr.Checkbox(False, visible=False)
    with gr.Accordion("Figures and downloads", open=False, elem_id="extras") as accordion:
        with gr.Row():
            times = gr.Plot(label=TIMES_TITLE, show_label=False, elem_id="times")
            alive = gr.Plot(label=ALIVE_TITLE, show_label=False, elem_id="alive")
        options, files, notes = figure_part()
        moved = gr.Button(visible="hidden", elem_id="figure-layer-moved")
    return ExportPanel(accordion, is_open, [times, alive], options, FilesOnRequest("run", files), notes, moved)


def figure_part() -> tuple[list[Any], list[Any], list[Any]]:
    """Build the figure's options, the downloads, and what is shown of the figure: preview or message, and caption."""
    with gr.Row(elem_id="figure-options"):
        choices = [(kind.label, key) for key, kind in FIGURES.items()]
        name = gr.Dropdown(choices, value="row", label="Figure shows", elem_id="figure-name", min_width=220)
        layer = gr.Dropdown(
            LAYERS, value="screen", label="Layer", allow_custom_value=True, elem_id="figure-layer", min_width=180
        )
        image = gr.Number(1, label="Image no.", precision=0, elem_id="figure-image", min_width=90)
        word = gr.Number(1, label="Answer token no.", precision=0, elem_id="figure-word", min_width=90)
    general = figure_options("figure", 17.5)
    dpi = gr.Number(DPI, label="Resolution (PNG), dpi", precision=0, elem_id="figure-dpi", min_width=90)
    with gr.Row():
        captioned = gr.Checkbox(False, label="Caption under the figure", elem_id="figure-captioned")
        inside = gr.Checkbox(True, label="Include images in the trace file", elem_id="trace-images")
    note = gr.HTML("", elem_id="figure-message", apply_default_css=False)
    with gr.Row():
        files = [gr.DownloadButton(label, interactive=False, elem_id=key) for key, label in FILES.items()]
    return [name, layer, image, *general, dpi, word, captioned, inside], files, [note, caption_field("figure")]


def open_part() -> tuple[gr.UploadButton, gr.HTML, gr.UploadButton]:
    """Build the button that opens recorded runs, its messages, and the hidden one into which the page puts a linked
    run (ui/static/js/linked_run.js).
    """
    linked = gr.UploadButton(LINKED, visible="hidden", file_count="multiple")
    with gr.Accordion("Open recorded runs", open=False, elem_id="open"):
        gr.Markdown(OPEN_HELP)
        button = gr.UploadButton("Choose files", file_count="multiple", elem_id="open-files")
        note = gr.HTML("", elem_id="open-message", apply_default_css=False)
    return button, note, linked


def charts(history: History, is_open: bool) -> tuple[Any, Any]:
    """Charts (times, tokens alive) of the run on screen."""
    run = history.shown
    if run is None or run.to_measure or not is_open:
        return gr.skip(), gr.skip()
    return figures.time_split(run.result), figures.alive_curve(run.result)


def publish(history: History, is_open: bool, *options: Any) -> list[Any]:
    """Downloads, preview or message, and caption of the run on screen, not before it is measured; no figure for invalid
    options.
    """
    run = history.shown
    if run is None or run.to_measure or not is_open:
        return [withdrawn(), *[gr.DownloadButton(interactive=False)] * (len(FILES) - 1), "", ""]
    *of_figure, inside = options
    text = ""
    try:
        drawn, content, text = figure_file(run, *of_figure)
        name, _, _, kind, width, *_ = of_figure
        button = offered(content, f"crop-explorer-{name}.{kind.lower()}", figure_label(kind, float(width)))
        note = render("preview", preview(drawn))
    except ValueError as error:
        button, note = withdrawn(), message(str(error))
    files = [
        offered(page(run.view, run.result), "crop-explorer.html"),
        offered(record(run, inside), "crop-explorer.json"),
        offered(csv_text(token_rows(run.result.crop.traces)).encode(), "crop-explorer-tokens.csv"),
    ]
    return [button, *files, note, text]


def figure_file(
    run: FinishedRun, name: str, layer: str | None, image: Any, kind: str, *others: Any
) -> tuple[RunFigure, bytes, str]:
    """(figure, its file, its caption as LaTeX); FigureError with one sentence for invalid options (from the browser).

    others: width, font, size, outlines, dpi, answer token, captioned.
    """
    *of_letters, dpi, word, captioned = others
    width, letters = parse_letters(*of_letters)
    try:
        at = int(text) if (text := str(layer or "").strip()) else None
        dots, number, token = int(dpi), int(image), int(word)
    except (TypeError, ValueError, OverflowError):
        raise FigureError(
            "Resolution, layer, image and answer token of a figure are whole numbers; only the layer may be empty."
        ) from None
    options = FigureOptions(name, width, at, bool(captioned), number, token, letters)
    drawn = figure(run.images, run.result, options)
    return drawn, written(drawn, kind, dots), escaped(caption(run.result, options))


def record(run: FinishedRun, inside: bool) -> bytes:
    """Trace file; inside: whether with the images."""
    images = {"pictures": [data_url(image) for image in run.images]} if inside else {}
    return json.dumps({**run.result.to_json(), **images}, allow_nan=False).encode()


def opened(history: History, paths: list[str] | None, usual: Sequence[Any]) -> list[Any]:
    """[explorer, history, message, image, question, further images, *settings, further regions] with the files' runs in
    the history, the last of them on screen, and in the fields what it was about; usual: the settings as the page opens.
    """
    loaded = open_files(paths or [])
    unchanged = [gr.skip()] * (4 + len(usual))
    if not loaded.runs:
        return [gr.skip(), gr.skip(), message(*loaded.notices), *unchanged]
    for run in loaded.runs:
        history = history.add(run)
    shown = [run.view.to_json(), history, message(*loaded.notices)]
    if not loaded.complete:
        return [*shown, *unchanged]
    files = [save_bytes_to_cache(png(image), "image.png", get_upload_folder()) for image in run.images]
    settings, others = settings_of(run.result, usual), regions_text(run.result.regions[1:])
    return [*shown, files[0], run.result.question, files[1:] or None, *settings, others]


def settings_of(result: Comparison, usual: Sequence[Any]) -> list[Any]:
    """The usual settings with a recorded run's method, seed and source of the region, and its budget where it was met
    in tokens: as a preset only where it was of the paper's number, since presets are shares.
    """
    tokens, _, total = result.budget.partition(" of ")
    left = LEFT if total.endswith(LEFT) else ""
    preset = tokens in PRESETS and total.split(" ")[0] == str(PAPER_TOKENS) and not left
    known = {"budget": tokens} if preset else {"budget": "custom", "custom": f"{tokens}{left}"}
    seed = {} if result.seed is None else {"seed": str(result.seed)}
    met = known if tokens.replace(".", "", 1).isdecimal() else {}
    brought = {"method": result.method, **seed, **_source(result), **met}
    return [brought.get(key, value) for key, value in zip(KEYS, usual, strict=True)]


def _source(result: Comparison) -> dict[str, Any]:
    """Settings of the region: its cells where it was drawn in the first image, else its localizer, if it is known."""
    region = result.regions[0]
    if region.source == "drawn":
        return {"mode": "drawn", **dict(zip(("x0", "y0", "x1", "y1"), region.grid, strict=True))}
    return {"mode": result.localizer} if result.localizer in dict(offered_modes()).values() else {}


def png(image: Image.Image) -> bytes:
    """PNG file of an image, pixel by pixel."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()
