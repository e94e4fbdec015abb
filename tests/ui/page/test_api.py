from dataclasses import replace

import gradio as gr
import pytest

from crop_core.records.config import Budget, ConfigError
from crop_core.records.request import QueueStatus
from crop_core.records.results import StreamEvent
from tests.support.fake_records import FakeEngine, explanation, measured, sample_image
from ui.page.api import BROKEN, NAMES, Endpoints, cells
from ui.page.layout import build


class Answering(FakeEngine):
    """Keeps what it was asked."""

    def call(self, request):
        self.request = request
        return super().call(request)


@pytest.fixture
def scene(tmp_path):
    sample_image().save(tmp_path / "scene.png")
    return str(tmp_path / "scene.png")


def test_what_is_asked_reaches_the_engine(scene):
    engine = Answering()
    told = Endpoints(engine).ask(scene, " what? ", "ilp", "11.1%", "2,2,5,5")
    (image,), (region,), config = engine.request.images, engine.request.regions, engine.request.config
    assert (image.size, engine.request.question, config.method) == ((336, 336), "what?", "ilp")
    assert config.budget == Budget(share=0.111)
    assert (region.grid, region.source) == ((2, 2, 5, 5), "drawn")
    assert told["answer"] == "rabbit"
    assert told["region"]["grid"] == [2, 2, 5, 5]
    assert "trace" not in told
    assert told["notices"] == ["A notice of the answer."]
    assert {name: told[name] for name in ("method", "budget", "unknown_words")} == {
        "method": "crop",
        "budget": "mean 192 of 576 tokens",
        "unknown_words": [],
    }
    assert Endpoints(engine).ask(scene, "a xylophone?", "ilp", "64", "")["unknown_words"] == ["xylophone"]
    assert Endpoints(engine).ask(scene, "what?", "ilp", "64", "[2, 2, 5, 5]")["region"]["grid"] == [2, 2, 5, 5]


def test_times_are_those_of_several_runs_measured_after_the_answer(scene):
    engine = Answering()
    told = Endpoints(engine).ask(scene, "what?", "crop", "", "")
    assert (engine.request.config.repeats, engine.request.memory) == (1, False), "the answer itself is not held up"
    assert told["cost"]["ranges"]["ttft_s"]["runs"] == len(told["cost"]["runs"]) == 5
    both = Endpoints(engine).compare(scene, "what?", "crop", "", "")
    assert [both[run]["cost"]["ranges"]["total_s"]["runs"] for run in ("baseline", "crop")] == [5, 5]
    assert both["verdict"] == "same" and both["tokens"]["padding"] == 0


def test_where_others_wait_the_times_are_those_measured_so_far(scene):
    class Busy(Answering):
        def stream(self, request):
            first, second, *_ = super().stream(request)
            yield from (first, second, QueueStatus(1))
            pytest.fail("it was waited for")

    class Full(Answering):
        def stream(self, request):
            raise ConfigError("The queue is full.")
            yield

    assert len(Endpoints(Busy()).ask(scene, "what?", "crop", "", "")["cost"]["runs"]) == 1
    assert Endpoints(Full()).ask(scene, "what?", "crop", "", "")["cost"]["runs"] == []


def test_the_longest_answer_reaches_the_engine_or_is_refused(scene):
    engine = Answering()
    Endpoints(engine).ask(scene, "what?", "crop", "", "", "48")
    assert engine.request.config.max_new_tokens == 48
    with pytest.raises(gr.Error, match="'long' is not a number of tokens"):
        Endpoints(engine).compare(scene, "what?", "crop", "", "", "long")


def test_another_localizer_can_be_asked_for(scene):
    engine = Answering()
    for name, found_by in (("self", "self"), ("", "predicted"), (None, "predicted"), (" text ", "text")):
        Endpoints(engine).ask(scene, "what?", "crop", "", "", localizer=name)
        assert engine.request.config.localizer == found_by
        Endpoints(engine).localize(scene, "what?", name)
        assert engine.request.config.localizer == found_by
    for name in ("magic", "drawn"):
        with pytest.raises(gr.Error, match=f"The localizer '{name}' is not known; choose one of predicted, self, "):
            Endpoints(engine).localize(scene, "what?", name)


def test_a_short_answer_can_be_asked_for(scene):
    engine = Answering()
    Endpoints(engine).ask(scene, "what?", "crop", "", "", "", True)
    assert engine.request.config.short_answer


def test_what_is_left_out_is_the_default(scene):
    engine = Answering()
    told = Endpoints(engine).compare(scene, "what?", "", "", "")
    assert not engine.request.config.short_answer
    assert engine.request.config.budget == Budget(share=192 / 576)
    assert engine.request.regions == (None,)
    assert {"baseline", "crop", "trace", "region"} <= set(told)
    assert Endpoints(engine).localize(scene, "what?")["grid"] == [1, 2, 3, 4]


def test_how_a_region_came_about_is_told_with_what_localizing_cost(scene):
    told = Endpoints(Answering()).localize(scene, "what?")
    assert told["explanation"] == explanation().to_json()
    assert told["cost"] == {"seconds": 0.2, "flops": None, "weights_bytes": 15} and told["notices"] == ["It read."]

    class Explained(Answering):
        def comparison(self, request):
            result = super().comparison(request)
            explained = replace(result.trace, explanation=explanation())
            return replace(result, crop=replace(result.crop, traces=(explained,)))

    assert Endpoints(Explained()).ask(scene, "what?", "", "", "")["explanation"] == explanation().to_json()
    assert Endpoints(Explained()).compare(scene, "what?", "", "", "")["trace"]["explanation"]["localizer"] == "text"
    assert Endpoints(Answering()).ask(scene, "what?", "", "", "2,2,5,5")["explanation"] is None


def test_a_localizer_that_eats_the_saving_is_told_by_the_api(scene):
    class Slow(Answering):
        def _measured(self, request):
            whole = measured()
            slow = [replace(each, localizer_s=1.0, ttft_s=1.1, total_s=1.1) for each in whole.crop]
            yield StreamEvent("measure", measured=replace(whole, crop=slow))

    assert any("eats the saving" in each for each in Endpoints(Slow()).compare(scene, "what?", "", "", "")["notices"])


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        ((None, "what?", "crop", "", ""), "no image"),
        (("scene", "", "crop", "", ""), "question"),
        (("scene", "what?", "none", "", ""), "prunes nothing"),
        (("scene", "what?", "magic", "", ""), "magic"),
        (("scene", "what?", "crop", "lots", ""), "lots"),
        (("scene", "what?", "crop", "", "1,2,3"), "1,2,3"),
        (("scene", "what?", "crop", "", "5,5,2,2"), "[5, 5, 2, 2] is reversed: give x0 <= x1 and y0 <= y1, such as"),
        (("scene", "what?", "crop", "", "0,0,8,8"), "not on the grid"),
        (("/etc/hostname", "what?", "crop", "", ""), "not an image"),
    ],
)
def test_bad_input_is_one_sentence(scene, request_, said):
    path, *rest = request_
    with pytest.raises(gr.Error) as told:
        Endpoints(Answering()).ask(scene if path == "scene" else path, *rest)
    assert said in told.value.message
    assert "Traceback" not in told.value.message


def test_a_failure_inside_tells_nothing_of_itself(scene):
    class Dying(Answering):
        def call(self, request):
            raise RuntimeError("secret")

    with pytest.raises(gr.Error) as told:
        Endpoints(Dying()).localize(scene, "what?")
    assert told.value.message == BROKEN


def test_cells_are_four_or_none():
    assert cells("  ", (80, 80)) is None
    assert cells(" 0, 1,2 ,7", (80, 80)).grid == (0, 1, 2, 7)


def test_these_endpoints_are_public_and_no_others():
    config = build(Answering(), []).get_config_file()
    public = [each["api_name"] for each in config["dependencies"] if each["api_visibility"] == "public"]
    assert sorted(public) == sorted(NAMES)


def test_of_figures_asked_for_in_a_row_the_last_one_stands():
    app = build(Answering(), [])
    config = app.get_config_file()
    ids = {each["props"].get("elem_id"): each["id"] for each in config["components"]}
    for button in ("save-figure", "methods-file", "curves-file", "map-file"):
        made = [each for each in config["dependencies"] if ids[button] in each["outputs"] and len(each["inputs"]) > 1]
        assert [each["trigger_mode"] for each in made] == ["always_last"], button
        assert [app.fns[each["id"]].concurrency_limit for each in made] == [1], "two that are sent at once come in turn"
