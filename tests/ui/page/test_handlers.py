import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from crop_core.records.config import ConfigError
from crop_core.records.request import QueueStatus
from crop_core.records.results import StreamEvent
from tests.support.fake_records import FakeEngine, measured, sample_image
from tests.support.panel import SETTINGS, Event
from ui.page.export_panel import publish
from ui.page.handlers import Handlers
from ui.page.layout import launch_options
from ui.page.one_more_run import BROKEN
from ui.server.rate_limit import RateError
from ui.views.history import History

KEPT = gr.skip()


class FailingEngine(FakeEngine):
    """Raises what it is told to before its first event."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    def stream(self, *_: object, **__: object):
        raise self.error
        yield


@pytest.fixture
def scene(tmp_path: Path) -> str:
    sample_image().save(tmp_path / "scene.png")
    return str(tmp_path / "scene.png")


def moments_of(engine: FakeEngine, path: str | None, question: str, settings: tuple = SETTINGS) -> list[tuple]:
    return list(Handlers(engine, []).ask(History(), path, question, None, *settings, ""))


def test_an_answer_is_streamed_and_kept_for_downloads(scene: str) -> None:
    moments = moments_of(FakeEngine(), scene, "what is left of the dog?")
    stages = [json.loads(explorer["data"])["stage"] for explorer, *_ in moments]
    assert stages == sorted(stages, key=["localize", "baseline", "crop", "compare", "measure"].index)
    assert stages[-1] == "measure", "which begins at once"
    assert [moment[2] for moment in moments[:-1]] == [KEPT] * (len(moments) - 1)
    assert [moment[3] for moment in moments] == [KEPT] * len(moments), "Stop ends with the measurement"
    history = moments[-1][2]
    assert history.shown.result.question == "what is left of the dog?"
    assert history.shown.to_measure and history.shown.view.stage == "done"
    assert not history.choose(0).shown.to_measure, "shown again it is not measured by itself"


def data_of(explorer: dict) -> dict:
    return json.loads(explorer["data"])


def test_an_answer_is_measured_after_it_is_shown(scene: str) -> None:
    history = moments_of(FakeEngine(), scene, "what?")[-1][2]
    moments = list(Handlers(FakeEngine(), []).measure_new(history))
    shown = [data_of(explorer) for explorer, *_ in moments]
    assert [each["stage"] for each in shown] == ["measure"] * 7 + ["done"]
    assert [each["measuring"] for each in shown] == [
        "Measuring …",
        *(f"Measuring: {count} of 5 runs of each …" for count in range(1, 5)),
        *["Measuring peak memory …"] * 2,
        "",
    ]
    assert shown[0]["result"]["verdict"]["title"] == "Same answer, about as sure"
    assert [moment[2] for moment in moments[:-1]] == [KEPT] * 7 and not moments[-1][2].interactive
    run = history.shown
    assert len(run.result.crop.cost.runs) == 5 and run.view.result is run.result
    assert not run.to_measure
    assert list(Handlers(FakeEngine(), []).measure_new(history)) == [(KEPT,) * 3], "but not twice by itself"


def test_a_measurement_that_is_stopped_keeps_what_is_there(scene: str) -> None:
    handlers = Handlers(FakeEngine(), [])
    history = moments_of(FakeEngine(), scene, "what?")[-1][2]
    stream = handlers.measure_new(history)
    run = history.shown
    for _ in range(4):
        next(stream)
    assert publish(history, True)[2].interactive is False, "no file of a run whose times are yet to come"
    explorer, _, stop = handlers.stop(history, scene, None)
    assert data_of(explorer)["stage"] == "done" and not stop.interactive and not run.to_measure
    stream.close()
    assert len(run.result.crop.cost.runs) == 3 and not run.to_measure
    assert "medians and ranges of 3 runs" in data_of(explorer)["result"]["times"]


def test_what_is_measured_stays_with_its_run_whatever_comes_on_screen(scene: str) -> None:
    first = moments_of(FakeEngine(), scene, "what?")[-1][2]
    stream = Handlers(FakeEngine(), []).measure_new(first)
    next(stream)
    both = first.add(replace(first.shown, settings=()))
    for _ in stream:
        pass
    assert [len(run.result.crop.cost.runs) for run in both.runs] == [5, 0]


def test_whatever_is_done_next_ends_a_measurement_and_has_the_say(scene: str) -> None:
    handlers = Handlers(FakeEngine(), [])
    acts: list[Callable[[History], Any]] = [
        lambda history: list(handlers.ask(history, scene, "why?", None, *SETTINGS, "")),
        handlers.leave,
        lambda history: history.choose(0),
        lambda history: handlers.stop(history, None, None),
    ]
    for act in acts:
        history = moments_of(FakeEngine(), scene, "what?")[-1][2]
        stream = handlers.measure_new(history)
        next(stream)
        act(history)
        assert list(stream) == []
    history = moments_of(FakeEngine(), scene, "what?")[-1][2]
    *_, (explorer, note, _, stop) = handlers.ask(history, scene, " ", None, *SETTINGS, "")
    assert data_of(explorer)["stage"] == "done" and "question" in note and not stop.interactive


def test_measuring_again_replaces_the_times_once_there_are_as_many(scene: str) -> None:
    handlers = Handlers(FakeEngine(), [])
    first = moments_of(FakeEngine(), scene, "what?")[-1][2]
    list(handlers.measure_new(first))
    before = first.shown.result.crop.cost
    requests: list[Any] = []

    class Slower(FakeEngine):
        def stream(self, request: Any) -> Iterator[StreamEvent]:
            requests.append(request)
            twice = measured((2,) * 5, (2,) * 5, peaks=())
            for count in (1, 4, 5):
                yield StreamEvent("measure", measured=replace(twice, crop=twice.crop[:count]))

    moments = list(Handlers(Slower(), []).measure(first))
    after = first.shown.result.crop.cost
    seen = [data_of(explorer)["result"]["readouts"][5]["crop"] for explorer, *_ in moments]
    assert len(set(seen[:3])) == 1 and len(set(seen[3:])) == 1 and seen[0] != seen[3]
    assert after.total_s == pytest.approx(2 * before.total_s) and len(after.runs) == 5
    assert (after.peak_bytes, requests[0].kind, requests[0].memory) == (before.peak_bytes, "measure", False)


def test_a_measurement_that_waits_or_fails_tells_so_and_leaves_the_answer(scene: str) -> None:
    history = moments_of(FakeEngine(), scene, "what?")[-1][2]

    class Waiting(FakeEngine):
        def stream(self, request: Any) -> Iterator[Any]:
            yield QueueStatus(2)
            raise ConfigError("The <time> is over.")

    *_, waiting, last = Handlers(Waiting(), []).measure_new(history)
    assert data_of(waiting[0])["measuring"] == "Measuring waits: questions go first."
    assert data_of(last[0])["stage"] == "done" and "The &lt;time&gt; is over." in last[1]
    *_, last = Handlers(FailingEngine(RuntimeError("secret")), []).measure(history)
    assert data_of(last[0])["result"]["verdict"] and BROKEN[:20] in last[1] and "secret" not in last[1]


def test_what_was_opened_from_a_file_is_not_measured(scene: str) -> None:
    run = replace(
        moments_of(FakeEngine(), scene, "what?")[-1][2].shown, request=None, file="run.json", to_measure=False
    )
    history = History().add(run)
    assert list(Handlers(FakeEngine(), []).measure(history)) == [(KEPT,) * 3]


@pytest.mark.parametrize(
    ("path", "question", "settings"),
    [
        (None, "what is left of the dog?", {}),
        ("scene", "", {}),
        ("scene", "why? " * 1000, {}),
        ("scene", "what?", {1: "custom", 2: "0"}),
        ("scene", "what?", {3: "nonsense"}),
        ("scene", "what?", {6: "drawn", 7: 7}),
        (__file__, "what?", {}),
        ("/does/not/exist.png", "what?", {}),
    ],
)
def test_bad_input_is_one_sentence_and_keeps_the_rest(scene: str, path: str, question: str, settings: dict) -> None:
    values = tuple(settings.get(k, value) for k, value in enumerate(SETTINGS))
    moments = moments_of(FakeEngine(), scene if path == "scene" else path, question, values)
    assert len(moments) == 1
    explorer, note, state, stop = moments[0]
    assert explorer == state == KEPT and not stop.interactive
    assert 'role="alert"' in note
    assert "Traceback" not in note


def test_what_the_engine_refuses_is_told_and_changes_nothing(scene: str) -> None:
    refused = ConfigError("A budget of 2 tokens is <too> small.")
    explorer, note, state, stop = moments_of(FailingEngine(refused), scene, "what?")[0]
    assert explorer == state == KEPT and not stop.interactive
    assert "A budget of 2 tokens is &lt;too&gt; small." in note


def test_a_refusal_leaves_no_run_of_another_image_beside_the_new_one(scene: str, tmp_path: Path) -> None:
    engine = FakeEngine()
    history = moments_of(engine, scene, "what?")[-1][2]
    sample_image(90, 60).save(tmp_path / "new.png")
    handlers = Handlers(FailingEngine(RateError("Try again in 5 s.", 5)), [])
    ((other, note, kept, _),) = handlers.ask(history, str(tmp_path / "new.png"), "what?", None, *SETTINGS, "")
    shown = json.loads(other["data"])
    assert (shown["stage"], shown["size"], shown["result"]) == ("idle", [90, 60], None)
    assert kept == KEPT and "Try again in 5 s." in note, "the run is still among those so far"
    ((same, *_),) = handlers.ask(history, scene, "what else?", None, *SETTINGS, "")
    assert same == KEPT, "the run of this image stays"


def test_a_failure_inside_is_told_without_its_details(scene: str) -> None:
    explorer, note, state, stop = moments_of(FailingEngine(RuntimeError("secret")), scene, "what?")[0]
    assert explorer == state == KEPT and not stop.interactive
    assert BROKEN[:20] in note
    assert "secret" not in note


def test_a_failure_half_way_leaves_the_image(scene: str) -> None:
    class Dying(FakeEngine):
        def stream(self, request: object) -> Iterator[StreamEvent]:
            yield next(super().stream(request))
            raise RuntimeError("secret")

    first, last = moments_of(Dying(), scene, "what?")
    shown, last_shown = (json.loads(each[0]["data"]) for each in (first, last))
    assert (shown["stage"], last_shown["stage"]) == ("localize", "idle")
    assert last[0]["image"] == first[0]["image"]
    assert BROKEN[:20] in last[1]


def test_a_new_image_is_shown_and_a_bad_one_is_not(scene: str) -> None:
    handlers = Handlers(FakeEngine(), [])
    explorer, note, mode, drawn, follow = handlers.preview(scene, None, "drawn")
    assert json.loads(explorer["data"])["stage"] == "idle"
    assert (note, mode, drawn) == ("", "predicted", ""), "a region that was drawn belongs to the image before"
    assert not follow.visible, "a new image starts a new thread"
    assert handlers.preview(scene, None, "whole")[2] == KEPT
    explorer, note, *others = handlers.preview(__file__, None, "drawn")
    assert explorer == KEPT and others == [KEPT] * 3
    assert note
    assert handlers.preview(None, None, "drawn") == (KEPT, "", *[KEPT] * 3)


@pytest.mark.parametrize("data", [None, {}, {"index": 1}, {"index": -1}, {"index": "0"}, {"index": True}, [0]])
def test_a_run_that_is_none_changes_nothing(scene: str, data: object) -> None:
    handlers = Handlers(FakeEngine(), [])
    history = moments_of(FakeEngine(), scene, "what?")[-1][2]
    assert handlers.show_run(History(), Event(data)) == (KEPT, KEPT)
    assert handlers.show_run(history, Event(data))[1] is history


def test_an_earlier_run_is_shown_again(scene: str) -> None:
    handlers = Handlers(FakeEngine(), [])
    first = moments_of(FakeEngine(), scene, "what?")[-1][2]
    *_, (_, _, again, _) = handlers.ask(first, scene, "what?", None, *SETTINGS, "")
    assert len(again.runs) == 1, "the very same again replaces the one before"
    *_, (_, _, both, _) = handlers.ask(first, scene, "what?", None, "ilp", *SETTINGS[1:], "")
    assert [run.result.question for run in both.runs] == ["what?", "what?"]
    explorer, history = handlers.show_run(both, Event({"index": 0}))
    assert explorer == first.shown.view.to_json()
    assert history.shown is both.runs[0]
    assert handlers.beside(history)[0].count("run-card") == 2


def test_what_stands_beside_a_run_needs_one() -> None:
    assert Handlers(FakeEngine(), []).beside(History()) == (KEPT,) * 6


def test_stopping_brings_back_what_stood_there(scene: str, tmp_path: Path) -> None:
    handlers = Handlers(FakeEngine(), [])
    history = moments_of(FakeEngine(), scene, "what?")[-1][2]
    assert handlers.stop(history, scene, None)[0] == history.shown.view.to_json()
    sample_image(90, 60).save(tmp_path / "new.png")
    other = json.loads(handlers.stop(history, str(tmp_path / "new.png"), None)[0]["data"])
    assert other["stage"] == "idle" and other["result"] is None
    assert other["hint"].startswith("Stopped"), "not as if nothing had been asked yet"
    assert handlers.stop(history, None, None)[0] == KEPT
    assert handlers.stop(history, str(tmp_path / "gone.png"), None)[0] == KEPT


def test_two_people_at_once_get_their_own(tmp_path: Path) -> None:
    handlers, got = Handlers(FakeEngine(delay=0.01), []), {}

    def visit(name: str, width: int) -> None:
        sample_image(width, 200).save(tmp_path / f"{name}.png")
        got[name] = list(
            handlers.ask(History(), str(tmp_path / f"{name}.png"), f"what is {name}?", None, *SETTINGS, "")
        )[-1]

    visitors = [threading.Thread(target=visit, args=(f"v{k}", 200 + 50 * k)) for k in range(4)]
    for visitor in visitors:
        visitor.start()
    for visitor in visitors:
        visitor.join()
    for k in range(4):
        explorer, _, history, _ = got[f"v{k}"]
        data, result = json.loads(explorer["data"]), history.shown.result
        assert data["question"] == result.question == f"what is v{k}?"
        assert data["size"] == list(result.crop.trace.image_size) == [200 + 50 * k, 200]


def test_no_style_or_font_comes_from_elsewhere(tmp_path: Path) -> None:
    options = launch_options(tmp_path)
    assert "http" not in options["css"]
    assert options["theme"]._stylesheets == []


def chosen(engine: FakeEngine, history: History, data: Any) -> list[tuple[Any, Any]]:
    return list(Handlers(engine, []).choose_tokens(history, Event(data)))


def test_the_question_is_asked_with_the_tokens_that_were_chosen_and_each_try_stays_with_the_run(scene: str) -> None:
    engine = FakeEngine()
    history = moments_of(engine, scene, "what?")[-1][2]
    assert history.shown.to_measure
    *_, (explorer, note) = chosen(engine, history, {"tokens": [1, 5, 6]})
    *_, (explorer, note) = chosen(engine, history, {"tokens": [0]})
    assert [(each.config.method, each.config.tokens) for each in engine.requested] == [
        ("chosen", (1, 5, 6)), ("chosen", (0,)),
    ]  # fmt: skip
    assert engine.requested[0].config.budget is None and not history.shown.to_measure, "which has ended"
    tried = data_of(explorer)["tried"]
    assert len(tried) == 2 and set(tried[0]) == {"tokens", "text", "same", "probability"} and note == ""
    assert data_of(explorer)["id"] == data_of(history.shown.view.to_json())["id"]


@pytest.mark.parametrize("data", [None, {}, {"tokens": []}, {"tokens": "all"}, {"tokens": [1.5]}, {"tokens": [True]}])
def test_tokens_that_are_none_change_the_message_alone(scene: str, data: Any) -> None:
    history = moments_of(FakeEngine(), scene, "what?")[-1][2]
    before = history.shown.view
    ((explorer, note),) = chosen(FakeEngine(), history, data)
    assert 'role="alert"' in note and "choose at least one" in note
    assert explorer == before.to_json()


def test_tokens_need_an_answer_on_screen(scene: str) -> None:
    assert 'role="alert"' in chosen(FakeEngine(), History(), {"tokens": [1]})[0][1]
    history = moments_of(FakeEngine(), scene, "what?")[-1][2]
    assert BROKEN[:20] in chosen(FailingEngine(KeyError("secret")), history, {"tokens": [1]})[-1][1]
    assert "At most" in chosen(FailingEngine(RateError("At most 2.", 1.0)), history, {"tokens": [1]})[-1][1]
