"""Accordion under a tab's view that saves it as figure and tables, and downloads that are made on request.

The files are made only while the accordion is open.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import gradio as gr
from gradio.processing_utils import save_bytes_to_cache
from gradio.utils import get_upload_folder

from crop_core.records.latex import escaped
from crop_core.records.tables import csv_text
from ui.export.figure import MAX_WIDTH, MIN_WIDTH
from ui.export.figure_files import FORMATS, preview, written
from ui.export.letters import DEFAULT_LETTERS, MAX_SIZE, MIN_SIZE, FigureError, Letters
from ui.export.multi_run_figures import ExportFigure
from ui.page.components import QUIET
from ui.views.rendering import message, render

ONE_AT_A_TIME: dict[str, Any] = {"trigger_mode": "always_last", "concurrency_limit": 1}
FORGET_AFTER = 3600  # seconds for which the view can be saved
NOTHING = "There is nothing to save yet; start a run above."
NO_NUMBER = (
    "Width and font size of a figure are numbers; give centimetres from "
    f"{MIN_WIDTH:g} to {MAX_WIDTH:g}, and points from {MIN_SIZE:g} to {MAX_SIZE:g}."
)
FIGURE = "Figure"  # label of a download without a file
OUTLINES = "SVG: text as outlines"


class FilesOnRequest:
    """Downloads that a job makes, once at a time, the latest request last. They are enabled only while they are those
    of the latest request: `name`'s hidden number on the page changes with every request, and a job returns its own.
    After an event that withdraws them, such as the start of a run, they are disabled until the request at its end.

    Handlers of separate events would run concurrently, and an earlier request could finish last. Gradio's page holds
    a request back only once it knows of the one before, and sends two that come at once; so the server runs them one
    after the other too, in order.
    """

    def __init__(self, name: str, files: Sequence[gr.DownloadButton]) -> None:
        self.files = [*files]
        self._count, self._held = (f"(window.{table} ??= {{}})[{name!r}]" for table in ("cropFiles", "cropFilesHeld"))
        self._due, self._made = (gr.Number(visible="hidden", container=False) for _ in range(2))

    def requested_by(self, *listeners: Callable[..., Any]) -> None:
        """Make the files at each of these events."""
        for listen in listeners:
            listen(None, None, self._due, js=f"() => {self._next}", **QUIET)

    def withdrawn_by(self, *listeners: Callable[..., Any]) -> None:
        """Disable the files at each of these events, until those of the end are made."""
        held = f"() => {{ {self._next}; {self._held} = true; return {self._off}; }}"
        gr.on(listeners, None, None, self.files, js=held, **QUIET)

    def at_end(self, *listeners: Callable[..., Any]) -> None:
        """Make the files at each of these events, which end what has withdrawn them."""
        for listen in listeners:
            listen(None, None, self._due, js=f"() => {{ {self._held} = false; return {self._next}; }}", **QUIET)

    def made_by(
        self,
        job: Callable[..., Sequence[Any]],
        inputs: Sequence[Any],
        others: Sequence[Any],
        js: str = "(...all) => all",
    ) -> None:
        """Set the job, which returns the files and the `others`. js: what the page does to the inputs before."""

        def made(*values: Any) -> list[Any]:
            *values_of_inputs, due = values
            return [*job(*values_of_inputs), due]

        outputs = [*self.files, *others, self._made]
        ready = self._due.change(made, [*inputs, self._due], outputs, js=js, **ONE_AT_A_TIME, **QUIET)
        latest = f"made === {self._count} && !{self._held}"
        ready.then(None, self._made, self.files, js=f"(made) => {latest} ? [] : {self._off}", **QUIET)

    @property
    def _next(self) -> str:
        return f"{self._count} = ({self._count} ?? 0) + 1"

    @property
    def _off(self) -> str:
        return f"Array({len(self.files)}).fill({{ __type__: 'update', interactive: false }})"


def value_event(option: Any) -> Callable[..., Any]:
    """Event of an option's new value; for a typed one, when it loses the focus."""
    listen: Callable[..., Any] = option.blur if isinstance(option, (gr.Number, gr.Textbox)) else option.input
    return listen


class SaveFigure:
    """Widgets that save a figure, with ids that begin with `name`. export: the figure on screen, or None.

    width: centimetres, to begin with.
    """

    def __init__(self, name: str, title: str = "Save this figure", width: float = 17.5) -> None:
        self.export = gr.State(None, time_to_live=FORGET_AFTER)
        self.is_open = gr.Checkbox(False, visible=False)
        with gr.Accordion(title, open=False, elem_id=f"{name}-save") as place:
            self.options = figure_options(name, width)
            self.captioned = gr.Checkbox(False, label="Caption under the figure", elem_id=f"{name}-captioned")
            self.note = gr.HTML("", elem_id=f"{name}-note", elem_classes="figure-note", apply_default_css=False)
            with gr.Row():
                labels = {"file": FIGURE, "csv": "Numbers (CSV)", "latex": "Table (LaTeX)"}
                files = [
                    gr.DownloadButton(label, interactive=False, elem_id=f"{name}-{key}")
                    for key, label in labels.items()
                ]
            self.caption = caption_field(name)
        opened = place.expand(None, None, self.is_open, js="() => true", **QUIET)
        place.collapse(None, None, self.is_open, js="() => false", **QUIET)
        chosen = [*self.options, self.captioned]
        self.files = FilesOnRequest(name, files)
        self.files.made_by(saved, [self.export, self.is_open, *chosen], [self.note, self.caption])
        self.files.requested_by(opened.then, *map(value_event, chosen))


def figure_options(name: str, width: float) -> list[Any]:
    """Build the options that every figure has: format, width, font, size, outlines; ids begin with `name`."""
    with gr.Row():
        kind = gr.Radio(list(FORMATS), value="PNG", label="Format", elem_id=f"{name}-format", min_width=240)
        font = gr.Radio(
            [("Sans", "sans"), ("Serif", "serif")],
            value=DEFAULT_LETTERS.font,
            label="Font",
            elem_id=f"{name}-font",
            min_width=190,
        )
    with gr.Row():
        centimetres = gr.Number(width, label="Width, cm", elem_id=f"{name}-width", min_width=90)
        size = gr.Number(DEFAULT_LETTERS.size, label="Font size, pt", elem_id=f"{name}-size", min_width=90)
        outlines = gr.Checkbox(False, label=OUTLINES, elem_id=f"{name}-outlines", min_width=190)
    return [kind, centimetres, font, size, outlines]


def caption_field(name: str) -> gr.Textbox:
    """Build the caption to be copied."""
    return gr.Textbox(
        "", label="Caption (LaTeX)", interactive=False, lines=2, buttons=["copy"], elem_id=f"{name}-caption"
    )


def saved(export: ExportFigure | None, is_open: bool, kind: str, *options: Any) -> list[Any]:
    """[figure, CSV, LaTeX, note, caption] of the view; one sentence for invalid options (from the browser)."""
    nothing = [withdrawn(), *[gr.DownloadButton(interactive=False)] * 2]
    if not is_open:
        return [*nothing, "", ""]
    if export is None:
        return [*nothing, message(NOTHING), ""]
    tables = [table_file(export, "csv"), table_file(export, "tex")]
    try:
        *of_letters, captioned = options
        centimetres, letters = parse_letters(*of_letters)
        figure = export.figure(centimetres, letters, bool(captioned))
        name = f"crop-explorer-{export.name}.{str(kind).lower()}"
        drawn = offered(written(figure, kind), name, figure_label(kind, centimetres))
        note = render("preview", preview(figure))
    except ValueError as error:
        drawn, note = withdrawn(), message(str(error))
    return [drawn, *tables, note, escaped(export.caption)]


def table_file(export: ExportFigure, ending: str) -> gr.DownloadButton:
    """Download of the numbers as CSV, or of the LaTeX table where there is one."""
    text = csv_text(export.rows) if ending == "csv" else export.sheet.latex() if export.sheet else ""
    if not text:
        return gr.DownloadButton(interactive=False, visible=False)
    return offered(text.encode(), f"crop-explorer-{export.name}.{ending}")


def offered(content: bytes, name: str, label: str | None = None) -> gr.DownloadButton:
    """Download button with this file; None keeps its label."""
    changed: dict[str, Any] = {} if label is None else {"label": label}
    path = save_bytes_to_cache(content, name, get_upload_folder())
    return gr.DownloadButton(value=path, interactive=True, visible=True, **changed)


def withdrawn() -> gr.DownloadButton:
    """Download button of a figure that there is not."""
    return gr.DownloadButton(label=FIGURE, interactive=False)


def figure_label(kind: str, centimetres: float) -> str:
    """Label of the download of a figure."""
    return f"{FIGURE} ({kind}, {centimetres:g} cm)"


def parse_letters(width: Any, font: Any, size: Any, outlines: Any) -> tuple[float, Letters]:
    """Width in centimetres, and letters; FigureError for values that are none."""
    try:
        centimetres, points = float(width), float(size)
    except (TypeError, ValueError, OverflowError):
        raise FigureError(NO_NUMBER) from None
    return centimetres, Letters(font, points, bool(outlines))
