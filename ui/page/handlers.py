"""Event handlers: invalid input becomes one sentence, the engine's stream becomes the view.

One object per app, without state of its own: a visitor's state lives in Gradio's session.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cached_property
from typing import Any

import gradio as gr

from crop_core.io.data_url import data_url
from crop_core.io.images import image_notices, open_image
from crop_core.records.environment import now
from crop_core.records.methods import CHOSEN
from crop_core.records.request import Engine, EngineRequest, ManyResult, QueueStatus
from crop_core.records.results import RunError, StreamEvent
from crop_core.records.timing import NOT_MEASURED
from ui.page import controls
from ui.page.images import open_all
from ui.page.one_more_run import BROKEN, NO_ANSWER, one_more_run, with_tokens
from ui.page.request import ComparisonRequest, link_query, read_link
from ui.views import texts
from ui.views.examples import Example
from ui.views.explorer_state import ExplorerState
from ui.views.history import FinishedRun, History, strip_html
from ui.views.rendering import message, render

log = logging.getLogger(__name__)
STOPPED = "Stopped before there was an answer. Run asks again."
MEASURING_WAITS = "Measuring waits: questions go first."
Moment = tuple[Any, Any, Any, Any]  # explorer, message, history, Stop
Measuring = tuple[Any, Any, Any]  # explorer, message, Stop


class Handlers:
    """The app's event handlers over one engine and its examples."""

    def __init__(self, engine: Engine, examples: list[Example]) -> None:
        self.engine = engine
        self.examples = examples

    def preview(self, path: str | None, more: list[str] | None, mode: str) -> tuple[Any, ...]:
        """Show new images: (explorer, message, region mode, regions in the others, follow-up).

        None, or an invalid one, changes the message only. A new image starts a new thread.
        """
        try:
            images = open_all(path, more) if path or more else ()
        except ValueError as error:
            return gr.skip(), message(str(error)), *(gr.skip(),) * 3
        if not images:  # removed
            return gr.skip(), message(), *(gr.skip(),) * 3
        view, note = ExplorerState.of(images), message(*image_notices(images))
        return view.to_json(), note, controls.without_drawn(mode), "", gr.Column(visible=False)

    def ask(
        self, history: History, path: str | None, question: str, more: list[str] | None, *settings: Any
    ) -> Iterator[Moment]:
        """Stream (explorer, message, history, Stop) for one question; invalid input changes the message only.

        settings: values of `SettingsPanel`, then of `MoreImages.drawn`.
        """
        yield from self._stream(history, lambda: ComparisonRequest.of(open_all(path, more), question, settings))

    def again(
        self, history: History, path: str | None, question: str, more: list[str] | None, *settings: Any
    ) -> Iterator[Moment]:
        """As `ask`, for the question on screen and its thread, with the present regions; not for opened runs."""
        run = history.shown
        if run is None or run.file:
            yield from self.ask(history, path, question, more, *settings)
        else:
            old = run.result
            yield from self._stream(
                history, lambda: ComparisonRequest.of(run.images, old.question, settings, old.history)
            )

    def follow(self, history: History, question: str, *settings: Any) -> Iterator[tuple[Any, ...]]:
        """Stream (explorer, message, history, Stop, question) for a follow-up in the thread on screen."""
        run = history.shown
        if run is None or run.file:
            yield gr.skip(), message(NO_ANSWER), gr.skip(), stop_button(), gr.skip()
            return
        for moment in self._stream(
            history, lambda: ComparisonRequest.of(run.images, question, settings, history.thread)
        ):
            yield *moment, "" if isinstance(moment[2], History) else gr.skip()

    def _stream(self, history: History, request: Callable[[], ComparisonRequest]) -> Iterator[Moment]:
        """Run a request. After invalid input or a failure the previous view comes back; the images of a request that
        was refused replace the run of other images, as they have in the inputs.
        """
        view, asked, left = None, None, history.leave()
        try:
            asked = request()
            for moment, done in self.comparison(asked):
                if isinstance(moment, QueueStatus):
                    yield gr.skip(), render("queue_status", texts.queue_message(moment)), gr.skip(), gr.skip()
                    continue
                view, kept = moment, history.add(done) if done else gr.skip()
                yield (view.measured(None) if done else view).to_json(), message(), kept, gr.skip()
            return
        except ValueError as error:
            sentence = str(error)
        except Exception:
            log.exception("the engine failed")
            sentence = BROKEN
        if view is None and asked and history.shown and history.shown.view.images != asked.view().images:
            view = asked.view()
        yield previous_view(history, view, left), message(sentence), gr.skip(), stop_button()

    def measure_new(self, history: History) -> Iterator[Measuring]:
        """As `measure`, for a run that has just been answered; nothing otherwise."""
        run = history.shown
        yield from self._measure(run) if run and run.to_measure else [(gr.skip(),) * 3]

    def measure(self, history: History) -> Iterator[Measuring]:
        """Stream (explorer, message, Stop) while the run on screen is measured; opened runs are not.

        What is measured so far stays, however it ends.
        """
        run = history.shown
        if run is None or run.request is None:
            yield (gr.skip(),) * 3
            return
        run.to_measure = True
        run.request = replace(run.request, fresh=True)
        run.view = replace(run.view, hint="")
        yield from self._measure(run)

    def _measure(self, run: FinishedRun) -> Iterator[Measuring]:
        """Measure until there is enough, or the run is left: then what comes on screen instead has the say."""
        note = gr.skip()
        try:
            yield run.view.measured(None).to_json(), note, gr.skip()
            for event in self.engine.stream(measurement(run)):
                if not run.to_measure:
                    return
                if isinstance(event, QueueStatus):
                    yield run.view.measured(None, MEASURING_WAITS).to_json(), note, gr.skip()
                elif event.measured is not None:
                    yield run.measure(event.measured).to_json(), note, gr.skip()
        except ValueError as error:
            note = message(str(error))
        except Exception:
            log.exception("the engine failed")
            note = message(BROKEN)
        if run.to_measure:
            run.to_measure = False
            yield run.view.to_json(), note, stop_button()

    def choose_tokens(self, history: History, event: gr.EventData) -> Iterator[tuple[Any, Any]]:
        """Stream (explorer, message) while the question on screen is asked with chosen visual tokens alone, which come
        from the browser; its measurement ends.
        """

        def take(run: FinishedRun, result: ManyResult) -> str:
            if isinstance(result, RunError):
                return result.why
            if result.method == CHOSEN:
                run.tried(result)
            return ""

        yield from one_more_run(self.engine, history, event._data, with_tokens, take)

    def stop(self, history: History, path: str | None, more: list[str] | None) -> Measuring:
        """(explorer, message, Stop) after a run was stopped: the previous view."""
        try:
            view = replace(ExplorerState.of(open_all(path, more)), hint=STOPPED) if path or more else None
            before = previous_view(history, view)
        except ValueError:
            before = gr.skip()
        history.leave()
        return before, render("queue_status", "Stopped."), stop_button()

    def leave(self, history: History) -> Any:
        """Stop, after something else than a new run came on screen while one was measured."""
        history.leave()
        return stop_button()

    def comparison(
        self, request: ComparisonRequest
    ) -> Iterator[tuple[ExplorerState | QueueStatus, FinishedRun | None]]:
        """Stream of the engine as queue status and views; the last one with the finished run.

        Nothing is shown before the engine's first event, so that a budget or box that it refuses changes nothing.
        """
        view, began = request.view(), now()
        for event in request.events(self.engine):
            if isinstance(event, QueueStatus):
                yield event, None
                continue
            view = view.event(event)
            result = event.comparison
            if result and result.made.get("date", began) < began:
                view = replace(view, hint=texts.answered_before(result))
            yield view, None if result is None else request.finished(result, view)

    def show_run(self, history: History, event: gr.EventData) -> tuple[Any, Any]:
        """(explorer, history) with the clicked run of the history on screen again."""
        chosen = history.choose(event._data.get("index") if isinstance(event._data, dict) else None)
        return (chosen.shown.view.to_json(), chosen) if chosen.shown else (gr.skip(), gr.skip())

    def beside(self, history: History) -> tuple[Any, ...]:
        """(runs so far, link, two codes, why there is no link, follow-up) of the run on screen; none to an opened
        run.
        """
        run = history.shown
        if run is None:
            return (gr.skip(),) * 6
        link = self.link(run)
        fields = gr.Textbox(link, visible=bool(link)), *[gr.Textbox(visible=bool(link))] * 2
        return (
            strip_html(history),
            *fields,
            gr.Markdown(visible=not (link or run.file)),
            gr.Column(visible=not run.file),
        )

    def link(self, run: FinishedRun) -> str:
        """Query of a run; "" unless it is a first question about a single example."""
        first, *others = run.view.images
        example = self._images.get(first.url)
        if example is None or others or run.result.history or run.file:
            return ""
        return link_query(example, run.result.question, run.settings)

    @cached_property
    def _images(self) -> dict[str, Example]:
        """Examples by the data URL of their image."""
        return {data_url(open_image(one.image)): one for one in self.examples}

    def restore(self, request: gr.Request, *settings: Any) -> tuple[Any, ...]:
        """(message, 1, image, question, *settings) of the link that the page was opened with, to be run. Without one
        nothing changes, so that what the page says of a linked file stays.
        """
        unchanged = (gr.skip(),) * (3 + len(settings))
        try:
            restored = read_link(dict(request.query_params), self.examples, settings)
        except ValueError as error:
            return message(str(error)), *unchanged
        return (message(), 1, *restored) if restored else (gr.skip(), *unchanged)


def measurement(run: FinishedRun) -> EngineRequest[StreamEvent]:
    """Request that measures a run; its memory only once, which does not vary."""
    assert run.request is not None  # noqa: S101  the caller looked
    memory = run.result.crop.cost.peak_method == NOT_MEASURED
    return replace(run.request, kind="measure", memory=memory)


def stop_button() -> Any:
    """Stop, at the end of what it could stop; the page enables it at the start."""
    return gr.Button(interactive=False)


def previous_view(history: History, view: ExplorerState | None, measured: bool = False) -> Any:
    """View after a run without a result.

    view: the last one of that run. The previous run on its images comes back, or only the images. measured: whether
    the previous run was being measured, which has ended.
    """
    run = history.shown
    if view is None:
        return run.view.to_json() if run and measured else gr.skip()
    images_alone = ExplorerState(view.images, hint=view.hint)
    return (run.view if run and run.view.images == view.images else images_alone).to_json()
