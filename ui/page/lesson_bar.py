"""The lesson's bar: in the place of the inputs while the lesson is on, and always in sight.

Each step asks for a prediction about the image of an example; *Reveal* runs the example and tells what came of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import gradio as gr

from crop_core.io.images import open_image
from crop_core.records.region import GRID, Region, RegionError
from ui.page.components import QUIET
from ui.page.controls import SettingsPanel, parse_region
from ui.page.handlers import Handlers
from ui.views.explorer_state import ExplorerState
from ui.views.history import History
from ui.views.lesson import STEPS
from ui.views.lesson_progress import Progress
from ui.views.rendering import message

CUE = "(cue) => { window.cropExplorer?.followLesson(JSON.parse(cue)); }"
PREDICT_FIRST = "Predict first: choose one."
DRAW_FIRST = "Predict first: draw a region in panel 1."
RIGHT, WRONG = " ✓ right", " ✗"


class LessonBar:
    """The widgets, hidden until the lesson starts. cue: what the explorer is to show, as JSON; for the browser."""

    def __init__(self) -> None:
        self.progress = gr.State(Progress())
        with gr.Column(visible=False, elem_id="lesson") as self.box:
            self.text = gr.Markdown(elem_id="lesson-text")
            self.choice = gr.Radio([], label="", elem_id="lesson-choice")
            self.verdict = gr.Markdown(elem_id="lesson-verdict")
            self.summary = gr.HTML(visible=False, elem_id="lesson-summary", apply_default_css=False)
            with gr.Column(elem_id="lesson-go"):
                with gr.Row():
                    self.back = gr.Button("Back", elem_id="lesson-back", scale=0, min_width=70)
                    self.on = gr.Button("Reveal", variant="primary", elem_id="lesson-next", scale=1, min_width=90)
                    self.end = gr.Button("End", elem_id="lesson-end", scale=0, min_width=70)
                self.to_step = gr.Button("Back to the step", elem_id="lesson-return")
        self.cue = gr.Textbox(visible="hidden", elem_id="lesson-cue")
        self.cue.change(None, self.cue, None, js=CUE, **QUIET)

    @property
    def buttons(self) -> list[gr.Button]:
        """The buttons that lead from step to step."""
        return [self.back, self.on, self.end]

    @property
    def outputs(self) -> list[Any]:
        """What `LessonHandlers.moment` updates."""
        return [self.progress, self.box, self.text, self.choice, self.verdict, self.summary, self.back, self.on]


def choice(progress: Progress) -> Any:
    """The choices of a step; once it has run, with the right one and a wrong prediction marked."""
    step, outcome, chosen = progress.step, progress.outcome, progress.predictions.get(progress.at)
    assert step is not None  # noqa: S101  there are none outside the steps
    marks = {chosen: WRONG, outcome.right: RIGHT} if outcome else {}
    labels = [(f"{each}{marks.get(each, '')}", each) for each in step.choices]
    value = chosen if isinstance(chosen, str) else None
    return gr.Radio(labels, value=value, label=step.question, visible=not step.draws, interactive=progress.asks)


class LessonHandlers:
    """Handlers of the bar. handlers: those of the page, whose examples the steps use."""

    def __init__(self, handlers: Handlers) -> None:
        self._handlers = handlers
        self._examples = {one.image.name: one for one in handlers.examples}

    def moment(self, progress: Progress, note: str = "") -> tuple[Any, ...]:
        """Updates of `LessonBar.outputs`. note: in the place of the verdict."""
        step, outcome, last = progress.step, progress.outcome, progress.at == len(STEPS) - 1
        if step is None:
            over = progress.at == len(STEPS)
            hidden = gr.Radio(visible=False)
            shown = progress.summary if over else ""
            texts = ("## What you predicted, and what came", hidden, "", gr.HTML(shown, visible=over))
            return progress, gr.Column(visible=over), *texts, gr.Button(interactive=over), gr.Button("Once more")
        example = self._examples.get(step.image)
        asked = [f"The image's question: “{example.question}”"] if example else []
        title = f"## {progress.at + 1} of {len(STEPS)}. {step.title}"
        text = "\n\n".join([title, step.text, *asked, *([f"**{step.question}**"] if step.draws else [])])
        verdict = f"{outcome.verdict}\n\n**Look:** {step.look}" if outcome else note
        on = "Reveal" if progress.asks else "Done" if last else "Next"
        buttons = gr.Button(interactive=progress.at > 0), gr.Button(on)
        return progress, gr.Column(visible=True), text, choice(progress), verdict, gr.HTML(visible=False), *buttons

    def start(self) -> tuple[Any, ...]:
        """The first step, with nothing predicted."""
        return self.moment(Progress(0))

    def back(self, progress: Progress) -> tuple[Any, ...]:
        """The step before."""
        return self.moment(progress.to(max(progress.at - 1, 0)))

    def end(self) -> tuple[Any, ...]:
        """Outside the lesson."""
        return self.moment(Progress())

    def advance(self, progress: Progress, chosen: Any, mode: Any, *grid: Any) -> tuple[Any, ...]:
        """Reveal, the next step, the summary, or the first step once more.

        chosen: one of the choices; mode, grid: the drawn region, of a step that has none. All of them are untrusted.
        """
        step = progress.step
        if step is None:
            return self.start()
        if not progress.asks:
            return self.moment(progress.to(progress.at + 1))
        further = progress.predict(drawn(mode, grid) if step.draws else str(chosen))
        return self.moment(further, "" if further.runs else DRAW_FIRST if step.draws else PREDICT_FIRST)

    def ask(self, progress: Progress, *inputs: Any) -> Iterator[tuple[Any, ...]]:
        """`Handlers.ask` for what was prepared; nothing if its step was left before the run could begin."""
        if progress.step is None or progress.runs:
            yield from self._handlers.ask(*inputs)
        else:
            yield (gr.skip(),) * 4

    def show(self, progress: Progress, history: History, path: str | None, more: Any) -> tuple[Any, ...]:
        """(explorer, message, Stop, cue) after a move: the image before the prediction, else what is on screen."""
        if progress.refused:
            return (gr.skip(),) * 4
        step, cue = progress.step, progress.cue
        example = step and self._examples.get(step.image)
        if progress.runs or (step and not example):
            return gr.skip(), gr.skip(), gr.skip(), cue
        before, _, stop = self._handlers.stop(history, path, more)
        if step and example:
            before = ExplorerState.of(open_image(example.image), example.question, step.method)
            before = replace(before, stage="predict").to_json()
        return before, message(), stop, cue

    def tell(self, progress: Progress, history: History) -> tuple[Any, ...]:
        """(*`LessonBar.outputs`, cue) after a run: what came of the prediction, if it was the step's run."""
        step, run = progress.step, history.shown
        example = step and self._examples.get(step.image)
        if not (progress.runs and run and example and run.result.question == example.question):
            return (gr.skip(),) * 9
        further = progress.tell(run.result)
        return *self.moment(further), further.cue


def bind_lesson(bar: LessonBar, lesson: LessonHandlers, starts: list[gr.Button], panel: SettingsPanel) -> list[Any]:
    """Bind the buttons that start the lesson and lead through it; returns the events of a move."""
    read = [bar.progress, bar.choice, panel.mode, *panel.cells]
    return [
        gr.on([start.click for start in starts], lesson.start, None, bar.outputs, **QUIET),
        bar.on.click(lesson.advance, read, bar.outputs, **QUIET),
        bar.back.click(lesson.back, bar.progress, bar.outputs, **QUIET),
        bar.end.click(lesson.end, None, bar.outputs, **QUIET),
    ]


def drawn(mode: Any, grid: Any) -> Region | None:
    """The drawn region by the (untrusted) settings, in cells; None for none."""
    try:
        return parse_region(mode, grid, (GRID, GRID)) if mode == "drawn" else None
    except RegionError:
        return None
