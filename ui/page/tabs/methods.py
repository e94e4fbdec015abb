"""The tab *Methods*: small multiples of several methods at one budget, and a sortable table."""

from __future__ import annotations

from typing import Any

import gradio as gr

from ui.page.components import GalleryView
from ui.page.save_figure import SaveFigure
from ui.page.sheet import sheet_part
from ui.page.sweeps import MAX_NEW_TOKENS, OPEN_TAB, buttons, method_choice, run
from ui.page.tabs import TabContext
from ui.views.explorer_state import COLUMNS

TITLE, ORDER = "Methods", 20
FIRST = ["crop", "divprune", "random", "fastv"]
INTRO = (
    "Your question, answered with several methods at the same mean budget (Settings). Clear tokens are alive in every"
    " layer; the earlier a token is pruned, the paler it is; outlined ones are pooled. Answers end after "
    f"{MAX_NEW_TOKENS} tokens where the settings name no other limit. A click on a column header sorts."
)


def build(page: TabContext) -> None:
    """Build the tab; it reads the image, question and settings on the left."""
    gr.Markdown(INTRO)
    names = method_choice(FIRST, "chosen-methods")
    start, stop, status = buttons("Compare methods", "methods", OPEN_TAB)
    gallery = GalleryView(elem_id="gallery")
    options: dict[str, Any] = {"interactive": False, "wrap": True, "show_label": False}
    columns: dict[str, Any] = {"headers": [*COLUMNS], "column_widths": [*COLUMNS.values()]}
    table = gr.Dataframe(**columns, elem_id="methods-table", **options)
    save = SaveFigure("methods")
    sheet_part(save)
    shown = [gallery, table, save.export, page.note, status]
    run(start, stop, page.sweeps.methods, page.inputs_with(names), shown, save, page.model)
