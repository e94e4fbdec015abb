"""One more run reads where the model looked, in the regions of the run on screen; what fails is a message."""

import json

import gradio as gr
import pytest

from crop_core.records.request import QueueStatus
from tests.support.fake_records import FakeEngine, sample_image
from tests.support.panel import SETTINGS, Event
from ui.export.load_runs import read
from ui.export.report import page
from ui.page.attention import AttentionHandler
from ui.page.export_panel import record
from ui.page.handlers import Handlers
from ui.page.one_more_run import BROKEN, NO_ANSWER
from ui.views.history import History


class Asked(FakeEngine):
    """Keeps the requests."""

    def __init__(self):
        super().__init__()
        self.requests = []

    def stream(self, request):
        self.requests.append(request)
        yield from super().stream(request)


def answered(engine, tmp_path):
    sample_image().save(tmp_path / "scene.png")
    *_, last = Handlers(engine, []).ask(History(), str(tmp_path / "scene.png"), "what?", None, *SETTINGS, "")
    return last[2]


def look(engine, history, data):
    return list(AttentionHandler(engine).look(history, Event(data)))


def test_either_run_is_read_in_the_regions_it_had_and_kept_with_it(tmp_path):
    engine = Asked()
    history = answered(engine, tmp_path)
    run = history.shown
    for name, method in (("baseline", "none"), ("crop", "crop")):
        ((explorer, note),) = look(engine, history, {"run": name})
        asked = engine.requests[-1]
        assert (asked.kind, asked.config.method, asked.regions) == ("attention", method, run.result.regions)
        assert note == "" and asked.config.max_new_tokens == run.request.config.max_new_tokens
    data = json.loads(explorer["data"])
    assert [each["method"] for each in data["result"]["attention"]] == ["none", "crop"]
    assert not run.to_measure, "the measurement ends"
    opened, _ = read(record(run, inside=False))
    assert [each.is_baseline for each in opened.attention] == [True, False]
    assert b"on_image" in page(run.view, run.result)


@pytest.mark.parametrize("data", [None, {}, {"run": "other"}, {"run": ["crop"]}, "crop"])
def test_what_is_no_run_is_a_message(tmp_path, data):
    history = answered(FakeEngine(), tmp_path)
    ((explorer, note),) = look(FakeEngine(), history, data)
    assert 'role="alert"' in note and "choose one" in note
    assert json.loads(explorer["data"])["result"]["attention"] == []
    ((explorer, note),) = look(FakeEngine(), History(), {"run": "crop"})
    assert explorer == gr.skip() and NO_ANSWER in note


def test_the_queue_is_told_and_a_failure_loses_nothing(tmp_path):
    class Dying(FakeEngine):
        def stream(self, request):
            if request.kind != "attention":
                yield from super().stream(request)
                return
            yield QueueStatus(2)
            raise RuntimeError("secret")

    waiting, last = look(Dying(), answered(Dying(), tmp_path), {"run": "crop"})
    assert waiting[0] == gr.skip() and "2 requests are ahead of yours." in waiting[1]
    assert BROKEN[:20] in last[1] and json.loads(last[0]["data"])["answers"]["crop"] == "rabbit"
