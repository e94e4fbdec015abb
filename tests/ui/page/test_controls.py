import math

import gradio as gr
import pytest

from crop_core.records import localizers
from crop_core.records.config import PRESETS, Budget, ConfigError, IlpConfig, PlcConfig, Ring
from crop_core.records.region import Region, RegionError
from ui.page import controls
from ui.page.sweep_widgets import localizer_choice

SIZE = (640, 480)
USUAL = ("crop", "192", "", controls.rings_text(PlcConfig()), "", False, "", False, "", "predicted", 2, 2, 5, 5)


def changed(**values: object) -> tuple[object, ...]:
    """The usual values of the panel with some replaced, by name."""
    names = ["method", "budget", "custom", "rings", "schedule", "evict", "longest", "short", "seed", "mode"]
    names += ["x0", "y0", "x1", "y1"]
    return tuple(values.get(name, usual) for name, usual in zip(names, USUAL, strict=True))


def test_eviction_is_asked_for_by_its_box() -> None:
    assert controls.parse_settings(changed(evict=True, schedule="2:0.5"), SIZE).config.ilp == IlpConfig(
        ((2, 0.5),), evict=True
    )
    assert not controls.parse_settings(changed(evict=None), SIZE).config.ilp.evict


def test_the_longest_answer_is_a_number_or_the_models_own() -> None:
    assert controls.parse_settings(changed(longest=" 64 "), SIZE).config.max_new_tokens == 64
    assert controls.parse_settings(changed(longest=None), SIZE).config.max_new_tokens is None
    for text in ("many", "1.5", "0", "-3", "10001"):
        with pytest.raises(ConfigError, match=text):
            controls.parse_settings(changed(longest=text), SIZE)


def test_the_random_seed_is_a_whole_number_and_0_without_one() -> None:
    assert controls.parse_settings(changed(seed=" 7 "), SIZE).config.seed == 7
    assert controls.parse_settings(changed(seed=None), SIZE).config.seed == 0
    for text in ("many", "1.5", "-3", "4294967296"):
        with pytest.raises(ConfigError, match=rf"The random seed '{text}' is not possible; give a whole number from 0"):
            controls.parse_settings(changed(seed=text), SIZE)
    with pytest.raises(ConfigError):
        controls.parse_settings(changed(seed=["1"]), SIZE)


def test_the_seed_says_which_methods_read_it() -> None:
    with gr.Blocks():
        panel = controls.SettingsPanel()
    (seed,) = [each for each in panel.values if each.elem_id == "seed"]
    assert seed.info.startswith("What Random is drawn from")


def test_a_short_answer_is_asked_for_only_if_it_is_chosen() -> None:
    assert controls.parse_settings(changed(short=True), SIZE).config.short_answer
    assert not controls.parse_settings(changed(short=None), SIZE).config.short_answer


def test_the_usual_values_are_the_usual_config() -> None:
    wanted = controls.parse_settings(USUAL, SIZE)
    assert wanted.region is None
    assert (wanted.config.method, wanted.config.budget) == ("crop", PRESETS["192"])
    assert (wanted.config.plc, wanted.config.ilp) == (PlcConfig(), IlpConfig())


def test_rings_are_read_as_written() -> None:
    assert controls.parse_rings("0.5:2, 3:9,rest:36").rings == (Ring(0.5, 2), Ring(3, 9), Ring(math.inf, 36))
    assert controls.parse_rings(controls.rings_text(PlcConfig())) == PlcConfig()


@pytest.mark.parametrize(
    "text", ["", "1:4", "1:4, rest", "one:4, rest:9", "1:0, rest:9", "rest:4, 1:9", "1:4:9, rest:2"]
)
def test_rings_that_cannot_be_are_one_sentence(text: str) -> None:
    with pytest.raises(ConfigError) as raised:
        controls.parse_rings(text)
    assert "\n" not in str(raised.value)


def test_schedules_are_read_as_written() -> None:
    assert controls.parse_schedule("2:0.5, 6:0.2").schedule == ((2, 0.5), (6, 0.2))
    assert controls.parse_schedule("  ") == IlpConfig()


@pytest.mark.parametrize("text", ["2", "2:x", "1.5:0.3", "6:0.2, 2:0.5", "0:0.5", "2:1.5", "rest:0.5", "nan:0.2"])
def test_schedules_that_cannot_be_are_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        controls.parse_schedule(text)


def test_budgets() -> None:
    assert controls.parse_budget("64", "") == PRESETS["64"]
    assert controls.parse_budget("custom", "100") == Budget(mean_tokens=100)
    assert controls.parse_budget("custom", "25%") == Budget(share=0.25)
    assert controls.parse_budget("ratios", "") is None


@pytest.mark.parametrize(
    ("choice", "custom"), [("custom", ""), ("custom", "0"), ("custom", "-3"), ("custom", "many"), ("7", "")]
)
def test_budgets_that_cannot_be_are_refused(choice: str, custom: str) -> None:
    with pytest.raises(ConfigError):
        controls.parse_budget(choice, custom)


def test_regions() -> None:
    assert controls.parse_settings(changed(mode="whole"), SIZE).region == Region.whole(*SIZE)
    drawn = controls.parse_settings(changed(mode="drawn", x0=1, y0=2, x1=3, y1=7), SIZE).region
    assert drawn == Region(1, 2, 3, 7, *SIZE, "drawn")


@pytest.mark.parametrize("mode", ["predicted", "self", "text"])
def test_a_localizer_is_chosen_among_the_regions(mode: str) -> None:
    parsed = controls.parse_settings(changed(mode=mode), SIZE)
    assert (parsed.region, parsed.mode, parsed.config.localizer) == (None, mode, mode)
    assert controls.parse_settings(changed(mode="drawn"), SIZE).config.localizer == "predicted"


@pytest.mark.parametrize(
    "values",
    [
        {"mode": "drawn", "x0": 6},
        {"mode": "drawn", "x1": 8},
        {"mode": "drawn", "y0": -1},
        {"mode": "drawn", "x0": None},
        {"mode": "drawn", "x0": math.inf},
        {"mode": "drawn", "x0": [1]},
        {"mode": "elsewhere"},
    ],
)
def test_regions_from_the_browser_are_not_trusted(values: dict[str, object]) -> None:
    with pytest.raises(RegionError):
        controls.parse_settings(changed(**values), SIZE)


def test_an_unknown_method_is_refused() -> None:
    with pytest.raises(ConfigError):
        controls.parse_settings(changed(method="magic"), SIZE)


def test_text_is_offered_where_its_packages_are(monkeypatch: pytest.MonkeyPatch) -> None:
    assert controls.offered_modes() == controls.MODES, "the tests install them"
    monkeypatch.setattr(localizers, "find_spec", lambda name: None)
    assert [name for _, name in controls.offered_modes()] == ["predicted", "self", "drawn", "whole"]
    with gr.Blocks():
        mode = controls.SettingsPanel().mode
        compared = localizer_choice("localizers")
    assert "Text" not in mode.info and "Self: " in mode.info
    assert [name for _, name in compared.choices] == ["", "self", "whole"]


def test_a_custom_budget_begins_as_its_slider_says() -> None:
    share, custom = controls.shown_custom("custom", 11, "")
    assert (share.visible, custom.visible, custom.value) == (True, True, "11%")
    assert controls.shown_custom("custom", 11, "64")[1].value != "11%"
    _, hidden = controls.shown_custom("192", 11, "")
    assert not hidden.visible and hidden.value != "11%"
