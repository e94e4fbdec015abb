"""Where the model looked: one more run of the question on screen, when a visitor asks for it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import gradio as gr

from crop_core.records.attention import Attention
from crop_core.records.config import ConfigError
from crop_core.records.methods import BASELINE
from crop_core.records.request import Engine, EngineRequest
from ui.page.one_more_run import one_more_run
from ui.views.history import FinishedRun, History

RUNS = ("baseline", "crop")


class AttentionHandler:
    """Handler over one engine."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def look(self, history: History, event: gr.EventData) -> Iterator[tuple[Any, Any]]:
        """Stream (explorer, message) while the attention of one of the two runs on screen is read; their measurement
        ends. The event comes from the browser.
        """
        found: list[Attention] = []

        def take(run: FinishedRun, result: Attention) -> str:
            found.append(result)
            run.looked(found)
            return ""

        yield from one_more_run(self._engine, history, event._data, with_attention, take)


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
