"""The tab *Budget*: what is left of the answer as the budget shrinks, a curve a method."""

from __future__ import annotations

import gradio as gr

from ui.page.save_figure import SaveFigure
from ui.page.sweep_widgets import OPEN_TAB, buttons, method_choice, run
from ui.page.sweeps import MAX_NEW_TOKENS
from ui.page.tabs import TabContext

TITLE, ORDER = "Budget", 30
FIRST = ["crop", "divprune", "random"]
INTRO = (
    "How likely the baseline's answer stays as the budget shrinks. The probability is that of "
    "the baseline's whole answer; a cross marks a budget at which the method gives another one. Answers "
    f"end after {MAX_NEW_TOKENS} tokens where the settings name no other limit."
)


def build(page: TabContext) -> None:
    """Build the tab; it reads the image, question and settings on the left."""
    gr.Markdown(INTRO)
    names = method_choice(FIRST, "swept-methods")
    start, stop, status = buttons("Sweep the budget", "budgets", OPEN_TAB)
    figure = gr.Plot(show_label=False, elem_id="budget-curves")
    save = SaveFigure("curves")
    run(
        start,
        stop,
        page.sweeps.budgets,
        page.inputs_with(names),
        [figure, save.export, page.note, status],
        save,
        page.model,
    )
