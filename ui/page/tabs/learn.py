"""The tab *Learn*, and the bar above the explorer that leads through the lesson."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr

from ui.page.components import Strip
from ui.page.tabs import TabContext
from ui.views import texts
from ui.views.examples import FAILS_AT, Example, thumbnail
from ui.views.lesson import GLOSSARY, STEPS, WHY_FAILED
from ui.views.rendering import Card, render

TITLE, ORDER = "Learn", 40
QUIET: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
INTRO = (
    "Six short steps on prepared examples, about ten minutes in all. Each has one thing to try and one question to "
    "answer."
)
FAILURES_INTRO = f"Right in the baseline, wrong with CROP at {FAILS_AT} tokens. A click runs an example so."


@dataclass(frozen=True)
class Bar:
    """The lesson's widgets. step: index in STEPS, -1 before and after the lesson."""

    step: gr.State
    box: gr.Column
    text: gr.Markdown
    choice: gr.Radio
    verdict: gr.Markdown
    back: gr.Button
    on: gr.Button
    end: gr.Button

    @property
    def outputs(self) -> list[Any]:
        """What a change of the step changes."""
        return [self.step, self.box, self.text, self.choice, self.verdict, self.back, self.on]


def lesson_bar() -> Bar:
    """Build the bar, hidden until the lesson starts."""
    step = gr.State(-1)
    with gr.Column(visible=False, elem_id="lesson") as box:
        text = gr.Markdown(elem_id="lesson-text")
        choice = gr.Radio([], label="", elem_id="lesson-choice")
        verdict = gr.Markdown(elem_id="lesson-verdict")
        with gr.Row():
            back = gr.Button("Back", elem_id="lesson-back", scale=0, min_width=90)
            on = gr.Button("Next", variant="primary", elem_id="lesson-next", scale=0, min_width=90)
            end = gr.Button("End the lesson", elem_id="lesson-end", scale=0, min_width=180)
    choice.input(lambda at, chosen: STEPS[at].verdict(chosen) if known(at) else "", [step, choice], verdict, **QUIET)
    return Bar(step, box, text, choice, verdict, back, on, end)


def build(page: TabContext) -> dict[str, Any]:
    """Build lesson, failure gallery and glossary; returns the start button, and the strip of failures if any."""
    failures = [index for index, one in enumerate(page.examples) if one.pruning_fails]
    gr.Markdown(f"## A lesson in six steps\n\n{INTRO}")
    start = gr.Button("Start the lesson", variant="primary", elem_id="lesson-start", scale=0, min_width=180)
    strip = None
    if failures:
        gr.Markdown(f"## Where pruning failed\n\n{FAILURES_INTRO}")
        strip = Strip(failures_html(page.examples, failures), elem_id="failures")
    gr.HTML(render("glossary", GLOSSARY), elem_id="glossary", apply_default_css=False)
    return {"start": start, "failures": strip}


def known(at: object) -> bool:
    """Whether `at` is the index of a step."""
    return type(at) is int and 0 <= at < len(STEPS)


def moment(at: int) -> tuple[Any, ...]:
    """Updates of `Bar.outputs` for the step at this index, or for none."""
    if not known(at):
        return -1, gr.Column(visible=False), *(gr.skip(),) * 5
    step = STEPS[at]
    text = f"### {at + 1} of {len(STEPS)}. {step.title}\n\n{step.text}\n\n**Try:** {step.look}"
    choice = gr.Radio(list(step.choices), value=None, label=step.question)
    last = at == len(STEPS) - 1
    return (
        at,
        gr.Column(visible=True),
        text,
        choice,
        "",
        gr.Button(interactive=at > 0),
        gr.Button("Done" if last else "Next"),
    )


def bind_lesson(bar: Bar, starts: list[gr.Button]) -> list[Any]:
    """Bind starts, next, back and end; returns the events after which the step's example is run, if there is one."""
    return [
        gr.on([start.click for start in starts], lambda: moment(0), None, bar.outputs, **QUIET),
        bar.on.click(lambda at: moment(at + 1), bar.step, bar.outputs, **QUIET),
        bar.back.click(lambda at: moment(at - 1), bar.step, bar.outputs, **QUIET),
        bar.end.click(lambda: moment(-1), None, bar.outputs, **QUIET),
    ]


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
