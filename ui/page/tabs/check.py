"""The tab *Check*, for operators: proofs that pruning is exact for the loaded model, and measurements beside them."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import Any

import gradio as gr

from crop_core.io.check_page import check_body, check_page
from crop_core.records.check import REPETITIONS, SCENES, CheckError, CheckReport, check_scenes
from crop_core.records.check_table import progress
from crop_core.records.request import Engine, EngineRequest, QueueStatus
from ui.page.one_more_run import BROKEN
from ui.page.save_figure import offered as offered_file
from ui.page.sweep_widgets import buttons, stoppable
from ui.page.tabs import TabContext
from ui.views.progress import ProgressBar, status_line
from ui.views.rendering import message
from ui.views.texts import queue_message

log = logging.getLogger(__name__)
TITLE, ORDER = "Check", 50
INTRO = (
    "Proves on this server's weights and device that pruning is exact, then measures regions and answers on drawn "
    "scenes, times and memory, as `python -m crop_core check` does. It takes minutes, by the number of scenes, and the "
    "model answers nobody else meanwhile."
)
NOT_OPERATOR = "Only the operator of this server may check its model; log in as the first user of CROP_LOGIN."
Moment = tuple[Any, Any, Any, Any, Any]  # report, HTML file, JSON file, message, status


def offered(page: TabContext) -> bool:
    """Whether this server offers a check."""
    return page.operator is not None


def build(page: TabContext) -> None:
    """Build the tab; it reads nothing on the left."""
    gr.Markdown(INTRO)
    with gr.Row():
        scenes = gr.Number(SCENES, label="Drawn scenes", precision=0, elem_id="check-scenes", scale=0, min_width=180)
    start, stop, status = buttons("Check this model", "check")
    with gr.Row():
        labels = {"check-html": "Report (HTML)", "check-json": "Report (JSON)"}
        files = [gr.DownloadButton(label, interactive=False, elem_id=key) for key, label in labels.items()]
    shown = gr.HTML("", elem_id="check-report", apply_default_css=False)
    handler = CheckHandler(page.sweeps.engine, page.operator or "")
    running = start.click(
        handler.check, scenes, [shown, *files, page.note, status], api_visibility="private", **page.model
    )
    stoppable(stop, running, status)


class CheckHandler:
    """Handler over one engine. operator: the only login that may check it, "" for everybody."""

    def __init__(self, engine: Engine, operator: str) -> None:
        self.engine, self.operator = engine, operator

    def check(self, scenes: Any, request: gr.Request) -> Iterator[Moment]:
        """Stream the report so far; invalid input and errors of the engine change the message only."""
        none = gr.DownloadButton(interactive=False)
        try:
            if self.operator and request.username != self.operator:
                raise CheckError(NOT_OPERATOR)
            asked: EngineRequest[CheckReport] = EngineRequest("check", (), "", scenes=check_scenes(scenes))
            bar = ProgressBar(asked.scenes + REPETITIONS)
            yield gr.skip(), none, none, message(), status_line("Starting …")
            for report in self.engine.stream(asked):
                if isinstance(report, QueueStatus):
                    yield *(gr.skip(),) * 4, status_line(queue_message(report))
                else:
                    files = offered_files(report) if report.finished else (none, none)
                    done = len(report.scenes) + len(report.repetitions)
                    status = status_line("Done.") if report.finished else bar.at(done, progress(report))
                    yield check_body(report), *files, gr.skip(), status
        except ValueError as error:
            yield gr.skip(), none, none, message(), message(str(error))
        except Exception:
            log.exception("the engine failed")
            yield gr.skip(), none, none, message(), message(BROKEN)


def offered_files(report: CheckReport) -> tuple[gr.DownloadButton, gr.DownloadButton]:
    """Downloads of the page and of its data."""
    data = json.dumps(report.to_json(), allow_nan=False)
    return (
        offered_file(check_page(report).encode(), "crop-check.html"),
        offered_file(data.encode(), "crop-check.json"),
    )
