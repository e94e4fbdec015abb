"""One more run about the question on screen, whose result stands beside it: by chosen tokens, or for its attention."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, TypeVar

import gradio as gr

from crop_core.records.config import ConfigError
from crop_core.records.methods import CHOSEN
from crop_core.records.request import Engine, EngineRequest, ManyResult, QueueStatus
from crop_core.records.results import RunSpec
from ui.views.history import FinishedRun, History
from ui.views.rendering import message, render
from ui.views.texts import queue_message

log = logging.getLogger(__name__)
BROKEN = "The model could not answer because of an internal error; see the app's log. The view is unchanged."
NO_ANSWER = "There is no answer to follow up yet; ask a first question above."
Result = TypeVar("Result")


def one_more_run(
    engine: Engine,
    history: History,
    data: Any,
    make: Callable[[FinishedRun, Any], EngineRequest[Result]],
    take: Callable[[FinishedRun, Result], str],
) -> Iterator[tuple[Any, Any]]:
    """Stream (explorer, message) while one more run about the question on screen is made; its measurement ends.

    data: from the browser. make: the request of it, ValueError with one sentence for what it cannot be. take: puts a
    result beside the run on screen; returns what is wrong with it, "" for nothing.
    """
    run = history.shown
    if run is None or run.request is None:
        yield gr.skip(), message(NO_ANSWER)
        return
    note = message()
    try:
        request = make(run, data)
        history.leave()
        for result in engine.stream(request):
            if isinstance(result, QueueStatus):
                yield gr.skip(), render("queue_status", queue_message(result))
            elif wrong := take(run, result):
                note = message(wrong)
    except ValueError as error:
        note = message(str(error))
    except Exception:
        log.exception("the engine failed")
        note = message(BROKEN)
    yield run.view.to_json(), note


def with_tokens(run: FinishedRun, data: Any) -> EngineRequest[ManyResult]:
    """Request of a run's question with chosen visual tokens alone; ValueError for (untrusted) data without any."""
    assert run.request is not None  # noqa: S101  the caller looked
    tokens = data.get("tokens") if isinstance(data, dict) else None
    if len(run.images) > 1 or run.result.history:
        raise ConfigError("Tokens by hand are for a first question about one image; ask one.")
    if not isinstance(tokens, list) or not all(type(each) is int for each in tokens):
        raise ConfigError("No visual token is chosen; choose at least one.")
    config = replace(run.request.config, method=CHOSEN, budget=None, tokens=tuple(tokens))
    specs = (RunSpec(CHOSEN, config),)
    return EngineRequest("run_many", run.request.images, run.request.question, config, (None,), specs=specs)
