import gradio as gr
import pytest

from crop_core.records.config import Budget
from tests.support.fake_records import FakeEngine, sample_image
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


def test_what_is_left_out_is_the_default(scene):
    engine = Answering()
    told = Endpoints(engine).compare(scene, "what?", "", "", "")
    assert engine.request.config.budget == Budget(share=192 / 576)
    assert engine.request.regions == (None,)
    assert {"baseline", "crop", "trace", "region"} <= set(told)
    assert Endpoints(engine).localize(scene, "what?")["grid"] == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        ((None, "what?", "crop", "", ""), "no image"),
        (("scene", "", "crop", "", ""), "question"),
        (("scene", "what?", "none", "", ""), "prunes nothing"),
        (("scene", "what?", "magic", "", ""), "magic"),
        (("scene", "what?", "crop", "lots", ""), "lots"),
        (("scene", "what?", "crop", "", "1,2,3"), "1,2,3"),
        (("scene", "what?", "crop", "", "5,5,2,2"), ""),
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
        made = [each for each in config["dependencies"] if ids[button] in each["outputs"] and each["inputs"]]
        assert [each["trigger_mode"] for each in made] == ["always_last"], button
        assert [app.fns[each["id"]].concurrency_limit for each in made] == [1], "two that are sent at once come in turn"
