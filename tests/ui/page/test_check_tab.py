"""The tab *Check*: offered to the operator alone, streamed part by part, and kept as two files."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest

from crop_core.records.request import QueueStatus
from tests.support.fake_records import FakeEngine, check_report
from tests.support.panel import shown_status
from ui.page.layout import build
from ui.page.one_more_run import BROKEN
from ui.page.tabs.check import NOT_OPERATOR, CheckHandler

KEPT = gr.skip()


def moments(engine: Any, scenes: Any = 2, operator: str = "", username: str | None = None) -> list[tuple[Any, ...]]:
    return list(CheckHandler(engine, operator).check(scenes, SimpleNamespace(username=username)))


def tabs(**options: Any) -> list[str]:
    return [block.label for block in build(FakeEngine(), [], **options).blocks.values() if isinstance(block, gr.Tab)]


def test_it_is_there_only_where_it_is_offered() -> None:
    assert "Check" not in tabs()
    assert tabs(operator="") == tabs(operator="ann") == ["Explore", "Methods", "Budget", "Learn", "Check"]


def test_rows_come_one_by_one_and_two_files_at_the_end() -> None:
    first, *rows, last = moments(FakeEngine())
    assert first[0] == KEPT and shown_status(first[4]) == "Starting …"
    assert [row[0].count("<td>passed</td>") for row in rows] == [1, 2]
    lines = [f"{n}, 0 of 2 scenes, 0 of 5 timed runs" for n in ("1 proof", "2 proofs")]
    assert [shown_status(row[4]) for row in rows] == lines
    assert all('<progress value="0" max="7"' in row[4] for row in rows)
    assert all(not file.interactive for row in (first, *rows) for file in row[1:3])
    page, data = (Path(file.value["path"] if isinstance(file.value, dict) else file.value) for file in last[1:3])
    assert shown_status(last[4]) == "Done." and page.read_text(encoding="utf-8").lstrip().startswith("<!doctype html>")
    assert json.loads(data.read_text()) == check_report().to_json()


def test_the_place_in_the_queue_is_told() -> None:
    class Busy(FakeEngine):
        def stream(self, request):
            yield QueueStatus(1)
            yield from super().stream(request)

    *others, status = moments(Busy())[1]
    assert others == [KEPT] * 4 and shown_status(status) == "1 request is ahead of yours."


@pytest.mark.parametrize("username", [None, "bob", "Ann"])
def test_only_the_operator_may(username: str | None) -> None:
    class Untouched(FakeEngine):
        def stream(self, request):
            raise AssertionError

    (only,) = moments(Untouched(), operator="ann", username=username)
    assert NOT_OPERATOR in only[4] and only[3] == ""
    assert shown_status(moments(FakeEngine(), operator="ann", username="ann")[-1][4]) == "Done."


@pytest.mark.parametrize("scenes", [0, None, 5000, "2", 1.5])
def test_a_number_of_scenes_that_cannot_be_is_one_sentence(scenes: Any) -> None:
    (only,) = moments(FakeEngine(), scenes)
    assert "scenes is not possible; give 1 to 1000." in only[4] and only[0] == KEPT


@pytest.mark.parametrize(
    ("error", "message"), [(ValueError("It is off."), "It is off."), (KeyError("secret"), BROKEN[:20])]
)
def test_a_failure_keeps_what_is_shown(error: Exception, message: str) -> None:
    class Dying(FakeEngine):
        def stream(self, request):
            yield next(super().stream(request))
            raise error

    *_, last = moments(Dying())
    assert last[0] == KEPT and message in last[4] and "secret" not in last[4]
