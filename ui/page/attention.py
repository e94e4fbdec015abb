"""Where the model looked: one more run of the question on screen, when a visitor asks for it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import gradio as gr

from crop_core.records.attention import Attention
from crop_core.records.config import ConfigError
from crop_core.records.methods import BASELINE
from crop_core.records.request import Engine, EngineRequest, QueueStatus
from ui.page.handlers import BROKEN, NO_ANSWER
from ui.views.history import FinishedRun, History
from ui.views.rendering import message, render
from ui.views.texts import queue_message

log = logging.getLogger(__name__)
RUNS = ("baseline", "crop")


class AttentionHandler:
    """Handler over one engine."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def look(self, history: History, event: gr.EventData) -> Iterator[tuple[Any, Any]]:
        """Stream (explorer, message) while the attention of one of the two runs on screen is read; their measurement
        ends. The event comes from the browser.
        """
        run = history.shown
        if run is None or run.request is None:
            yield gr.skip(), message(NO_ANSWER)
            return
        note, found = message(), list[Attention]()
        try:
            request = with_attention(run, event._data)
            history.leave()
            for result in self._engine.stream(request):
                if isinstance(result, QueueStatus):
                    yield gr.skip(), render("queue_status", queue_message(result))
                else:
                    found.append(result)
            run.looked(found)
        except ValueError as error:
            note = message(str(error))
        except Exception:
            log.exception("the engine failed")
            note = message(BROKEN)
        yield run.view.to_json(), note


def with_attention(run: FinishedRun, data: Any) -> EngineRequest[Attention]:
    """Request of a run's attention, in the regions that it had; ConfigError for (untrusted) data that names none."""
    assert run.request is not None  # noqa: S101  the caller looked
    name = data.get("run") if isinstance(data, dict) else None
    if name not in RUNS:
        raise ConfigError(f"The attention is that of one of the runs {' and '.join(RUNS)}; choose one.")
    own = run.request
    config = own.config if name == "crop" else replace(own.config, method=BASELINE, budget=None)
    about = own.images, own.question, config, run.result.regions
    return EngineRequest("attention", *about, memory=False, history=own.history)
