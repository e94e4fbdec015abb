"""The engine in Python: paths, numbers and texts are taken, and results show themselves."""

import html
import io
import re
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from PIL import Image

from crop_core.engine.engine import CropEngine
from crop_core.records.config import Budget, ConfigError, CropConfig
from crop_core.records.region import Region
from crop_core.records.results import Comparison
from tests.support import checkpoints
from tests.support.fake_records import comparison, sample_image
from ui.export.letters import FigureError

QUESTION = "what is left of the dog?"
FAST = {"repeats": 1, "max_new_tokens": 2, "memory": False}


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    return CropEngine.from_pretrained(checkpoints.save(tmp_path_factory.mktemp("llava"), layers=4), None, warm_up=False)


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    path = tmp_path_factory.mktemp("image") / "a.png"
    sample_image(200, 120).save(path)
    return path


@pytest.fixture(scope="module")
def result(engine, image):
    return engine.compare(str(image), QUESTION, region=Region(2, 2, 4, 4, 200, 120), budget=32, **FAST)


@pytest.mark.parametrize(
    "form",
    [str, lambda path: path, Image.open, lambda path: np.asarray(Image.open(path)), lambda path: path.read_bytes()],
)
def test_an_image_is_taken_in_any_form(engine, image, form, result):
    other = engine.answer(form(image), QUESTION, method="fastv", budget="50%", repeats=1, max_new_tokens=2)
    assert other.method == "fastv" and other.budget == "32 of 64 visual tokens per layer"
    assert [image.size for image in result.images] == [(200, 120)]
    assert list(engine.stream(form(image), QUESTION, method="fastv", budget=32, repeats=1, max_new_tokens=2))


def test_a_file_that_is_open_is_turned_upright(engine, tmp_path):
    turned = sample_image(200, 120)
    exif = turned.getexif()
    exif[274] = 6
    turned.save(tmp_path / "turned.jpg", exif=exif)
    with Image.open(tmp_path / "turned.jpg") as lazy:
        assert engine.compare(lazy, QUESTION, method="fastv", budget=32, **FAST).images[0].size == (120, 200)


def test_an_open_rgb_image_is_taken_as_it_is(engine):
    image = sample_image(200, 120)
    assert engine.compare(image, QUESTION, method="fastv", budget=32, **FAST).images[0] is image


@pytest.mark.parametrize(
    ("given", "budget"),
    [(64, Budget(64)), ("25%", Budget(share=0.25)), ("64", Budget(64)), (np.float64(12.5), Budget(12.5)), (None, None)],
)
def test_a_budget_is_a_number_a_text_or_none(given, budget):
    assert CropConfig(budget=given).budget == budget


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (0.25, r"give at least 1, or a share as a text \('25%'\)"),
        (0, "at least 1"),
        (True, "neither"),
        ([64], "neither"),
        ("x", "neither"),
    ],
)
def test_another_budget_is_one_sentence(given, said):
    with pytest.raises(ConfigError, match=said):
        CropConfig(budget=given)


def test_unknown_settings_and_missing_files_are_one_sentence(engine, image):
    with pytest.raises(ConfigError, match="no setting 'budgets'; choose from method, budget"):
        engine.compare(image, QUESTION, budgets=64)
    with pytest.raises(ValueError, match=r"There is no file 'b\.png'\."):
        engine.compare("b.png", QUESTION)


def test_the_baseline_answers_where_nothing_is_set(engine, image):
    assert (
        engine.answer(image, QUESTION, CropConfig(method="none", budget=None, localizer="whole", repeats=1)).method
        == "none"
    )
    assert engine.answer(image, QUESTION, method="fastv", budget=32, repeats=1).method == "fastv"


def test_a_result_is_a_figure_of_matplotlib(result, tmp_path):
    figure = result.figure("region", width=8.5, font="serif", font_size=8)
    assert isinstance(figure, Figure) and figure.get_figwidth() == pytest.approx(8.5 / 2.54)
    (axes,) = [axes for axes in figure.axes if axes.images]
    pixels = axes.images[0].get_array()
    assert np.ptp(pixels, axis=(0, 1)).min() > 100, "the image itself, and no grey one"
    figure.savefig(tmp_path / "a.pdf")
    assert b"STIXGeneral" in (tmp_path / "a.pdf").read_bytes()
    for wrong in ({"name": "none"}, {"width": 1}, {"colour": "red"}, {"font": "comic"}, {"layer": 99}):
        with pytest.raises(FigureError, match=r"\.$"):
            result.figure(**wrong)


def test_a_result_is_the_report_in_a_frame_of_a_cell(result):
    shown = result._repr_html_()
    (source,) = re.findall(r'^<iframe srcdoc="([^"]*)"', shown)
    key = r'"id\\?": \\?"\w+'  # of the view, another one each time
    assert re.sub(key, "", html.unescape(source)) == re.sub(key, "", result.report())
    assert QUESTION in result.report() and "allow-scripts" in shown and "same-origin" not in shown
    assert len(repr(result)) < 400 and QUESTION in repr(result)


def test_a_result_is_a_data_frame_of_tokens_and_of_runs(result):
    tokens = result.tokens()
    assert isinstance(tokens, pd.DataFrame) and len(tokens) == 64
    assert tokens["in_region"].sum() == result.trace.in_region.sum()
    assert result.table()["run"].tolist() == ["Baseline", "CROP"]


def test_a_result_from_a_file_shows_grey_images(result):
    again = Comparison.from_json(result.to_json())
    assert again.images == () and again.to_json() == result.to_json()
    assert again.figure("region").axes and again.report()
    hostile = Comparison.from_json({**result.to_json(), "images": ["x", 5]})
    assert hostile.images == ()


def test_methods_side_by_side_are_a_data_frame(engine, image):
    frame = engine.compare_methods(image, QUESTION, ["fastv", "random"], budget=32, max_new_tokens=2)
    assert isinstance(frame, pd.DataFrame)
    assert frame["run"].tolist() == ["Baseline", "FastV", "Random"]
    assert (frame["mean_tokens"] <= [64, 32, 32]).all() and set(frame["image"]) == {"a.png"}


def test_a_sheet_of_several_images_is_a_figure_and_tables(engine, image):
    other = sample_image(60, 60)
    sheet = engine.sheet([(image, QUESTION), (other, "how many?")], "fastv,random", budget=32, max_new_tokens=2)
    assert [row.name for row in sheet.rows] == ["a.png", ""] and sheet.methods == ("Baseline", "FastV", "Random")
    out = io.BytesIO()
    sheet.figure(8.5).savefig(out, format="pdf")
    assert out.getvalue().startswith(b"%PDF-")
    assert len(sheet.table()) == 6 and "FastV" in sheet.latex()
    assert sheet.caption().startswith("2 images with a question each") and sheet.caption().endswith(".")


def test_a_figure_needs_neither_gradio_nor_torch():
    code = (
        "import sys; from tests.support.fake_records import comparison; result = comparison(); result.figure(); "
        "result.report(); sys.exit(len({'gradio', 'torch'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    assert comparison().images == ()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda engine, image: engine.compare(image, "?", 64), r"^The config is 64; give a CropConfig, or settings by"),
        (lambda engine, image: engine.compare(image, "?", region=(2, 0, 3, 1)), r"^A region is 2; give a Region, such"),
        (lambda engine, image: engine.compare(image, "?", region=5), r"^A region is 5; give a Region"),
        (lambda engine, image: engine.compare_methods(image, "?", ["crop"], 64), r"^A region is 64; give a Region"),
        (
            lambda engine, image: engine.answer(image, "?", region=[None] * 2),
            r"^The regions are not one for each of the images \(1\)",
        ),
    ],
)
def test_a_value_in_another_one_s_place_is_one_sentence(engine, image, call, message):
    with pytest.raises(ValueError, match=message):
        call(engine, image)


def test_a_budget_of_what_is_left_is_told_as_such(engine, image):
    result = engine.compare(image, QUESTION, region=Region(2, 2, 4, 4, 200, 120), budget="16 left", **FAST)
    assert result.budget == "16 of 64 visual tokens left"
