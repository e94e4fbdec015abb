"""The tab *Methods*: small multiples of methods, or of localizers, at one budget, and a sortable table."""

from __future__ import annotations

from typing import Any

import gradio as gr

from crop_core.records.methods import papers
from ui.page.components import QUIET, GalleryView
from ui.page.save_figure import SaveFigure
from ui.page.sheet import sheet_part
from ui.page.sweep_widgets import OPEN_TAB, buttons, localizer_choice, method_choice, run
from ui.page.sweeps import LOCALIZERS, MAX_NEW_TOKENS
from ui.page.tabs import TabContext
from ui.views.explorer_state import COLUMNS
from ui.views.rendering import render

TITLE, ORDER = "Methods", 20
FIRST = ["crop", "divprune", "random", "fastv"]
INTRO = (
    "Your question, answered with several methods at the same mean budget (Settings), or with one method and the"
    " regions of several localizers. Clear tokens are alive in every layer; the earlier a token is pruned, the paler it"
    f" is; outlined ones are pooled. Answers end after {MAX_NEW_TOKENS} tokens where the settings name no other limit."
    " The ⋮ menu in a column header sorts."
)
SWITCHED = f"""(what) => {{
  const update = (props) => ({{ __type__: 'update', ...props }});
  const ours = what === '{LOCALIZERS}';
  return [update({{ visible: !ours }}), update({{ visible: ours }}), update({{ value: 'Compare ' + what }})];
}}"""


def build(page: TabContext) -> None:
    """Build the tab; it reads the image, question and settings on the left."""
    gr.Markdown(INTRO)
    gr.HTML(render("papers", list(papers().values())), elem_id="papers", apply_default_css=False)
    what = gr.Radio(["methods", LOCALIZERS], value="methods", label="Compare", elem_id="compared")
    names, localizers = method_choice(FIRST, "chosen-methods"), localizer_choice("chosen-localizers")
    start, stop, status = buttons("Compare methods", "methods", OPEN_TAB)
    what.change(None, what, [names, localizers, start], js=SWITCHED, **QUIET)
    gallery = GalleryView(elem_id="gallery")
    options: dict[str, Any] = {"interactive": False, "wrap": True, "show_label": False}
    columns: dict[str, Any] = {"headers": [*COLUMNS], "column_widths": [width for width, _ in COLUMNS.values()]}
    table = gr.Dataframe(**columns, elem_id="methods-table", buttons=["fullscreen"], **options)  # copied as CSV below
    save = SaveFigure("methods")
    sheet_part(save)
    shown = [gallery, table, save.export, page.note, status]
    inputs = page.inputs_with(what, names, localizers)
    run(start, stop, page.sweeps.compared, inputs, shown, save, page.model)
