import json
import threading
from collections.abc import Iterator
from pathlib import Path

import gradio as gr
import pytest
from fake_records import FakeEngine, picture

from crop_core.config import ConfigError, PlcConfig
from crop_core.records import StreamEvent
from ui.controls import rings_text
from ui.events import BROKEN, Handlers
from ui.examples import Example
from ui.layout import build, launch_options

SETTINGS = ("crop", "192", "", rings_text(PlcConfig()), "", False, "predicted", 2, 2, 5, 5)
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
    picture().save(tmp_path / "scene.png")
    return str(tmp_path / "scene.png")


def asked(engine: FakeEngine, path: str | None, question: str, settings: tuple = SETTINGS) -> list[tuple]:
    return list(Handlers(engine, []).ask(path, question, *settings))


def test_an_answer_is_streamed_and_kept_for_downloads(scene: str) -> None:
    moments = asked(FakeEngine(), scene, "what is left of the dog?")
    stages = [json.loads(explorer["data"])["stage"] for explorer, _, _ in moments]
    assert stages == sorted(stages, key=["localize", "baseline", "crop", "measure", "done"].index)
    assert stages[-1] == "done"
    assert [state for *_, state in moments[:-1]] == [KEPT] * (len(moments) - 1)
    assert moments[-1][2].result.question == "what is left of the dog?"


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
    explorer, note, state = moments[0]
    assert explorer == state == KEPT
    assert "role='alert'" in note
    assert "Traceback" not in note


def test_what_the_engine_refuses_is_told_and_changes_nothing(scene: str) -> None:
    refused = ConfigError("A budget of 2 tokens is <too> small.")
    explorer, note, state = asked(FailingEngine(refused), scene, "what?")[0]
    assert explorer == state == KEPT
    assert "A budget of 2 tokens is &lt;too&gt; small." in note


def test_a_failure_inside_is_told_without_its_details(scene: str) -> None:
    explorer, note, state = asked(FailingEngine(RuntimeError("secret")), scene, "what?")[0]
    assert explorer == state == KEPT
    assert BROKEN[:20] in note
    assert "secret" not in note


def test_a_failure_half_way_says_again_what_is_shown(scene: str) -> None:
    class Dying(FakeEngine):
        def stream(self, *args: object) -> Iterator[StreamEvent]:
            yield next(super().stream(*args))
            raise RuntimeError("secret")

    first, last = asked(Dying(), scene, "what?")
    assert last[0] == first[0]
    assert BROKEN[:20] in last[1]


def test_a_new_picture_is_shown_and_a_bad_one_is_not(scene: str) -> None:
    handlers = Handlers(FakeEngine(), [])
    explorer, note = handlers.preview(scene)
    assert json.loads(explorer["data"])["stage"] == "idle"
    assert note == ""
    explorer, note = handlers.preview(__file__)
    assert explorer == KEPT
    assert note
    assert handlers.preview(None) == (KEPT, "")


class Event:
    """The part of gr.EventData that is read."""

    def __init__(self, data: object) -> None:
        self._data = data


def test_an_example_fills_the_inputs(scene: str) -> None:
    handlers = Handlers(FakeEngine(), [Example(Path(scene), "is there a bus?", "no", "exist")])
    assert handlers.show_example(Event({"index": 0})) == (scene, "is there a bus?")


@pytest.mark.parametrize("data", [None, {}, {"index": 1}, {"index": -1}, {"index": "0"}, {"index": True}, [0]])
def test_an_example_that_is_none_changes_nothing(scene: str, data: object) -> None:
    handlers = Handlers(FakeEngine(), [Example(Path(scene), "is there a bus?", "no", "exist")])
    assert handlers.show_example(Event(data)) == (KEPT, KEPT)


def test_figures_and_downloads_need_a_result(scene: str) -> None:
    handlers = Handlers(FakeEngine(), [])
    assert handlers.extras(None) == (KEPT,) * 4
    state = asked(FakeEngine(), scene, "what?")[-1][2]
    _, _, sheet, record = handlers.extras(state)
    assert Path(sheet.value["path"]).read_bytes().startswith(b"\x89PNG")
    assert json.loads(Path(record.value["path"]).read_text())["question"] == "what?"


def test_two_people_at_once_get_their_own(tmp_path: Path) -> None:
    handlers, got = Handlers(FakeEngine(delay=0.01), []), {}

    def visit(name: str, width: int) -> None:
        picture(width, 200).save(tmp_path / f"{name}.png")
        got[name] = list(handlers.ask(str(tmp_path / f"{name}.png"), f"what is {name}?", *SETTINGS))[-1]

    visitors = [threading.Thread(target=visit, args=(f"v{k}", 200 + 50 * k)) for k in range(4)]
    for visitor in visitors:
        visitor.start()
    for visitor in visitors:
        visitor.join()
    for k in range(4):
        explorer, _, state = got[f"v{k}"]
        data = json.loads(explorer["data"])
        assert data["question"] == state.result.question == f"what is v{k}?"
        assert data["size"] == list(state.result.crop.trace.image_size) == [200 + 50 * k, 200]


@pytest.fixture(scope="module")
def config() -> dict:
    return build(FakeEngine(), []).get_config_file()


def test_only_asking_is_a_public_endpoint(config: dict) -> None:
    public = [each["api_name"] for each in config["dependencies"] if each["api_visibility"] == "public"]
    assert public == ["ask"]


def test_no_style_or_font_comes_from_elsewhere(tmp_path: Path) -> None:
    options = launch_options(tmp_path)
    assert "http" not in options["css"]
    assert options["theme"]._stylesheets == []
