"""The tab *Methods*: small multiples of several methods at one budget, and a sortable table."""

from __future__ import annotations

from typing import Any

import gradio as gr

from ui.page.components import GalleryView
from ui.page.save_figure import SaveFigure
from ui.page.sweeps import buttons, method_choice, run
from ui.page.tabs import TabContext
from ui.views.explorer_state import HEADERS, WIDTHS

TITLE, ORDER = "Methods", 20
FIRST = ["crop", "divprune", "random", "fastv"]
INTRO = (
    "Your question, answered with several methods at the same mean budget (Settings). Clear tokens are alive in every"
    " layer; the earlier a token is dropped, the paler it is; outlined ones are pooled. A click on a column header "
    "sorts."
)


def build(page: TabContext) -> None:
    """Build the tab; it reads the image, question and settings on the left."""
    gr.Markdown(INTRO)
    names = method_choice(FIRST, "chosen-methods")
    start, stop, status = buttons("Compare methods", "methods")
    gallery = GalleryView(elem_id="gallery")
    options: dict[str, Any] = {"interactive": False, "wrap": True, "show_label": False, "column_widths": WIDTHS}
    table = gr.Dataframe(headers=HEADERS, elem_id="methods-table", **options)
    save = SaveFigure("methods")
    shown = [gallery, table, save.plate, page.note, status]
    run(start, stop, page.sweeps.methods, page.inputs_with(names), shown, save, page.model)
