"""Recorded runs opened again, from files that anybody may have written; the report."""

import json
import re
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path

import gradio as gr
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from crop_core.engine.engine import CropEngine
from crop_core.io.data_url import data_url, image_from_data_url
from crop_core.io.images import ImageError
from crop_core.records.config import CropConfig
from crop_core.records.region import Region
from tests.support import ROOT
from tests.support.fake_records import about_several, comparison, sample_image
from tests.support.panel import SETTINGS
from tests.support.recorded_runs import OPTIONS, RUN, TEXT, TWO, about_two, content, shown, write
from ui.export import load_runs
from ui.export.figure import FigureOptions, caption
from ui.export.load_runs import TraceFileError, open_files, opening_view, read
from ui.export.report import page
from ui.page import export_panel
from ui.views.examples import load_examples
from ui.views.explorer_state import ExplorerState
from ui.views.figures import alive_curve
from ui.views.history import MAX_RUNS, FinishedRun, History, strip_html


def test_a_file_opens_as_the_run_that_was_recorded(tmp_path):
    loaded = open_files([write(tmp_path, "run.json")])
    assert loaded.notices == []
    (run,) = loaded.runs
    assert run.result.to_json() == json.loads(TEXT)
    assert np.array_equal(np.asarray(run.images[0]), np.asarray(sample_image()))
    shown = json.loads(run.view.to_json()["data"])
    assert (shown["stage"], shown["fixed"], shown["size"]) == ("done", True, [336, 336])
    assert shown["answers"] == {"baseline": "rabbit", "crop": "rabbit"}


def test_the_page_opens_on_the_run_that_lies_beside_the_first_example(tmp_path):
    examples = load_examples(ROOT / "assets" / "examples")
    view = opening_view(examples)
    assert view is not None and (view.stage, view.fixed, view.question) == ("recorded", True, examples[0].question)
    assert view.answers == {"baseline": examples[0].answer, "crop": examples[0].answer}
    assert json.loads(view.to_json()["data"])["result"]["verdict"]["title"] == "Same answer, about as sure"
    assert opening_view([]) is None
    copied = replace(examples[0], image=Path(shutil.copy(examples[0].image, tmp_path)))
    assert opening_view([copied]) is None
    (tmp_path / "01.json").write_text("{}")
    with pytest.raises(TraceFileError, match=r"^'01\.json' is not a recorded run: "):
        opening_view([copied])


def test_the_opening_run_is_what_the_bundled_models_do():
    example = load_examples(ROOT / "assets" / "examples")[0]
    recorded, _ = read(example.image.with_suffix(".json").read_bytes())
    engine = CropEngine.from_pretrained(device="cpu", warm_up=False)
    again = engine.compare(example.image, example.question, CropConfig(repeats=1), memory=False)
    assert again.baseline.text == recorded.baseline.text and again.crop.text == recorded.crop.text
    assert again.region.grid == recorded.region.grid
    own, kept = again.trace, recorded.trace
    assert np.array_equal(own.group, kept.group) and np.array_equal(own.ring, kept.ring)
    assert [(step.layer, list(step.kept)) for step in own.steps] == [
        (step.layer, list(step.kept)) for step in kept.steps
    ]


def test_files_of_earlier_versions_open(tmp_path):
    trace = {key: value for key, value in json.loads(TEXT)["trace"].items() if key != "view"}
    old = write(tmp_path, "old.json", made=None, others=None, history=None, trace=trace)
    assert open_files([old]).notices == []
    assert open_files([old]).runs[0].result.made == {}


def test_an_image_is_found_inside_beside_or_not_at_all(tmp_path):
    alone = write(tmp_path, "run.json", pictures=None)
    (run,), (notice,) = open_files([alone]).runs, open_files([alone]).notices
    assert run.images[0].size == (336, 336) and run.images[0].getcolors() == [(336 * 336, (200, 200, 200))]
    assert "'run.json' contains no image" in notice
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
    explorer, history, note, *_ = export_panel.opened(History(), [first, str(tmp_path / "more.zip")], SETTINGS)
    assert note == ""
    assert [run.file for run in history.runs] == ["a.json", "b.json"]
    assert json.loads(explorer["data"])["question"] == RUN.question
    assert strip_html(history).count("run-card") == 2
    after = history.add(FinishedRun((sample_image(),), RUN, ExplorerState.of(sample_image())))
    assert strip_html(after) == "", "what was asked here is not mixed with what was opened"


def test_no_more_are_opened_than_are_kept(tmp_path):
    loaded = open_files([write(tmp_path, f"{k}.json") for k in range(MAX_RUNS + 1)])
    assert len(loaded.runs) == MAX_RUNS
    assert f"the first {MAX_RUNS}" in loaded.notices[0]


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
    explorer, history, note, *fields = export_panel.opened(History(), [str(tmp_path / "bad.json")], SETTINGS)
    assert explorer == history == gr.skip() and fields == [gr.skip()] * (4 + len(SETTINGS))
    assert note.count("<p") == 1
    assert "bad.json" in note and len(note) < 600 and "\n" not in note
    assert "Traceback" not in note and "pydantic" not in note


@pytest.mark.parametrize(
    "url", ["", "http://127.0.0.1/x.png", "data:image/png;base64,%%", "data:image/png;base64,aaaa"]
)
def test_an_embedded_image_that_is_none_is_one_sentence(url, tmp_path):
    with pytest.raises(ImageError):
        image_from_data_url(url)
    loaded = open_files([write(tmp_path, "run.json", pictures=[url])])
    assert loaded.runs == [] and len(loaded.notices) == 1


def test_a_zip_is_never_unpacked_beyond_its_limit(tmp_path, monkeypatch):
    monkeypatch.setattr(load_runs, "MAX_BYTES", 100_000)
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("a.json", b" " * 5_000_000)
    loaded = open_files([str(tmp_path / "bomb.zip")])
    assert loaded.runs == [] and "cannot be unpacked" in loaded.notices[0]
    (tmp_path / "large.json").write_bytes(b" " * 100_001)
    assert "has more than" in open_files([str(tmp_path / "large.json")]).notices[0]


def test_files_are_read_up_to_a_limit_together(tmp_path, monkeypatch):
    files = [write(tmp_path, "a.json"), write(tmp_path, "b.json")]
    monkeypatch.setattr(load_runs, "MAX_TOTAL_BYTES", Path(files[0]).stat().st_size + 10)
    loaded = open_files(files)
    assert [run.file for run in loaded.runs] == ["a.json"]
    assert "the rest was skipped" in loaded.notices[0]


def test_a_large_image_is_scaled_down_and_still_found_by_its_size(tmp_path):
    result = comparison(size=(4200, 2100), region=Region(2, 1, 4, 3, 4200, 2100))
    (tmp_path / "run.json").write_text(json.dumps(result.to_json()))
    Image.new("RGB", (4200, 2100), "#123456").save(tmp_path / "photo.png")
    loaded = open_files([str(tmp_path / "run.json"), str(tmp_path / "photo.png")])
    assert loaded.notices == []
    assert max(loaded.runs[0].images[0].size) <= 2048


@pytest.mark.parametrize("cut", [30, 200, 1000])
def test_a_broken_zip_is_one_sentence(cut, tmp_path):
    with zipfile.ZipFile(tmp_path / "run.zip", "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("run.json", TEXT)
    content = bytearray((tmp_path / "run.zip").read_bytes())
    content[cut : cut + 20] = b"\x00" * 20
    (tmp_path / "run.zip").write_bytes(content)
    loaded = open_files([str(tmp_path / "run.zip")])
    assert loaded.runs == [] and len(loaded.notices) == 1


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
    options = ("row", "", 1, "SVG", 8, "sans", 7, False, 72, 1, True)
    assert export_panel.figure_file(FinishedRun(images, result, view), *options)[1]


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=200) | st.text(max_size=100).map(str.encode))
def test_any_bytes_are_one_sentence(content):
    with pytest.raises(TraceFileError) as caught:
        read(content)
    assert "\n" not in str(caught.value)


def test_the_report_holds_the_run_and_fetches_nothing():
    evil = "</script><script>alert(1)</script>"
    run = shown(evil).shown
    text = page(run.view, run.result).decode()
    assert evil not in text
    assert text.count("<script") == text.count("</script>") == 3
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
    loaded = open_files([str(tmp_path / "two.json")])
    assert loaded.notices == []
    (back,) = loaded.runs
    assert [image.size for image in back.images] == [(336, 336), (90, 120)]
    assert back.view.images == run.view.images
    data = json.loads(back.view.to_json()["data"])
    assert data["fixed"] and data["others"][0] == {
        "size": [90, 120],
        "region": {"grid": [5, 5, 6, 7], "source": "drawn", "confidence": None},
    }
    assert back.result.history == [("what?", "cat")]
    html = strip_html(History().add(back))
    assert "This conversation" in html and "not in the opened files" in html


def test_several_images_are_found_beside_a_run_one_each(tmp_path):
    sizes = [(90, 120), (90, 120), (60, 60)]
    result = about_several(RUN, [Region.whole(*size) for size in sizes])
    (tmp_path / "run.json").write_text(json.dumps(result.to_json()))
    for name, size, colour in (("run", (168, 168), 1), ("a", (90, 120), 2), ("b", (90, 120), 3)):
        Image.new("RGB", size, (colour,) * 3).save(tmp_path / f"{name}.png")
    loaded = open_files([str(tmp_path / name) for name in ("run.json", "a.png", "b.png", "run.png")])
    assert [image.getpixel((0, 0))[0] for image in loaded.runs[0].images] == [1, 2, 3, 200]
    assert len(loaded.notices) == 1 and "'run.json' contains no image" in loaded.notices[0]


def test_embedded_images_have_a_largest_size_together(tmp_path, monkeypatch):
    monkeypatch.setattr(load_runs, "MAX_PIXELS", 336 * 336 + 90 * 120 - 1)
    (tmp_path / "two.json").write_bytes(export_panel.record(about_two().shown, True))
    loaded = open_files([str(tmp_path / "two.json")])
    assert loaded.runs == [] and "together" in loaded.notices[0]


def test_the_report_holds_every_image_and_turn_and_the_figure_says_which_it_is_of():
    run = about_two().shown
    text = page(run.view, run.result).decode()
    payload = json.loads(re.search(r'type="application/json">(.*?)</script>', text, re.DOTALL).group(1))
    assert payload["others"] == [data_url(sample_image(90, 120))]
    assert json.loads(payload["data"])["result"]["others"] == [trace.to_json() for trace in run.result.others]
    assert "<dt>earlier turns</dt><dd>what? cat</dd>" in text
    assert "columns 5-6, rows 5-7 of 8x8, drawn" in text
    assert "(image 2 of 2)" in caption(run.result, FigureOptions(image=2))
    assert "image 1" not in caption(RUN, FigureOptions())
    figures = [
        content(export_panel.publish(about_two(), True, "region", "", k, "SVG", *OPTIONS[4:])[0]) for k in (1, 2)
    ]
    assert figures[0] != figures[1]
    assert b"image: 2 of 2" in figures[1] and b"image: 1 of 2" in figures[0]
