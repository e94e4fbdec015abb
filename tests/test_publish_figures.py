"""Figures: what they show is compared with the trace; the files are read back with other readers."""

import io
import json
import re
import xml.etree.ElementTree as ET
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from crop_core.region import Region
from tests.support.fake_records import boxes, comparison, picture, trace
from tests.support.figures import REGION, information, luminance, ringed
from ui.publish import fonts, panels, shapes
from ui.publish.figure import PICTURES, Wanted, figure
from ui.publish.pdf import pdf
from ui.publish.photo import pixels
from ui.publish.png import png
from ui.publish.sheet import CM, FigureError
from ui.publish.svg import svg

SVG = "{http://www.w3.org/2000/svg}"
MADE = {"date": "2026-11-26T20:00:00+00:00", "torch": "2.13.0"}


def drawn(name="row", image=None, **fields):
    return figure([image or picture()], comparison(made=MADE, **fields), Wanted(name, captioned=True))


def area(rows):
    return sum((right - left) * (bottom - top) for left, top, right, bottom in rows)


@pytest.mark.parametrize("name", list(PICTURES))
def test_every_picture_is_a_file_of_the_wanted_width_in_three_formats(name):
    for width in (8.5, 17.5):
        drawing = figure([picture()], comparison(), Wanted(name, width))
        root = ET.fromstring(svg(drawing))
        assert float(root.get("width").removesuffix("pt")) == pytest.approx(width / 2.54 * 72, abs=0.01)
        left, bottom, right, top = map(float, re.search(rb"/MediaBox \[ (.+?) \]", pdf(drawing)).group(1).split())
        assert (left, bottom, right) == (0, 0, pytest.approx(width / 2.54 * 72, abs=0.01))
        assert top == pytest.approx(drawing.height, abs=0.01)
        with Image.open(io.BytesIO(png(drawing, 100))) as image:
            assert image.size == (round(width / 2.54 * 100), round(drawing.height / 72 * 100))
            assert image.info["dpi"] == pytest.approx((100, 100), abs=0.1)


def test_facts_are_in_the_metadata_of_every_format_and_in_the_caption():
    evil = "where's <b>“naïve” & 犬?\x08"
    drawing = drawn(question=evil)
    root = ET.fromstring(svg(drawing))
    facts = json.loads(root.find(f"{SVG}metadata").text)
    assert facts["question"] == evil
    assert facts["answer with every token"] == facts["answer with CROP"] == "rabbit"
    assert (facts["model"], facts["device"], facts["dtype"]) == ("crop-tiny", "cpu", "float32")
    assert facts["region"] == "columns 2-4, rows 1-3 of 8x8, predicted, confidence 0.83"
    assert (facts["date"], facts["versions"], facts["layer"]) == (MADE["date"], "torch 2.13.0", "11")
    assert root.find(f"{SVG}title").text == evil.replace("\x08", "")
    assert "mean 192 of 576" in root.find(f"{SVG}desc").text
    with Image.open(io.BytesIO(png(drawing, 72))) as image:
        assert {name: image.info[name] for name in facts} == facts
    assert "torch 2.13.0" in "".join(element.text for element in root.iter(f"{SVG}text"))
    content = pdf(drawing)
    for key, text in (("Title", evil), ("Subject", "crop-tiny")):
        assert text in information(content, key)


def test_the_pdf_is_vectors_with_an_embedded_font_and_one_photo_a_picture():
    content = pdf(drawn())
    assert content.startswith(b"%PDF-")
    assert content.rstrip().endswith(b"%%EOF")
    assert len(re.findall(rb"/Subtype /Image", content)) <= 3
    assert len(re.findall(rb"/FontFile2", content)) == 2, "both cuts of the font"
    table = int(re.search(rb"startxref\s+(\d+)", content).group(1))
    assert content[table : table + 4] == b"xref"


def test_svg_paths_cover_what_the_trace_says():
    how = trace(REGION, plc=False)
    for layer in (0, 1, 3, 11):
        panel, _ = panels.pruning(panels.Canvas(how, pixels(picture()), 0, 0, 336), layer)
        veiled, cut = (
            shape for shape in panel if isinstance(shape, shapes.Area) and shape.colour in ("#e5e9ef", "#d55e00")
        )
        assert area(veiled.boxes) == pytest.approx(14 * 14 * (how.died_at < layer).sum())
        assert area(cut.boxes) == pytest.approx(14 * 14 * (how.died_at == layer).sum())


def centre(image, drawing, token):
    """Colour of a token's centre in a PNG of a one-picture figure."""
    photo = next(shape for shape in drawing.shapes if isinstance(shape, shapes.Photo))
    left, top, right, bottom = boxes(336, 336)[0][token]
    scale = (photo.box[2] - photo.box[0]) / 336 * image.shape[1] / drawing.width
    x0, y0 = (value * image.shape[1] / drawing.width for value in photo.box[:2])
    return image[round(y0 + (top + bottom) / 2 * scale), round(x0 + (left + right) / 2 * scale)]


def test_in_the_png_what_is_gone_is_pale_and_what_is_alive_is_the_photo():
    how = replace(trace(REGION, plc=False), steps=trace(REGION, plc=False).steps)
    drawing = figure([picture()], comparison(trace=how), Wanted("pruning", 12))
    image = np.asarray(Image.open(io.BytesIO(png(drawing, 200))))
    plain = np.asarray(picture())
    inner = [row * 24 + column for row in range(4, 10) for column in range(7, 13)]
    for token in [*inner, *range(16 * 24, 24 * 24)]:
        row, column = divmod(token, 24)
        window = plain[row * 14 : row * 14 + 14, column * 14 : column * 14 + 14].reshape(-1, 3).astype(int)
        if np.ptp(window, axis=0).max():  # an edge runs through it
            continue
        grey = np.array([0.299, 0.587, 0.114]) @ window[0]
        pale = 0.14 * grey + 0.86 * np.array([0xE5, 0xE9, 0xEF])
        expected = window[0] if how.died_at[token] == 12 else pale
        assert np.allclose(centre(image, drawing, token), expected, atol=3), token


def test_keys_of_one_picture_can_be_told_apart_in_grey():
    for how in (ringed(4), trace(REGION), trace(REGION, plc=False)):
        for draw in (panels.compression, lambda canvas: panels.pruning(canvas, 3)):
            _, keys = draw(panels.Canvas(how, pixels(picture()), 0, 0, 200))
            for at, one in enumerate(keys):
                for other in keys[:at]:
                    assert one.pattern != other.pattern or abs(luminance(one) - luminance(other)) > 15, (one, other)


def test_tokens_of_tiles_are_drawn_rather_than_the_overview():
    how = trace(REGION, plc=False)
    tiled = replace(how, view=(how.boxes[:, 1] >= 168).astype(int))
    panel, _ = panels.pruning(panels.Canvas(tiled, pixels(picture()), 0, 0, 336), 11)
    veiled = next(shape for shape in panel if isinstance(shape, shapes.Area) and shape.colour == "#e5e9ef")
    assert veiled.boxes[:, 1].min() >= 168 - 1e-6


def test_what_the_model_cannot_see_is_hatched():
    region = Region(3, 2, 4, 3, 640, 320, "predicted", 0.5)
    for draw in (panels.region, panels.compression, lambda canvas: panels.pruning(canvas, 0)):
        panel, keys = draw(panels.Canvas(trace(region), pixels(picture(640, 320)), 10, 20, 640))
        hidden = next(shape for shape in panel if isinstance(shape, shapes.Area) and shape.colour == "#f8fafc")
        assert hidden.boxes.tolist() == [[10, 20, 170, 340], [490, 20, 650, 340]]
        assert keys[-1].label == "not seen by the model"


def test_merging_keeps_the_area_and_hatches_stay_inside():
    rng = np.random.default_rng(3)
    chosen = rng.random((9, 9)) < 0.6
    grid = np.array([[x, y, x + 1, y + 1] for y, x in np.argwhere(chosen)], float)
    fewer = shapes.merged(grid)
    painted = np.zeros((9, 9), int)
    for left, top, right, bottom in fewer.astype(int):
        painted[top:bottom, left:right] += 1
    assert np.array_equal(painted, chosen.astype(int)), "the same cells, each once"
    assert len(fewer) < len(grid)
    for pattern in ("/", "\\", "x"):
        for (x0, y0), (x1, y1) in shapes.hatch(grid, pattern, 0.3):
            assert chosen[int((y0 + y1) / 2), int((x0 + x1) / 2)]
            assert abs(abs(x1 - x0) - abs(y1 - y0)) < 1e-9
    assert len(shapes.hatch(grid, "", 0.3)) == len(shapes.merged(np.zeros((0, 4)))) == 0


def test_an_outline_leaves_out_inner_edges():
    canvas = panels.Canvas(trace(REGION, plc=False), pixels(picture()), 0, 0, 336)
    two = canvas.outlines([np.array([0, 1])])
    assert len(two) == 6
    assert sum(np.hypot(*(end - start)) for start, end in two) == pytest.approx(14 * 6)
    assert len(canvas.outlines([np.array([0]), np.array([1])])) == 7, "a shared edge is drawn once"


def test_words_that_are_too_long_are_shortened_and_wrapped():
    assert fonts.lines("one two three", fonts.width("one two", 7), 7) == ["one two", "three"]
    (cut,) = fonts.lines("x" * 500, 50, 7)
    assert cut.endswith("…") and fonts.width(cut, 7) <= 50
    assert fonts.drawable("naïve 犬") == "naïve ?"


@pytest.mark.parametrize(
    "options",
    [{"picture": "none"}, {"width": 0}, {"width": 41}, {"width": float("nan")}, {"layer": 12}, {"layer": -1}],
)
def test_what_cannot_be_drawn_is_one_sentence(options):
    with pytest.raises(FigureError, match=r"give|choose"):
        figure([picture()], comparison(), Wanted(**options))


@pytest.mark.parametrize("dpi", [0, 71, 1201, 1200])
def test_a_png_that_is_too_large_is_refused(dpi):
    with pytest.raises(FigureError):
        png(figure([picture()], comparison(), Wanted("row", 40)), dpi)


def test_the_drawing_is_no_wider_than_asked_for():
    drawing = drawn(image=picture(300, 500), size=(300, 500))
    assert drawing.width == pytest.approx(17.5 * CM)
    for shape in drawing.shapes:
        rows = getattr(shape, "boxes", getattr(shape, "segments", np.zeros((0, 4)))).reshape(-1, 2)
        assert (rows >= 0).all() and (rows <= [drawing.width, drawing.height]).all()
        if isinstance(shape, shapes.Words):
            assert shape.x + fonts.width(shape.text, shape.size, shape.bold) <= drawing.width
