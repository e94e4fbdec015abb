"""Figures: what they show is compared with the trace; the files are read back with other readers."""

import base64
import io
import json
import re
import subprocess
import sys
import warnings
import xml.etree.ElementTree as ET
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image

from crop_core.records.config import CropConfig
from crop_core.records.region import Region
from crop_core.records.trace import PADDING, TokenTrace
from tests.support.fake_records import boxes, comparison, padded_trace, run_result, sample_image, trace
from tests.support.figures import (
    MADE,
    REGION,
    boxes_of,
    check_apart,
    check_inside,
    covered,
    drawn,
    filled,
    handles,
    information,
    labels,
    ringed,
    streams,
)
from ui.export import figure_style, trace_panels
from ui.export.figure import FIGURES, FigureError, FigureKind, FigureOptions, ShownRun, figure, pixels
from ui.export.figure_files import written
from ui.export.multi_run_figures import FigureSource, methods_figure
from ui.export.page_layout import CM, Page, RunFigure

SVG = "{http://www.w3.org/2000/svg}"


@pytest.mark.parametrize("name", list(FIGURES))
def test_every_image_is_a_file_of_the_wanted_width_in_three_formats(name):
    for width in (8.5, 17.5):
        shown = figure([sample_image()], comparison(), FigureOptions(name, width))
        root = ET.fromstring(written(shown, "SVG"))
        assert float(root.get("width").removesuffix("pt")) == pytest.approx(width / 2.54 * 72, abs=0.01)
        pdf = written(shown, "PDF")
        left, bottom, right, top = map(float, re.search(rb"/MediaBox \[ (.+?) \]", pdf).group(1).split())
        assert (left, bottom, right) == (0, 0, pytest.approx(width / 2.54 * 72, abs=0.01))
        assert top == pytest.approx(shown.get_figheight() * 72, abs=0.01)
        with Image.open(io.BytesIO(written(shown, "PNG", 100))) as image:
            assert image.size == (round(width / 2.54 * 100), round(shown.get_figheight() * 100))
            assert image.info["dpi"] == pytest.approx((100, 100), abs=0.1)


@pytest.mark.parametrize("name", list(FIGURES))
@pytest.mark.parametrize("width", [3, 8.5, 40])
def test_every_image_stays_on_its_page_in_letters_that_can_be_read(name, width):
    check_inside(drawn(name, width=width))


def test_facts_are_in_the_metadata_of_every_format_and_the_caption_is_a_sentence():
    evil = "where's <b>“naïve” & 犬?\x08"
    shown = drawn(question=evil)
    root = ET.fromstring(written(shown, "SVG"))
    facts = json.loads(root.find(f"{SVG}metadata").text)
    assert facts["question"] == evil
    assert facts["baseline answer"] == facts["answer with CROP"] == "rabbit"
    assert (facts["model"], facts["device"], facts["dtype"]) == ("crop-tiny", "cpu", "float32")
    assert facts["region"] == "columns 2-4, rows 1-3 of 8x8, predicted, confidence 0.83"
    assert (facts["date"], facts["versions"], facts["layer"]) == (MADE["date"], "torch 2.13.0", "11")
    assert root.find(f"{SVG}title").text == evil.replace("\x08", "")
    assert "mean 192 of 576" in root.find(f"{SVG}desc").text
    with Image.open(io.BytesIO(written(shown, "PNG", 72))) as image:
        assert {name: image.info[name] for name in facts} == facts
    letters = "".join("".join(element.itertext()) for element in root.iter(f"{SVG}text"))
    assert "<b>“naïve” & 犬?” is about" in letters, "a sentence"
    assert "torch" not in letters, "provenance is in the metadata"
    content = written(shown, "PDF")
    for key, text in (("Title", evil), ("Subject", "crop-tiny"), ("Keywords", "torch 2.13.0")):
        assert text in information(content, key)


def test_the_pdf_is_vectors_with_an_embedded_font_and_one_photo_an_image():
    content = written(drawn(), "PDF")
    assert content.startswith(b"%PDF-")
    assert content.rstrip().endswith(b"%%EOF")
    assert 0 < len(re.findall(rb"/Subtype /Image", content)) <= 3
    fonts = set(re.findall(rb"/FontName /(?:[A-Z]{6}\+)?(\S+)", content))
    assert fonts == {b"DejaVuSans", b"DejaVuSans-Bold"}, "both cuts of the font"
    assert len(re.findall(rb"/FontFile2 ", content)) == len(re.findall(rb"/Type /FontDescriptor", content)) >= 2
    assert b"/Type3" not in content
    table = int(re.search(rb"startxref\s+(\d+)", content).group(1))
    assert content[table : table + 4] == b"xref"


def test_words_of_the_pdf_are_text_that_can_be_found():
    parts = list(streams(written(drawn("times"), "PDF")))
    (page,) = (each for each in parts if b"\nBT" in each)
    shown = [
        b"".join(re.findall(rb"\(((?:[^()\\]|\\.)*)\)", text)) for text in re.findall(rb"BT(.*?)ET", page, re.DOTALL)
    ]
    words = [text.replace(b"\x00", b"") for text in shown]
    assert b"Where the time goes" in words and b"CROP: 101.3 ms" in words
    maps = b"".join(each for each in parts if b"begincmap" in each)
    assert b"<0054>" in maps, "T is read as T"


def test_svg_paths_cover_what_the_trace_says():
    how = trace(REGION, plc=False)
    for layer in (0, 1, 3, 11):
        shown = figure([sample_image()], comparison(trace=how), FigureOptions("pruning", layer=layer))
        (axes,) = shown.axes
        assert covered(axes, "#e5e9ef") == pytest.approx(14 * 14 * (how.died_at < layer).sum())
        assert covered(axes, "#d55e00") == pytest.approx(14 * 14 * (how.died_at == layer).sum())


def centre(image, shown, token):
    """Colour of a token's centre in a PNG of a one-image figure."""
    left, top, right, bottom = boxes(336, 336)[0][token]
    x, y = shown.transFigure.inverted().transform(
        shown.axes[0].transData.transform(((left + right) / 2, (top + bottom) / 2))
    )
    return image[int((1 - y) * image.shape[0]), int(x * image.shape[1])]


def test_in_the_png_what_is_gone_is_pale_and_what_is_alive_is_the_photo():
    how = replace(trace(REGION, plc=False), steps=trace(REGION, plc=False).steps)
    shown = figure([sample_image()], comparison(trace=how), FigureOptions("pruning", 12))
    image = np.asarray(Image.open(io.BytesIO(written(shown, "PNG", 200))))[..., :3]
    plain = np.asarray(sample_image())
    inner = [row * 24 + column for row in range(4, 10) for column in range(7, 13)]
    for token in [*inner, *range(16 * 24, 24 * 24)]:
        row, column = divmod(token, 24)
        window = plain[row * 14 : row * 14 + 14, column * 14 : column * 14 + 14].reshape(-1, 3).astype(int)
        if np.ptp(window, axis=0).max():  # an edge runs through it
            continue
        grey = np.array([0.299, 0.587, 0.114]) @ window[0]
        pale = 0.14 * grey + 0.86 * np.array([0xE5, 0xE9, 0xEF])
        expected = window[0] if how.died_at[token] == 12 else pale
        assert np.allclose(centre(image, shown, token), expected, atol=3), token


def test_keys_of_one_image_can_be_told_apart_in_grey():
    for how in (ringed(4), trace(REGION), trace(REGION, plc=False)):
        for name in ("compression", "pruning"):
            shown = figure([sample_image()], comparison(trace=how), FigureOptions(name, 7, layer=3))
            check_apart(handles(shown))
            assert all(each.get_hatch() or each.get_edgecolor()[3] for each in handles(shown))


def test_what_is_hatched_in_the_legend_is_hatched_on_the_photo():
    shown = figure([sample_image()], comparison(trace=ringed(4)), FigureOptions("compression"))
    (axes,) = shown.axes
    over = {(patch.get_hatch(), to_hex(patch.get_edgecolor())) for patch in axes.patches if patch.get_hatch()}
    below = {(each.get_hatch(), to_hex(each.get_edgecolor())) for each in handles(shown) if each.get_hatch()}
    assert over == below and len(below) == 3


def test_tokens_of_tiles_are_drawn_rather_than_the_overview():
    how = trace(REGION, plc=False)
    tiled = replace(how, view=(how.boxes[:, 1] >= 168).astype(int))
    shown = figure([sample_image()], comparison(trace=tiled), FigureOptions("pruning", layer=11))
    (veiled,) = filled(shown.axes[0], "#e5e9ef")
    assert boxes_of(veiled)[:, 1].min() >= 168 - 1e-6


def test_what_the_model_cannot_see_is_hatched():
    region = Region(3, 2, 4, 3, 640, 320, "predicted", 0.5)
    run = comparison(trace=trace(region), region=region)
    for name in ("region", "compression", "pruning"):
        shown = figure([sample_image(640, 320)], run, FigureOptions(name, layer=0))
        (hidden,) = filled(shown.axes[0], "#f8fafc")
        assert boxes_of(hidden).tolist() == [[0, 0, 160, 320], [480, 0, 640, 320]]
        over = [patch for patch in shown.axes[0].patches if patch.get_hatch() == figure_style.RISING]
        assert any(np.array_equal(boxes_of(patch), boxes_of(hidden)) for patch in over)
        assert labels(shown)[-1] == "not seen by the model"


def hatched(grid, side, pattern, scale, dpi=72):
    """Where boxes of a square of side x side cells, each of `scale` points, are inked by a hatch: (H, W), square."""
    page = Figure(figsize=(side * scale / 72, side * scale / 72), dpi=72)
    axes = page.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, side), ylim=(side, 0))
    axes.set_axis_off()
    figure_style.area(axes, grid, facecolor="none", edgecolor="#000000", hatch=pattern)
    buffer = io.BytesIO()
    page.savefig(buffer, dpi=dpi)
    return np.asarray(Image.open(buffer).convert("L")) < 200


def test_joining_keeps_the_area_and_hatches_stay_inside():
    rng = np.random.default_rng(3)
    chosen = rng.random((9, 9)) < 0.6
    grid = np.array([[x, y, x + 1, y + 1] for y, x in np.argwhere(chosen)], float)
    fewer = figure_style.joined(rng.permutation(grid))
    painted = np.zeros((9, 9), int)
    for left, top, right, bottom in fewer.astype(int):
        painted[top:bottom, left:right] += 1
    assert np.array_equal(painted, chosen.astype(int)), "the same cells, each once"
    assert len(fewer) < len(grid)
    for pattern in (figure_style.RISING, figure_style.FALLING, figure_style.CROSSED, figure_style.LYING):
        ink = hatched(grid, 9, pattern, 20).reshape(9, 20, 9, 20).swapaxes(1, 2)
        assert ink[chosen].any(axis=(1, 2)).all(), "in every cell"
        assert not ink[~chosen][:, 1:-1, 1:-1].any(), "and in no other one"
    assert not hatched(np.zeros((0, 4)), 9, figure_style.RISING, 20).any()


def test_hatches_rise_fall_lie_and_cross():
    whole = np.array([[0.0, 0.0, 1.0, 1.0]])
    lying = hatched(whole, 1, figure_style.LYING, 72)
    assert all(row.all() or not row.any() for row in lying[:, 1:-1]) and 0 < lying.any(axis=1).sum() < 72
    rising, falling, crossed = (
        hatched(whole, 1, pattern, 72, 288)
        for pattern in (figure_style.RISING, figure_style.FALLING, figure_style.CROSSED)
    )

    def along(ink):  # how much of it goes on up to the right, and down to the right
        return (ink[4:, :-4] & ink[:-4, 4:]).mean(), (ink[:-4, :-4] & ink[4:, 4:]).mean()

    assert along(rising)[0] > 3 * along(rising)[1] and along(falling)[1] > 3 * along(falling)[0]
    assert crossed.sum() > 1.5 * rising.sum()


def test_an_outline_leaves_out_inner_edges():
    page = Page(336)
    canvas = trace_panels.Canvas.on(page, trace(REGION, plc=False), pixels(sample_image()), 0, 0, 336)

    def outlines(groups):
        group = np.full(576, -1)
        group[: len(groups)] = groups
        canvas.outlines(group, "#000000", 1)
        return canvas.axes.patches[-1].get_path().vertices.reshape(-1, 2, 2)

    two = outlines([0, 0])
    assert len(two) == 6
    assert sum(np.hypot(*(end - start)) for start, end in two) == pytest.approx(14 * 6)
    assert len(outlines([0, 1])) == 7, "a shared edge is drawn once"


def test_words_that_are_too_long_are_shortened_and_wrapped():
    with figure_style.style():
        assert figure_style.lines("one two three", figure_style.width("one two", 7), 7) == ["one two", "three"]
        (cut,) = figure_style.lines("x" * 500, 50, 7)
        assert cut.endswith("…") and figure_style.width(cut, 7) <= 50
        assert figure_style.quoted("of ", "x" * 500, 50).endswith("…”")
        assert figure_style.printable("na\x08ïve\n 犬") == "naïve 犬"


def test_letters_of_many_scripts_are_printed():
    question = "zażółć Ωж → ≥ كلب כלב $5 or $6?"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        shown = drawn("region", question=question)
        files = {kind: written(shown, kind) for kind in ("PNG", "SVG", "PDF")}
    assert question in "".join(ET.fromstring(files["SVG"]).itertext())
    assert figure_style.families(frozenset(question))[0] == "DejaVu Sans"


def test_a_letter_of_no_installed_font_costs_no_figure():
    with pytest.warns(UserWarning, match="missing from font"):
        assert written(drawn("region", question="\U0001f9ff\ue123?"), "PNG", 72)


def test_the_figure_is_one_of_matplotlib_that_can_be_changed_before_it_is_written():
    shown = drawn("alive")
    assert isinstance(shown, Figure) and isinstance(shown, RunFigure)
    shown.axes[0].set_title("What the reviewers asked for")
    assert b"What the reviewers asked for" in written(shown, "SVG")
    before = shown.get_size_inches().tolist()
    assert written(shown, "PNG", 96) == written(shown, "PNG", 96)
    assert shown.get_size_inches().tolist() == before
    assert written(shown, "PDF") == written(shown, "PDF")


def test_a_photo_in_an_svg_is_a_jpeg_once_it_is_large():
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (700, 700, 3), dtype=np.uint8))
    run = comparison(size=(700, 700))
    parts = re.findall(
        rb"data:image/(\w+);base64,([\w+/=]+)", written(figure([noise], run, FigureOptions("region")), "SVG")
    )
    assert [kind for kind, _ in parts] == [b"jpeg"]
    assert Image.open(io.BytesIO(base64.b64decode(parts[0][1]))).size == (700, 700)
    small = re.findall(rb"data:image/(\w+);base64", written(drawn("region"), "SVG"))
    assert small == [b"png"]


def test_nothing_in_an_svg_is_fetched():
    content = written(drawn(), "SVG").decode()
    links = re.findall(r"(?:href|src)\s*=\s*[\"']([^\"']+)|url\(([^)]+)\)|(<!DOCTYPE)", content)
    assert all(link.startswith(("data:", "#")) for each in links for link in each if link)


def test_settings_of_matplotlib_are_left_as_they_were():
    import matplotlib as mpl

    before = dict(mpl.rcParams)
    written(drawn("times"), "SVG")
    assert dict(mpl.rcParams) == before


def test_matplotlib_is_loaded_with_the_first_figure_only():
    code = "import sys, ui.page.layout, ui.export.figure; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_figure_is_added_as_a_row_that_names_its_drawer(monkeypatch):
    assert {name: kind.label for name, kind in FIGURES.items()}["times"] == "Where the time goes"
    monkeypatch.setattr(trace_panels, "dummy", lambda run: trace_panels.region(run), raising=False)
    monkeypatch.setitem(FIGURES, "dummy", FigureKind("A dummy", ("trace_panels:dummy", "time_bars:times")))
    shown = drawn("dummy")
    assert shown.facts["figure"] == "dummy, times" and len(shown.axes) == 2
    assert isinstance(ShownRun(pixels(sample_image()), trace(REGION), comparison(), 3).trace, TokenTrace)


@pytest.mark.parametrize(
    "options",
    [{"name": "none"}, {"width": 0}, {"width": 41}, {"width": float("nan")}, {"layer": 12}, {"layer": -1}],
)
def test_what_cannot_be_drawn_is_one_sentence(options):
    with pytest.raises(FigureError, match=r"give|choose"):
        figure([sample_image()], comparison(), FigureOptions(**options))


@pytest.mark.parametrize("dpi", [0, 71, 1201, 1200])
def test_a_png_that_is_too_large_is_refused(dpi):
    with pytest.raises(FigureError):
        written(figure([sample_image()], comparison(), FigureOptions("row", 40)), "PNG", dpi)


def test_the_drawing_is_no_wider_than_asked_for():
    shown = drawn(image=sample_image(300, 500), size=(300, 500))
    assert shown.get_figwidth() * 72 == pytest.approx(17.5 * CM)
    check_inside(shown)
    for axes in shown.axes:
        assert 0 <= axes.get_position().x0 < axes.get_position().x1 <= 1


def test_panels_that_would_be_too_narrow_stand_below_each_other():
    for width, rows in ((3, 3), (8.5, 1)):
        tops = {round(axes.get_position().y1, 3) for axes in drawn(width=width).axes}
        assert len(tops) == rows


def test_padding_is_counted_by_itself_and_the_legend_adds_up():
    how = padded_trace()
    shown = figure([sample_image(336, 224)], comparison(size=(336, 224), region=how.region, trace=how),
                   FigureOptions("compression"))  # fmt: skip
    (padding,) = (label for label in labels(shown) if label.startswith("padding"))
    alone = int((how.input_ring == PADDING).sum())
    assert padding == f"padding: 192 to {alone}" and alone > 0
    counts = [list(map(int, re.findall(r"\d+", label.split(": ")[1]))) for label in labels(shown)]
    assert sum(each[0] for each in counts) == 576
    assert sum(each[-1] for each in counts) == how.input_tokens, "a token that is retained stays one"
    check_apart(handles(shown))
    (axes,) = shown.axes
    assert not any(patch.get_hatch() == figure_style.DOTTED for patch in axes.patches), "it is beside the image"


def test_padding_alone_in_a_ring_brings_no_ring_into_a_legend():
    how = padded_trace()
    far = replace(how, ring=np.where(how.padding, 7, np.minimum(how.ring, 1)))
    run = run_result(trace=far, region=far.region)
    source = FigureSource("what?", CropConfig(), pixels(sample_image(336, 224)))
    shown = methods_figure(source, [run_result("Baseline", "none"), run], []).figure(17.5)
    assert any("ring 1" in label for label in labels(shown)) and not any("ring 7" in label for label in labels(shown))


@pytest.mark.parametrize("name", ["row", "region", "compression", "pruning"])
def test_a_method_that_reads_no_region_has_no_frame(name):
    whole = Region.whole(336, 336)
    framed = drawn(name)
    shown = drawn(name, method="fastv", region=whole, trace=trace(whole, plc=False))
    frames = [[patch for patch in axes.patches if isinstance(patch, Rectangle)] for axes in shown.axes]
    assert not any(frames) and all(axes.patches for axes in framed.axes)
    assert ("FastV reads no region." in labels(shown)) is (name in ("row", "region"))
    assert shown.facts["region"] == "FastV reads no region."
