"""Recorded runs opened again, from files that anybody may have written; the report; the app's handlers."""

import io
import json
import re
import zipfile
from dataclasses import replace
from pathlib import Path

import gradio as gr
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from crop_core.io.data_url import data_url, image_from_data_url
from crop_core.io.images import ImageError
from crop_core.records.region import Region
from tests.support.fake_records import FakeEngine, about_several, comparison, sample_image
from tests.support.panel import SETTINGS
from ui.export import load_runs
from ui.export.load_runs import TraceFileError, open_files, read
from ui.export.report import caption, page
from ui.page import export_panel
from ui.page.handlers import Handlers
from ui.views.explorer_state import ExplorerState
from ui.views.figures import alive_curve
from ui.views.history import MAX_RUNS, FinishedRun, History, strip_html

RUN = comparison(made={"date": "2026-11-26T20:00:00+00:00"})
TEXT = json.dumps(RUN.to_json())
SECOND = Region(5, 5, 6, 7, 90, 120, "drawn")  # in a second image
TWO = json.dumps(about_several(replace(RUN, history=[("what?", "cat")]), [SECOND]).to_json())


def write(folder, name, **changes):
    """A recorded run as a file, with its image inside unless told otherwise."""
    data = {**json.loads(TEXT), "pictures": [data_url(sample_image())], **changes}
    path = folder / name
    path.write_text(json.dumps({key: value for key, value in data.items() if value is not None}))
    return str(path)


def test_a_file_opens_as_the_run_that_was_recorded(tmp_path):
    found = open_files([write(tmp_path, "run.json")])
    assert found.notices == []
    (run,) = found.runs
    assert run.result.to_json() == json.loads(TEXT)
    assert np.array_equal(np.asarray(run.images[0]), np.asarray(sample_image()))
    shown = json.loads(run.view.to_json()["data"])
    assert (shown["stage"], shown["fixed"], shown["size"]) == ("done", True, [336, 336])
    assert shown["answers"] == {"baseline": "rabbit", "crop": "rabbit"}


def test_files_of_earlier_versions_open(tmp_path):
    trace = {key: value for key, value in json.loads(TEXT)["trace"].items() if key != "view"}
    old = write(tmp_path, "old.json", made=None, others=None, history=None, trace=trace)
    assert open_files([old]).notices == []
    assert open_files([old]).runs[0].result.made == {}


def test_a_image_is_found_inside_beside_or_not_at_all(tmp_path):
    alone = write(tmp_path, "run.json", images=None)
    (run,), (notice,) = open_files([alone]).runs, open_files([alone]).notices
    assert run.images[0].size == (336, 336) and run.images[0].getcolors() == [(336 * 336, (200, 200, 200))]
    assert "'run.json' lacks an image inside" in notice
    sample_image().save(tmp_path / "any.png")
    sample_image(50, 60).save(tmp_path / "other.png")
    beside = open_files([alone, str(tmp_path / "other.png"), str(tmp_path / "any.png")])
    assert beside.notices == [] and beside.runs[0].images[0].size == (336, 336)
    sample_image(168, 168).save(tmp_path / "run.png")
    named = open_files([str(tmp_path / "any.png"), str(tmp_path / "run.png"), alone])
    assert named.runs[0].images[0].size == (168, 168), "a scaled copy goes by its name"


def test_several_files_and_zips_become_a_strip_of_runs(tmp_path):
    first = write(tmp_path, "a.json", question="is there a dog?")
    with zipfile.ZipFile(tmp_path / "more.zip", "w") as packed:
        packed.write(write(tmp_path, "b.json"), "folder/b.json")
        packed.writestr("__MACOSX/notes.txt", "nothing")
    explorer, history, note = export_panel.opened(History(), [first, str(tmp_path / "more.zip")])
    assert note == ""
    assert [run.file for run in history.runs] == ["a.json", "b.json"]
    assert json.loads(explorer["data"])["question"] == RUN.question
    assert strip_html(history).count("run-card") == 2
    asked = history.add(FinishedRun((sample_image(),), RUN, ExplorerState.of(sample_image())))
    assert strip_html(asked) == "", "what was asked here is not mixed with what was opened"


def test_no_more_are_opened_than_are_kept(tmp_path):
    found = open_files([write(tmp_path, f"{k}.json") for k in range(MAX_RUNS + 1)])
    assert len(found.runs) == MAX_RUNS
    assert f"the first {MAX_RUNS}" in found.notices[0]


def changed(*path, to, text=TEXT):
    """The recorded run with one value replaced."""
    data = json.loads(text)
    place = data
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = to
    return json.dumps(data).encode()


BAD = {
    "nothing": b"",
    "no text": b"\xff\xfe\x00",
    "no object": b"[1, 2]",
    "something else": b'{"hello": 1}',
    "too deep": b"[" * 100_000,
    "half of it": TEXT.encode()[: len(TEXT) // 2],
    "a huge number": changed("kl_first", to=1).replace(b'"kl_first": 1', b'"kl_first": ' + b"9" * 5000),
    "infinity": changed("crop", "cost", "ttft_s", to=float("inf")),
    "a text for a number": changed("crop", "cost", "ttft_s", to="1"),
    "a lone surrogate": TEXT.replace("rabbit", "\\ud800").encode(),
    "an unknown method": changed("method", to="magic"),
    "a region off the grid": changed("region", "grid", to=[0, 0, 8, 8]),
    "another image's region": changed("region", "width", to=335),
    "a group beyond all limits": changed("trace", "group", 0, to=10**9),
    "a group that is missing": changed("trace", "group", 0, to=600),
    "too few boxes": changed("trace", "boxes", to=[[0, 0, 1, 1]]),
    "a box of three": changed("trace", "boxes", 0, to=[0, 0, 1]),
    "a cut of tokens that are gone": changed("trace", "steps", 1, "kept", to=list(range(185))),
    "a cut beyond the layers": changed("trace", "steps", 0, "layer", to=99),
    "too many layers": changed("trace", "layers", to=10**9),
    "no layers": changed("trace", "layers", to=0),
    "an impossible chance": changed("crop", "tokens", 0, "logprob", to=10_000),
    "negative bytes": changed("crop", "cost", "kv_bytes", to=-1),
    "a giant image": changed("trace", "image_size", to=[10**9, 10**9]),
    "an image that is a thread": json.dumps(
        comparison(size=(33600, 1), region=Region.whole(33600, 1)).to_json()
    ).encode(),
    "another size's second region": changed("others", 0, "region", "width", to=91, text=TWO),
    "fewer layers in the second": changed("others", 0, "layers", to=11, text=TWO),
    "a second image that is a thread": json.dumps(about_several(RUN, [Region.whole(33600, 1)]).to_json()).encode(),
    "a name without end": changed("model", to="x" * 1000),
}


@pytest.mark.parametrize("content", BAD.values(), ids=BAD)
def test_what_is_no_recorded_run_is_one_sentence(content, tmp_path):
    (tmp_path / "bad.json").write_bytes(content)
    explorer, history, note = export_panel.opened(History(), [str(tmp_path / "bad.json")])
    assert explorer == history == gr.skip()
    assert note.count("<p") == 1
    assert "bad.json" in note and len(note) < 600 and "\n" not in note
    assert "Traceback" not in note and "pydantic" not in note


@pytest.mark.parametrize(
    "url", ["", "http://127.0.0.1/x.png", "data:image/png;base64,%%", "data:image/png;base64,aaaa"]
)
def test_an_embedded_image_that_is_none_is_one_sentence(url, tmp_path):
    with pytest.raises(ImageError):
        image_from_data_url(url)
    found = open_files([write(tmp_path, "run.json", images=[url])])
    assert found.runs == [] and len(found.notices) == 1


def test_a_zip_is_never_unpacked_beyond_its_limit(tmp_path, monkeypatch):
    monkeypatch.setattr(load_runs, "MOST_BYTES", 100_000)
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("a.json", b" " * 5_000_000)
    found = open_files([str(tmp_path / "bomb.zip")])
    assert found.runs == [] and "cannot be unpacked" in found.notices[0]
    (tmp_path / "large.json").write_bytes(b" " * 100_001)
    assert "has more than" in open_files([str(tmp_path / "large.json")]).notices[0]


def test_files_are_read_up_to_a_limit_together(tmp_path, monkeypatch):
    files = [write(tmp_path, "a.json"), write(tmp_path, "b.json")]
    monkeypatch.setattr(load_runs, "MOST_ALL", Path(files[0]).stat().st_size + 10)
    found = open_files(files)
    assert [run.file for run in found.runs] == ["a.json"]
    assert "the rest was left out" in found.notices[0]


def test_a_large_image_is_scaled_down_and_still_found_by_its_size(tmp_path):
    result = comparison(size=(4200, 2100), region=Region(2, 1, 4, 3, 4200, 2100))
    (tmp_path / "run.json").write_text(json.dumps(result.to_json()))
    Image.new("RGB", (4200, 2100), "#123456").save(tmp_path / "photo.png")
    found = open_files([str(tmp_path / "run.json"), str(tmp_path / "photo.png")])
    assert found.notices == []
    assert max(found.runs[0].images[0].size) <= 2048


@pytest.mark.parametrize("cut", [30, 200, 1000])
def test_a_broken_zip_is_one_sentence(cut, tmp_path):
    with zipfile.ZipFile(tmp_path / "run.zip", "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("run.json", TEXT)
    content = bytearray((tmp_path / "run.zip").read_bytes())
    content[cut : cut + 20] = b"\x00" * 20
    (tmp_path / "run.zip").write_bytes(content)
    found = open_files([str(tmp_path / "run.zip")])
    assert found.runs == [] and len(found.notices) == 1


def test_nothing_chosen_is_one_sentence():
    assert "choose" in open_files([]).notices[0]


VALUES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just([]) | st.just({})


def places(data, path=()):
    """The way to every value of a recorded run; of long lists to the first two items."""
    if path:
        yield path
    items = data.items() if isinstance(data, dict) else enumerate(data[:2]) if isinstance(data, list) else ()
    for key, value in items:
        yield from places(value, (*path, key))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(list(places(json.loads(TWO)))), VALUES | st.integers(-2, 700))
def test_any_value_anywhere_is_either_a_run_that_can_be_drawn_or_one_sentence(path, value):
    refused = ""
    try:
        result, _ = read(changed(*path, to=value, text=TWO))
    except TraceFileError as error:
        refused = str(error)
    if refused:
        assert refused.endswith(".") and "\n" not in refused
        return
    images = tuple(sample_image() for _ in result.crop.traces)
    view = replace(ExplorerState.of(images), stage="done", region=result.region, result=result)
    assert view.to_json()
    assert alive_curve(result).data
    assert export_panel.figure_file(FinishedRun(images, result, view), "row", "SVG", 8, 72, "", 1, True)[0]


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=200) | st.text(max_size=100).map(str.encode))
def test_any_bytes_are_one_sentence(content):
    with pytest.raises(TraceFileError) as caught:
        read(content)
    assert "\n" not in str(caught.value)


def shown(question="what?"):
    image = sample_image()
    result = comparison(question)
    view = replace(ExplorerState.of(image, question), stage="done", region=result.region, result=result)
    return History().add(FinishedRun((image,), result, view))


def about_two(question="where?"):
    """A run about two images after another question, as History."""
    images = sample_image(), sample_image(90, 120)
    result = about_several(comparison(question, history=[("what?", "cat")]), [SECOND])
    view = replace(ExplorerState.of(images, question), stage="done", region=result.region, result=result)
    return History().add(FinishedRun(images, result, view))


OPTIONS = ("row", "PNG", 17.5, 300, "", 1, False, True)


def content(button):
    return Path(button.value["path"]).read_bytes()


def test_figure_report_and_record_are_files_of_the_run_on_screen(tmp_path):
    assert [button.interactive for button in export_panel.publish(History(), True, *OPTIONS)[:3]] == [False] * 3
    figure, report, record, note = export_panel.publish(shown("is there a dog?"), True, *OPTIONS)
    assert note == ""
    with Image.open(io.BytesIO(content(figure))) as image:
        assert image.info["question"] == "is there a dog?"
    assert b"is there a dog?" in content(report)
    (tmp_path / "again.json").write_bytes(content(record))
    found = open_files([str(tmp_path / "again.json")])
    assert found.notices == [] and found.runs[0].result.question == "is there a dog?"
    second = export_panel.publish(shown(), True, "pruning", "SVG", 8, 300, " 2 ", 1, True, True)[0]
    assert b'"layer": "2"' in content(second).replace(b"&quot;", b'"')
    without = export_panel.publish(shown(), True, *OPTIONS[:-1], False)[2]
    assert "pictures" not in json.loads(content(without))


@pytest.mark.parametrize(
    "change",
    [
        {0: "none"},
        {1: "EPS"},
        {2: None},
        {2: "x"},
        {2: 1000},
        {3: None},
        {3: 5},
        {4: "99"},
        {4: "last"},
        {4: 3},
        {5: 0},
        {5: 2},
        {5: None},
        {2: 40, 3: 1200},
        {3: 1e400},
    ],
)
def test_options_that_cannot_be_are_one_sentence(change):
    figure, report, record, note = export_panel.publish(
        shown(), True, *(change.get(k, value) for k, value in enumerate(OPTIONS))
    )
    assert not figure.interactive
    assert report.interactive and record.interactive
    assert note.count("<p") == 1


def test_nothing_is_made_while_nobody_looks():
    assert [button.interactive for button in export_panel.publish(shown(), False, *OPTIONS)[:3]] == [False] * 3
    assert export_panel.charts(shown(), False) == export_panel.charts(History(), True) == (gr.skip(), gr.skip())
    assert all(figure.data for figure in export_panel.charts(shown(), True))


def test_the_report_holds_the_run_and_fetches_nothing():
    evil = "</script><script>alert(1)</script>"
    run = shown(evil).shown
    text = page(run.view, run.result).decode()
    assert evil not in text
    assert text.count("<script") == text.count("</script>") == 2
    assert not re.search(r"(?:src|href)\s*=\s*[\"']?(?:https?:)?//", text)
    payload = json.loads(re.search(r'type="application/json">(.*?)</script>', text, re.DOTALL).group(1))
    assert payload["image"].startswith("data:image/")
    data = json.loads(payload["data"])
    assert data["question"] == evil and data["fixed"]
    assert data["result"]["trace"] == run.result.crop.trace.to_json()
    assert "default-src 'none'" in text


def test_a_whole_region_and_a_tall_image_open(tmp_path):
    result = comparison(size=(90, 200), region=Region.whole(90, 200))
    path = tmp_path / "tall.json"
    path.write_text(json.dumps(result.to_json()))
    assert open_files([str(path)]).runs[0].images[0].size == (90, 200)


def test_a_run_about_several_images_comes_back_with_all_of_them(tmp_path):
    run = about_two().shown
    (tmp_path / "two.json").write_bytes(export_panel.record(run, True))
    found = open_files([str(tmp_path / "two.json")])
    assert found.notices == []
    (back,) = found.runs
    assert [image.size for image in back.images] == [(336, 336), (90, 120)]
    assert back.view.images == run.view.images
    data = json.loads(back.view.to_json()["data"])
    assert data["fixed"] and data["others"][0] == {
        "size": [90, 120],
        "region": {"grid": [5, 5, 6, 7], "source": "drawn", "confidence": None},
    }
    assert back.result.history == [("what?", "cat")]
    told = strip_html(History().add(back))
    assert "This conversation" in told and "in no file that was opened" in told


def test_several_images_are_found_beside_a_run_one_each(tmp_path):
    sizes = [(90, 120), (90, 120), (60, 60)]
    result = about_several(RUN, [Region.whole(*size) for size in sizes])
    (tmp_path / "run.json").write_text(json.dumps(result.to_json()))
    for name, size, colour in (("run", (168, 168), 1), ("a", (90, 120), 2), ("b", (90, 120), 3)):
        Image.new("RGB", size, (colour,) * 3).save(tmp_path / f"{name}.png")
    found = open_files([str(tmp_path / name) for name in ("run.json", "a.png", "b.png", "run.png")])
    assert [image.getpixel((0, 0))[0] for image in found.runs[0].images] == [1, 2, 3, 200]
    assert len(found.notices) == 1 and "'run.json' lacks an image" in found.notices[0]


def test_embedded_images_have_a_largest_size_together(tmp_path, monkeypatch):
    monkeypatch.setattr(load_runs, "MAX_PIXELS", 336 * 336 + 90 * 120 - 1)
    (tmp_path / "two.json").write_bytes(export_panel.record(about_two().shown, True))
    found = open_files([str(tmp_path / "two.json")])
    assert found.runs == [] and "together" in found.notices[0]


def test_the_report_holds_every_image_and_turn_and_the_figure_says_which_it_is_of():
    run = about_two().shown
    text = page(run.view, run.result).decode()
    payload = json.loads(re.search(r'type="application/json">(.*?)</script>', text, re.DOTALL).group(1))
    assert payload["others"] == [data_url(sample_image(90, 120))]
    assert json.loads(payload["data"])["result"]["others"] == [trace.to_json() for trace in run.result.others]
    assert "<dt>asked before</dt><dd>what? cat</dd>" in text
    assert "columns 5-6, rows 5-7 of 8x8, drawn" in text
    assert "image 2 of 2" in caption(run.result, 2)
    assert "image 1" not in caption(RUN)
    figures = [
        content(export_panel.publish(about_two(), True, "region", "SVG", 8, 72, "", k, True, True)[0]) for k in (1, 2)
    ]
    assert figures[0] != figures[1]
    assert b"image 2 of 2" in figures[1] and b"image 1 of 2" in figures[0]


def test_an_opened_run_is_neither_followed_nor_part_of_a_conversation_held_here(tmp_path):
    handlers = Handlers(FakeEngine(), [])
    opened = History().add(open_files([write(tmp_path, "run.json")]).runs[0])
    assert not handlers.beside(opened)[2].visible
    (moment,) = handlers.follow(opened, "where?", *SETTINGS, "")
    assert "first question" in moment[1] and moment[2] == gr.skip()
    sample_image().save(tmp_path / "scene.png")
    *_, (_, _, asked, _) = handlers.again(opened, str(tmp_path / "scene.png"), RUN.question, None, *SETTINGS, "")
    assert not asked.shown.same_images(opened.shown), "though the images look alike"
    assert handlers.beside(asked)[2].visible
    assert strip_html(asked) == ""
