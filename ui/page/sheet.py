"""Comparison sheet on the page: results of *Methods* are collected, and saved as one figure and two tables."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import gradio as gr
import numpy as np

from crop_core.io.images import reduced
from crop_core.records.config import ConfigError
from crop_core.records.formatting import counted
from crop_core.records.sheet import Sheet, SheetRow
from ui.export.multi_run_figures import ExportFigure, sheet_figure
from ui.page.components import QUIET
from ui.page.save_figure import FORGET_AFTER, SaveFigure
from ui.views.rendering import message, render

MAX_ROWS = 12
SIDE = 700  # pixels of an image that is kept
HELP = (
    "One figure of several images: compare the methods on an image, add the result, and go on with the next image. All "
    f"results need the same budget; at most {MAX_ROWS} are kept, for an hour."
)
NOTHING = "There is no result yet; press *Compare methods* first."
EMPTY = "The sheet is empty."
State = tuple[Any, Any, str]  # sheet, figure to be saved, line below the buttons


def sheet_part(methods: SaveFigure) -> None:
    """Build the sheet. methods: the figure of the results that can be added."""
    sheet = gr.State(None, time_to_live=FORGET_AFTER)
    with gr.Accordion("Comparison sheet: several images", open=False, elem_id="sheet"):
        gr.Markdown(HELP)
        with gr.Row():
            adding = gr.Button("Add this result", elem_id="sheet-add")
            taking = gr.Button("Remove the last", elem_id="sheet-remove")
            clearing = gr.Button("Clear", elem_id="sheet-clear")
        status = gr.HTML(render("lines", [EMPTY]), elem_id="sheet-status", apply_default_css=False)
        save = SaveFigure("sheet-figure", "Save the sheet")
    changed = [sheet, save.export, status]
    events = (
        adding.click(added, [sheet, methods.export], changed, **QUIET),
        taking.click(shortened, sheet, changed, **QUIET),
        clearing.click(lambda: shown(None), None, changed, **QUIET),
    )
    save.files.requested_by(*(event.then for event in events))


def added(sheet: Sheet | None, export: ExportFigure | None) -> State:
    """Sheet with one more result, in place of one about the same image and question; else one sentence."""
    try:
        return shown(with_result(sheet, export))
    except ValueError as error:
        return gr.skip(), gr.skip(), message(str(error))


def with_result(sheet: Sheet | None, export: ExportFigure | None) -> Sheet:
    """The sheet with the only row of a result; ConfigError for none, another budget, or too many rows."""
    if export is None or export.sheet is None:
        raise ConfigError(NOTHING)
    (new,), budget = export.sheet.rows, export.sheet.budget
    new = replace(new, image=reduced(new.image, SIDE))
    rows = [row for row in sheet.rows if not same_request(row, new)] if sheet else []
    if rows and sheet and sheet.budget != budget:
        raise ConfigError(
            f"The sheet has the budget {sheet.budget}, and this result {budget}; compare the methods at the sheet's "
            "budget, or clear the sheet."
        )
    if len(rows) == MAX_ROWS:
        raise ConfigError(f"The sheet has {MAX_ROWS} images, and no more fit; remove one, or save it and clear it.")
    return Sheet((*rows, new), budget)


def same_request(one: SheetRow, other: SheetRow) -> bool:
    """Whether two rows are about the same question and image."""
    return one.question == other.question and np.array_equal(np.asarray(one.image), np.asarray(other.image))


def shortened(sheet: Sheet | None) -> State:
    """Sheet without its last row."""
    rows = sheet.rows[:-1] if sheet else ()
    return shown(replace(sheet, rows=rows) if sheet and rows else None)


def shown(sheet: Sheet | None) -> State:
    """A sheet as the page's state; None for an empty one."""
    if sheet is None:
        return None, None, render("lines", [EMPTY])
    head = f"{counted(len(sheet.rows), 'image')} by {', '.join(sheet.methods)}; budget {sheet.budget}:"
    return sheet, sheet_figure(sheet), render("lines", [head, *(f"{row.name}: {row.question}" for row in sheet.rows)])
