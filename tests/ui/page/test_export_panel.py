"""The panel of figures and downloads, and the fields that an opened run fills."""

import io
import json

import gradio as gr
import numpy as np
import pytest
from PIL import Image

from crop_core.records.region import Region
from tests.support.fake_records import FakeEngine, comparison, sample_image
from tests.support.panel import SETTINGS
from tests.support.recorded_runs import OPTIONS, RUN, SECOND, about_two, content, shown, write
from ui.export.load_runs import open_files
from ui.page import export_panel
from ui.page.handlers import Handlers
from ui.page.images import open_all
from ui.page.request import KEYS, ComparisonRequest
from ui.views.history import History, strip_html


@pytest.mark.parametrize(
    ("budget", "wanted"),
    [
        ("64 of 576 visual tokens per layer", ("64", "")),
        ("64 of 2928 visual tokens per layer", ("custom", "64")),
        ("57.6 of 576 visual tokens per layer", ("custom", "57.6")),
        ("64 of 576 visual tokens left", ("custom", "64 left")),
        ("the ratios and shares as given", (SETTINGS[1], SETTINGS[2])),
    ],
)
def test_an_opened_run_can_be_asked_again(tmp_path, budget, wanted):
    path = write(tmp_path, "run.json", method="ilp", budget=budget)
    explorer, history, _, image, question, more, *settings, others = export_panel.opened(History(), [path], SETTINGS)
    assert (question, more, others) == (RUN.question, None, "")
    with Image.open(image) as saved:
        assert np.array_equal(np.asarray(saved), np.asarray(sample_image())), "pixel by pixel"
    assert settings == ["ilp", *wanted, *SETTINGS[3:]]
    hint = json.loads(explorer["data"])["hint"]
    assert "run.json" in hint and RUN.model in hint and "Run asks again" in hint
    (moment, *_) = Handlers(FakeEngine(), []).again(history, image, question, more, *settings, others)
    assert json.loads(moment[0]["data"])["question"] == RUN.question


@pytest.mark.parametrize(("method", "seed", "wanted"), [("random", 7, "7"), ("random", 0, "0"), ("crop", None, "")])
def test_an_opened_run_brings_its_seed(tmp_path, method, seed, wanted):
    path = write(tmp_path, "run.json", method=method, seed=seed)
    settings = export_panel.opened(History(), [path], SETTINGS)[6:-1]
    assert dict(zip(KEYS, settings, strict=True))["seed"] == wanted


@pytest.mark.parametrize(
    ("named", "region", "wanted"),
    [
        ("self", Region(1, 2, 3, 4, 336, 336, "predicted"), ["self"]),
        ("text", Region.whole(336, 336), ["text"]),
        ("predicted", Region.whole(336, 336), ["predicted"]),
        ("predicted", Region(1, 2, 3, 4, 336, 336), ["drawn", 1, 2, 3, 4]),
        ("of another version", Region(1, 2, 3, 4, 336, 336, "predicted"), ["predicted"]),
    ],
)
def test_an_opened_run_brings_the_source_of_its_region(tmp_path, named, region, wanted):
    path = write(tmp_path, "run.json", **comparison(region=region, localizer=named).to_json())
    settings = export_panel.opened(History(), [path], SETTINGS)[6:-1]
    assert settings[KEYS.index("mode") :][: len(wanted)] == wanted


def test_an_opened_run_brings_the_regions_drawn_in_all_its_images(tmp_path):
    (tmp_path / "two.json").write_bytes(export_panel.record(about_two().shown, True))
    _, _, _, first, question, more, *settings, others = export_panel.opened(
        History(), [str(tmp_path / "two.json")], SETTINGS
    )
    assert others == "2: 5 5 6 7"
    asked = ComparisonRequest.of(open_all(first, more), question, [*settings, others])
    assert asked.regions[0] is None, "predicted again"
    assert (asked.regions[1].grid, asked.regions[1].source) == (SECOND.grid, "drawn")


def test_a_run_without_its_image_leaves_the_fields_as_they_are(tmp_path):
    path = write(tmp_path, "run.json", pictures=None)
    explorer, _, note, *fields = export_panel.opened(History(), [path], SETTINGS)
    assert fields == [gr.skip()] * (4 + len(SETTINGS)) and "grey placeholder" in note
    assert "Run asks again" not in json.loads(explorer["data"])["hint"]


def test_figure_report_and_record_are_files_of_the_run_on_screen(tmp_path):
    assert [button.interactive for button in export_panel.publish(History(), True, *OPTIONS)[:4]] == [False] * 4
    figure, report, record, tokens, note, caption = export_panel.publish(shown("is there a dog?"), True, *OPTIONS)
    assert 'src="data:image/png;base64,' in note and "role=" not in note
    assert figure.label == "Figure (PNG, 17.5 cm)" and caption.startswith("The region that the question ``is there a")
    assert content(tokens).startswith(b"image,token,view,left,top,right,bottom,grid_column,grid_row,padding,in_region,")
    assert content(tokens).count(b"\n") == 577
    with Image.open(io.BytesIO(content(figure))) as image:
        assert image.info["question"] == "is there a dog?"
    assert b"is there a dog?" in content(report)
    (tmp_path / "again.json").write_bytes(content(record))
    loaded = open_files([str(tmp_path / "again.json")])
    assert loaded.notices == [] and loaded.runs[0].result.question == "is there a dog?"
    second = export_panel.publish(shown(), True, "pruning", " 2 ", 1, "SVG", *OPTIONS[4:])[0]
    assert b'"layer": "2"' in content(second).replace(b"&quot;", b'"')
    without = export_panel.publish(shown(), True, *OPTIONS[:-1], False)[2]
    assert "pictures" not in json.loads(content(without))


@pytest.mark.parametrize(
    "change",
    [
        {0: "none"},
        {1: "99"},
        {1: "last"},
        {2: 0},
        {2: 2},
        {2: None},
        {3: "EPS"},
        {4: None},
        {4: "x"},
        {4: 1000},
        {5: "comic"},
        {6: 5},
        {6: None},
        {6: float("nan")},
        {8: None},
        {8: 5},
        {8: 1e400},
        {9: None},
        {9: "x"},
        {4: 40, 8: 1200},
    ],
)
def test_options_that_cannot_be_are_one_sentence(change):
    figure, *others, note, caption = export_panel.publish(
        shown(), True, *(change.get(k, value) for k, value in enumerate(OPTIONS))
    )
    assert (figure.interactive, figure.label, caption) == (False, "Figure", ""), "no label of another figure"
    assert all(button.interactive for button in others) and len(others) == 3
    assert note.count("<p") == 1


def test_nothing_is_made_while_nobody_looks():
    assert [button.interactive for button in export_panel.publish(shown(), False, *OPTIONS)[:4]] == [False] * 4
    assert export_panel.charts(shown(), False) == export_panel.charts(History(), True) == (gr.skip(), gr.skip())
    assert all(figure.data for figure in export_panel.charts(shown(), True))


def test_an_opened_run_is_neither_followed_nor_part_of_a_conversation_held_here(tmp_path):
    handlers = Handlers(FakeEngine(), [])
    opened = History().add(open_files([write(tmp_path, "run.json")]).runs[0])
    assert not handlers.beside(opened)[4].visible
    (moment,) = handlers.follow(opened, "where?", *SETTINGS, "")
    assert "first question" in moment[1] and moment[2] == gr.skip()
    sample_image().save(tmp_path / "scene.png")
    *_, (_, _, after, _) = handlers.again(opened, str(tmp_path / "scene.png"), RUN.question, None, *SETTINGS, "")
    assert not after.shown.same_images(opened.shown), "though the images look alike"
    assert handlers.beside(after)[4].visible
    assert strip_html(after) == ""
