"""Settings: defaults, presets, and one clear sentence for each value that cannot be."""

import subprocess
import sys
from math import inf, nan

import pytest

from crop_core.compress.protocol import Compressor
from crop_core.prune.protocol import ScheduledPruner
from crop_core.records.config import PRESETS, Budget, ConfigError, CropConfig, IlpConfig, PlcConfig, Ring
from crop_core.records.methods import METHODS, load_class, with_nothing_outside


@pytest.mark.parametrize(
    ("method", "left"),
    [
        ("crop", "plc"),
        ("plc+ilp", "plc"),
        ("distinct+ilp", "distinct"),
        ("learned+ilp", "learned"),
        *((name, name) for name in ("plc", "ilp", "plc+fastv", "fastv", "distinct", "none")),
    ],
)
def test_ilp_has_nothing_to_prune_in_a_region_that_is_the_whole_image(method, left):
    assert with_nothing_outside(method) == left


@pytest.mark.parametrize(("name", "tokens"), [("192", 192), ("128", 128), ("64", 64)])
def test_presets_are_the_paper_s_for_576_tokens_and_scale_with_others(name, tokens):
    assert PRESETS[name].tokens(576) == pytest.approx(tokens, abs=1e-9)
    assert PRESETS[name].tokens(2880) == pytest.approx(5 * tokens, abs=1e-9)


@pytest.mark.parametrize(
    ("text", "tokens"), [("64", 64), (" 12.5 ", 12.5), ("50%", 288), ("100 %", 576), ("1", 1), ("64 left", 64)]
)
def test_budgets_are_read(text, tokens):
    assert Budget.parse(text).tokens(576) == pytest.approx(tokens)


@pytest.mark.parametrize(
    "text", ["0", "-3", "0%", "101%", "nan", "inf", "many", "", "%", "nan%", "1e999", "0 left", " left", "nan left"]
)
def test_impossible_budgets_are_refused(text):
    with pytest.raises(ConfigError, match=r"budget"):
        Budget.parse(text)


@pytest.mark.parametrize(("budget", "images"), [(Budget(share=0.001), 1), (Budget(2), 3)])
def test_budgets_below_one_token_an_image_name_the_least(budget, images):
    with pytest.raises(ConfigError, match=f"not possible for .* of 576; give at least {images}"):
        budget.tokens(576, images)


def test_a_budget_above_the_tokens_is_all_of_them():
    assert [Budget(tokens).tokens(35) for tokens in (34.5, 35, 35.5, 64, 1e9)] == [34.5, 35, 35, 35, 35]


def test_a_budget_is_one_of_three():
    for values in ((None, None), (64, 0.5), (64, None, 64)):
        with pytest.raises(ConfigError, match="exactly one"):
            Budget(*values)


def test_budgets_in_words():
    assert str(Budget(left=64)) == "64 tokens left"
    assert [str(Budget(64)), str(Budget(12.5)), str(Budget(share=1 / 3))] == ["64 tokens", "12.5 tokens", "33.3 %"]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Ring(0, 4), "width 0"),
        (lambda: Ring(nan, 4), "width nan"),
        (lambda: Ring(1, 0.5), "ratio of 0.5"),
        (lambda: Ring(1, inf), "ratio of inf"),
        (lambda: PlcConfig(()), "infinitely wide"),
        (lambda: PlcConfig((Ring(1, 4),)), "infinitely wide"),
        (lambda: PlcConfig((Ring(inf, 4), Ring(inf, 9))), "infinitely wide"),
        (lambda: PlcConfig(overshoot=0.9), "overshoot of 0.9"),
        (lambda: IlpConfig(((0, 0.5),)), "from 1 on"),
        (lambda: IlpConfig(((2, 0.5), (2, 0.2))), "must rise"),
        (lambda: IlpConfig(((2, 0.2), (4, 0.5))), "shares fall"),
        (lambda: IlpConfig(((2, 0.0),)), "more than 0"),
        (lambda: IlpConfig(((2, 1.1),)), "at most 1"),
        (lambda: IlpConfig(query_rows=0), "at least 1"),
        (
            lambda: CropConfig(method="magic"),
            "choose one of crop, plc, ilp, fastv, ",
        ),
        (lambda: CropConfig(localizer="oracle"), "predicted, drawn, whole"),
        (lambda: CropConfig(max_new_tokens=0), "give 1 to 10000"),
        (lambda: CropConfig(max_new_tokens=10**300), "max_new_tokens is 10{1,50}…0{1,50}; give 1 to 10000"),
        (lambda: CropConfig(repeats=0), "at least 1"),
        (lambda: CropConfig(seed=-1), "seed is -1; give a whole number from 0 to"),
        (lambda: CropConfig(seed=2**32), "seed is 4294967296; give"),
    ],
)
def test_impossible_settings_are_refused_with_what_is_allowed(make, message):
    with pytest.raises(ConfigError, match=message):
        make()


def test_every_method_s_parts_are_classes_that_are_there():
    for method in METHODS.values():
        assert method.compressor is None or Compressor in load_class(method.compressor).__mro__
        assert method.pruner is None or issubclass(load_class(method.pruner), ScheduledPruner)
    assert CropConfig().parts == METHODS["crop"]


def test_records_and_settings_need_no_torch():
    modules = "crop_core.records.config, crop_core.records.request, crop_core.records.localizers"
    code = f"import sys, {modules}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
