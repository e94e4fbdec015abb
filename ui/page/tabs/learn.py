"""The tab *Learn*: start of the lesson, class mode, what pruning got wrong, glossary."""

from __future__ import annotations

from typing import Any

import gradio as gr

from ui.page.components import Strip, class_mode_button
from ui.page.tabs import TabContext
from ui.views import texts
from ui.views.examples import FAILS_AT, Example, thumbnail
from ui.views.lesson import GLOSSARY, STEPS, WHY_FAILED
from ui.views.rendering import Card, render

TITLE, ORDER = "Learn", 40
INTRO = (
    f"{len(STEPS)} short steps on prepared examples, about ten minutes in all. In each you predict what a run will "
    "show, then it runs."
)
CLASS_INTRO = (
    "For a projector: larger type, no inputs, and a QR code of the run on screen where it can be linked. *Start over* "
    "brings the page back as it opens, for the next class."
)
FAILURES_INTRO = f"Right in the baseline, wrong with CROP at {FAILS_AT} tokens. A click runs an example so."


def build(page: TabContext) -> dict[str, Any]:
    """Build lesson, failure gallery and glossary; returns the start button, and the strip of failures if any."""
    failures = [index for index, one in enumerate(page.examples) if one.pruning_fails]
    gr.Markdown(f"## A lesson\n\n{INTRO}")
    start = gr.Button("Start the lesson", variant="primary", elem_id="lesson-start", scale=0, min_width=180)
    gr.Markdown(f"## Class mode\n\n{CLASS_INTRO}")
    class_mode_button("Class mode", True, elem_id="class-mode")
    strip = None
    if failures:
        gr.Markdown(f"## Where pruning failed\n\n{FAILURES_INTRO}")
        strip = Strip(failures_html(page.examples, failures), elem_id="failures")
    gr.HTML(render("glossary", GLOSSARY), elem_id="glossary", apply_default_css=False)
    return {"start": start, "failures": strip}


def failures_html(examples: list[Example], failures: list[int]) -> str:
    """Cards of the examples on which pruning fails, with both answers and the reason."""
    failed = [(index, examples[index]) for index in failures]
    cards = [
        Card(index, one.question, (both_answers(one), WHY_FAILED.get(one.kind, "")), thumbnail(one.image))
        for index, one in failed
    ]
    return render("failure_strip", cards)


def both_answers(example: Example) -> str:
    """Both answers of an example on which pruning fails."""
    return f"“{texts.quoted(example.answer)}” in the baseline, “{texts.quoted(example.pruned)}” with CROP at {FAILS_AT}"
