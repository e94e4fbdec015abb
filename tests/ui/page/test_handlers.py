import json
import threading
from collections.abc import Iterator
from pathlib import Path

import gradio as gr
import pytest

from crop_core.records.config import ConfigError
from crop_core.records.results import StreamEvent
from tests.support.fake_records import FakeEngine, sample_image
from tests.support.panel import SETTINGS, Event
from ui.page.handlers import BROKEN, Handlers
from ui.page.layout import launch_options
from ui.views.examples import Example
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


def asked(engine: FakeEngine, path: str | None, question: str, settings: tuple = SETTINGS) -> list[tuple]:
    return list(Handlers(engine, []).ask(History(), path, question, None, *settings, ""))


def test_an_answer_is_streamed_and_kept_for_downloads(scene: str) -> None:
    moments = asked(FakeEngine(), scene, "what is left of the dog?")
    stages = [json.loads(explorer["data"])["stage"] for explorer, *_ in moments]
    assert stages == sorted(stages, key=["localize", "baseline", "crop", "measure", "done"].index)
    assert stages[-1] == "done"
    assert [moment[2] for moment in moments[:-1]] == [KEPT] * (len(moments) - 1)
    assert [moment[3].interactive for moment in moments] == [True] * (len(moments) - 1) + [False]
    assert moments[-1][2].shown.result.question == "what is left of the dog?"


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
    moments = asked(FakeEngine(), scene if path == "scene" else path, question, values)
    assert len(moments) == 1
    explorer, note, state, stop = moments[0]
    assert explorer == state == KEPT and not stop.interactive
    assert 'role="alert"' in note
    assert "Traceback" not in note


def test_what_the_engine_refuses_is_told_and_changes_nothing(scene: str) -> None:
    refused = ConfigError("A budget of 2 tokens is <too> small.")
    explorer, note, state, stop = asked(FailingEngine(refused), scene, "what?")[0]
    assert explorer == state == KEPT and not stop.interactive
    assert "A budget of 2 tokens is &lt;too&gt; small." in note


def test_a_failure_inside_is_told_without_its_details(scene: str) -> None:
    explorer, note, state, stop = asked(FailingEngine(RuntimeError("secret")), scene, "what?")[0]
    assert explorer == state == KEPT and not stop.interactive
    assert BROKEN[:20] in note
    assert "secret" not in note


def test_a_failure_half_way_leaves_the_image(scene: str) -> None:
    class Dying(FakeEngine):
        def stream(self, request: object) -> Iterator[StreamEvent]:
            yield next(super().stream(request))
            raise RuntimeError("secret")

    first, last = asked(Dying(), scene, "what?")
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


def test_an_example_fills_the_inputs(scene: str) -> None:
    handlers = Handlers(FakeEngine(), [Example(Path(scene), "is there a bus?", "no", "exist")])
    assert handlers.show_example("drawn", Event({"index": 0})) == (scene, "is there a bus?", "predicted")
    assert handlers.show_example("whole", Event({"index": 0})) == (scene, "is there a bus?", KEPT)


@pytest.mark.parametrize("data", [None, {}, {"index": 1}, {"index": -1}, {"index": "0"}, {"index": True}, [0]])
def test_an_example_that_is_none_changes_nothing(scene: str, data: object) -> None:
    handlers = Handlers(FakeEngine(), [Example(Path(scene), "is there a bus?", "no", "exist")])
    assert handlers.show_example("drawn", Event(data)) == (KEPT, KEPT, KEPT)
    history = asked(FakeEngine(), scene, "what?")[-1][2]
    assert handlers.show_run(History(), Event(data)) == (KEPT, KEPT)
    assert handlers.show_run(history, Event(data))[1] is history


def test_an_earlier_run_is_shown_again(scene: str) -> None:
    handlers = Handlers(FakeEngine(), [])
    first = asked(FakeEngine(), scene, "what?")[-1][2]
    *_, (_, _, both, _) = handlers.ask(first, scene, "what?", None, *SETTINGS, "")
    assert [run.result.question for run in both.runs] == ["what?", "what?"]
    explorer, history = handlers.show_run(both, Event({"index": 0}))
    assert explorer == first.shown.view.to_json()
    assert history.shown is both.runs[0]
    assert handlers.beside(history)[0].count("run-card") == 2


def test_what_stands_beside_a_run_needs_one() -> None:
    assert Handlers(FakeEngine(), []).beside(History()) == (KEPT,) * 3


def test_stopping_brings_back_what_stood_there(scene: str, tmp_path: Path) -> None:
    handlers = Handlers(FakeEngine(), [])
    history = asked(FakeEngine(), scene, "what?")[-1][2]
    assert handlers.stop(history, scene, None)[0] == history.shown.view.to_json()
    sample_image(90, 60).save(tmp_path / "new.png")
    other = json.loads(handlers.stop(history, str(tmp_path / "new.png"), None)[0]["data"])
    assert other["stage"] == "idle" and other["result"] is None
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
