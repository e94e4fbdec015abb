"""The load benchmark's judgements, by hand-computed numbers; no app is started."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest

from benchmarks import load
from tests.support import ROOT
from tests.support.fake_records import comparison

USER = load.User("picture.png", (240, 240), "what?")
TOLD = comparison("what?", (240, 240)).to_json()


def outcome(answer: Any) -> load.Record:
    record = load.Record()

    def ask(*_: Any) -> Any:
        if isinstance(answer, Exception):
            raise answer
        return answer

    load.ask_once(ask, USER, "compare", {"compare": load.essence("compare", TOLD)}, record)
    return record


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (TOLD, "answered"),
        (comparison("where?", (240, 240)).to_json(), "mixed up"),
        (comparison("what?", (241, 240)).to_json(), "mixed up"),
        (comparison("what?", (240, 240), changed=True).to_json(), "mixed up"),
        (ValueError("The queue is full (2 requests are waiting); please try again soon."), "refused"),
        (ValueError("The model could not answer"), "lost"),
        (TimeoutError(), "lost"),
    ],
)
def test_an_answer_is_somebodys_own_or_refused_or_lost(answer: Any, expected: str) -> None:
    record = outcome(answer)
    assert record.outcomes == {("compare", expected): 1}
    assert bool(record.problems) == (expected in ("mixed up", "lost"))


def test_every_kind_of_answer_tells_whose_it_is() -> None:
    region = {"grid": [1, 2, 3, 4], "width": 240, "height": 241}
    assert load.essence("localize", region) == [[1, 2, 3, 4], 240, 241]
    assert load.essence("ask", {"answer": "fox", "region": region}) == ["fox", [1, 2, 3, 4], 240, 241]


def test_quantiles_and_growth() -> None:
    assert [load.quantile(range(1, 101), share) for share in (0.5, 0.95)] == [50, 95]
    assert load.quantile([7.0], 0.95) == 7 and load.quantile([1, 2, 3], 0.95) == 3
    assert load.growth([*range(20), *[100] * 80]) == 1, "the warm-up does not count"
    assert load.growth([100] * 92 + [106] * 8) == 1.06


def test_what_may_not_be_fails() -> None:
    fine = {"mixed_up": 0, "lost": 0, "answered": 9, "memory": {"growth": 1.01}}
    assert not load.failed(fine)
    for change in ({"mixed_up": 1}, {"lost": 1}, {"answered": 0}, {"memory": {"growth": 1.06}}):
        assert load.failed({**fine, **change})


def test_the_report_adds_up() -> None:
    record = load.Record()
    for kind, result, seconds in (("ask", "answered", 1), ("compare", "answered", 3), ("ask", "refused", 0.1)):
        record.add(kind, result, seconds)
    options = SimpleNamespace(users=2, minutes=1.0, pause=5.0)
    figures = load.report(record, [100_000_000] * 50, 60, options)
    assert (figures["requests"], figures["answered"], figures["refused"], figures["mixed_up"], figures["lost"]) == (
        3,
        2,
        1,
        0,
        0,
    )
    assert figures["seconds"]["answered"] == {"count": 2, "p50": 1, "p95": 3, "worst": 3}
    assert figures["answered_per_s"] == round(2 / 60, 3) and not load.failed(figures)


def test_the_page_says_what_was_measured() -> None:
    page = (ROOT / "docs" / "sizing.md").read_text(encoding="utf-8")
    measured = json.loads((ROOT / "benchmarks" / "results" / "load.json").read_text(encoding="utf-8"))
    assert f"One worker answered {measured['answered_per_s']:g} questions a second" in page
    assert f"Of the {measured['requests']} requests of that run none was mixed up or lost" in page
    assert not measured["mixed_up"] and not measured["lost"]
