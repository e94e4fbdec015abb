"""What the tabs show as figures: panels, cells, facts; the fold that saves them."""

import io
import json
import pickle
import xml.etree.ElementTree as ET
from dataclasses import replace
from itertools import pairwise

import gradio as gr
import numpy as np
import pytest
from PIL import Image

from crop_core.region import Region
from tests.support.fake_records import FakeEngine, picture, told, trace
from tests.support.figures import information, luminance, ringed
from tests.support.panel import SETTINGS
from ui import palette
from ui.many import Many
from ui.publish import fonts, panels, places
from ui.publish.files import FORMATS, written
from ui.publish.multiples import multiples
from ui.publish.panels import Canvas
from ui.publish.photo import pixels
from ui.publish.save import NO_NUMBER, NOTHING, saved
from ui.publish.shapes import Area, Drawing, Photo, Words

SVG = "{http://www.w3.org/2000/svg}"
MADE = {"date": "2026-11-26T20:00:00+00:00", "torch": "2.13.0"}
RAN = {"model": "crop-tiny", "device": "cuda:0", "dtype": "bfloat16", "made": MADE}


class Recorded(FakeEngine):
    """Tells where it was asked."""

    def ask_many(self, *request):
        for each in super().ask_many(*request):
            yield replace(each, **RAN) if hasattr(each, "text") else each


@pytest.fixture(scope="module")
def plates(tmp_path_factory):
    """Those of all three views, asked about a wide picture."""
    path = tmp_path_factory.mktemp("plates") / "scene.png"
    picture(480, 320).save(path)
    many, wide = Many(Recorded()), (*SETTINGS[:6], "drawn", 2, 1, 4, 3)
    names = ["crop", "random", "ilp", "divprune"]
    streams = (
        many.methods(str(path), "what?", names, *wide),
        many.budgets(str(path), "what?", names, *wide),
        many.places(str(path), "what?", *wide),
    )
    found = [list(stream)[-1][-3] for stream in streams]
    return {plate.name: plate for plate in found}


@pytest.mark.parametrize("name", ["methods", "budget", "places"])
def test_facts_are_in_every_format(plates, name):
    drawing = plates[name].drawing(8.5)
    root = ET.fromstring(written(drawing, "SVG"))
    facts = json.loads(root.findtext(f"{SVG}metadata"))
    assert (facts["picture"], facts["question"], facts["answer with every token"]) == (name, "what?", "rabbit")
    assert (facts["model"], facts["device"], facts["dtype"]) == ("crop-tiny", "cuda:0", "bfloat16")
    assert (facts["date"], facts["versions"], facts["visual tokens"]) == (MADE["date"], "torch 2.13.0", "576")
    with Image.open(io.BytesIO(written(drawing, "PNG"))) as image:
        assert {key: image.info[key] for key in facts} == facts
        assert image.size[0] == round(8.5 / 2.54 * 300)
    told_by_pdf = information(written(drawing, "PDF"), "Subject")
    assert all(f"{key}: {text}" in told_by_pdf for key, text in facts.items())


def test_facts_tell_what_was_asked_of_the_methods(plates):
    facts = plates["methods"].facts
    assert (facts["methods"], facts["budget"], facts["seed"]) == ("crop, ilp, random, divprune", "33.3 %", "0")
    assert (facts["answer with CROP"], facts["answer with Random"]) == ("rabbit", "turtle")
    assert facts["region"] == "columns 2-4, rows 1-3 of 8x8, drawn", "once, though several read it"
    facts = plates["budget"].facts
    assert facts["flips"] == "Random at 116.8"
    assert facts["budgets"].startswith("CROP 116.8, 116.8,")
    assert plates["places"].facts["region"] == "3x3 cells, slid over 8x8"
    assert "seed" not in plates["places"].facts, "nothing was drawn by lot"


@pytest.mark.parametrize("width", [3, 8.5, 17.5, 40])
def test_every_figure_stays_on_its_page_in_letters_that_can_be_read(plates, width):
    for plate in plates.values():
        drawing = plate.drawing(width)
        for shape in drawing.shapes:
            if isinstance(shape, Words):
                shift = {"start": 0, "middle": 0.5, "end": 1}[shape.anchor]
                left = shape.x - shift * fonts.width(shape.text, shape.size, shape.bold)
                assert left > -0.5 and left + fonts.width(shape.text, shape.size, shape.bold) < drawing.width + 0.5
                assert shape.size >= 6 and shape.y <= drawing.height
            elif isinstance(shape, Area):
                assert (shape.boxes >= -1e-6).all() and (shape.boxes[:, 3] <= drawing.height).all()
                assert (shape.boxes[:, 2] <= drawing.width + 1e-6).all()


def test_a_panel_a_method_with_its_name_answer_and_probability(plates):
    drawing = plates["methods"].drawing(17.5)
    assert sum(isinstance(shape, Photo) for shape in drawing.shapes) == 5
    bold = [shape.text for shape in drawing.shapes if isinstance(shape, Words) and shape.bold]
    assert bold == ["What each method keeps (budget: 33.3 %)", "every token", "CROP", "ILP", "Random", "DivPrune"]
    below = [shape.text for shape in drawing.shapes if isinstance(shape, Words)]
    assert below.count("“rabbit”") == 4 and below.count("× “turtle”") == 1
    assert "20.0 %, 116.8" in below and "99.0 %, 576" in below


@pytest.mark.parametrize(("count", "rows"), [(1, [1]), (3, [3]), (5, [3, 2]), (7, [3, 3, 1]), (8, [3, 3, 2])])
def test_panels_stand_in_rows_that_do_not_meet(count, rows):
    photo = np.asarray(picture(200, 300))
    how = [told(f"way {k}", text="a very long answer " * k) for k in range(count)]
    shapes, _, height = multiples(photo, how, 4, 20, 233)
    boxes = [shape.box for shape in shapes if isinstance(shape, Photo)]
    tops = sorted({box[1] for box in boxes})
    assert [sum(box[1] == top for box in boxes) for top in tops] == rows
    assert max(box[2] for box in boxes) <= 237 + 1e-9
    written_below = [shape for shape in shapes if isinstance(shape, Words) and not shape.bold]
    for one, other in pairwise(boxes):
        assert one[2] < other[0] or one[3] + 3 * 9 < other[1], "room for three lines"
    assert all(shape.y <= 20 + height for shape in written_below)


def test_the_earlier_a_token_is_gone_the_paler_it_is():
    how = trace(Region(2, 1, 4, 3, 336, 336, "predicted"), plc=False)
    shapes, keys, _ = multiples(np.asarray(picture()), [told(trace=how)], 0, 0, 336)
    veils = [shape for shape in shapes if isinstance(shape, Area) and shape.colour == palette.VEIL]
    died = sorted(set(how.died_at.tolist()) - {how.layers})
    assert len(veils) == len(died) == 2
    scale = 336 / 336
    for veil, layer in zip(veils, died, strict=True):
        covered = sum((x1 - x0) * (y1 - y0) for x0, y0, x1, y1 in veil.boxes)
        assert covered == pytest.approx((14 * scale) ** 2 * (how.died_at == layer).sum())
    assert veils[0].alpha > veils[1].alpha
    assert [key.label for key in keys] == [
        "read in every layer",
        "dropped: the earlier, the paler",
        "region (predicted)",
    ]


def test_the_paints_of_the_panels_can_be_told_apart_in_grey():
    how = ringed(5)
    _, keys, _ = multiples(np.asarray(picture()), [told(trace=replace(how, ring=how.ring - 1))], 0, 0, 300)
    pooled = [key for key in keys if key.label.startswith("pooled")]
    assert [key.label for key in pooled][:2] == ["pooled, in no ring", "pooled, ring 1"]
    for at, one in enumerate(pooled):
        for other in pooled[:at]:
            assert one.pattern != other.pattern or abs(luminance(one) - luminance(other)) > 15, (one, other)


def relative(colour):
    """WCAG's relative luminance."""
    parts = np.array([int(colour[k : k + 2], 16) for k in (1, 3, 5)]) / 255
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    return float(np.array([0.2126, 0.7152, 0.0722]) @ linear)


def test_the_colours_of_the_map_rise_in_lightness_from_one_published_end_to_the_other():
    assert (places.colour(0), places.colour(1)) == ("#00224e", "#fee838")  # Cividis
    assert places.colour(-1) == places.colour(0) and places.colour(2) == places.colour(1)
    light = [relative(places.colour(k / 50)) for k in range(51)]
    assert all(np.diff(light) > 0)


def drawn_map(cells, width=240.0):
    how = trace(Region.whole(320, 160), False, ())
    shapes, _, _ = places.places("dog", cells, how, np.asarray(picture(320, 160)), 10, 20, width)
    return shapes, [shape for shape in shapes if isinstance(shape, Area) and shape.alpha == places.OPAQUE]


def test_each_cell_has_its_place_its_colour_and_its_number():
    cells = np.full((8, 8), np.nan)
    cells[1, 3], cells[7, 7] = 0.25, 1.0
    shapes, (first, second) = drawn_map(cells, 320.0)
    assert first.boxes.tolist() == [[130, 40, 170, 60]] and first.colour == places.colour(0.25)
    assert second.boxes.tolist() == [[290, 160, 330, 180]] and second.colour == places.colour(1)
    said = [shape.text for shape in shapes if isinstance(shape, Words)]
    assert said == ["25", "100", "0 %", "50 %", "100 %", "probability of “dog”"]
    assert len(drawn_map(cells, 100.0)[0]) < len(shapes), "no numbers in narrow cells"


def test_numbers_of_the_map_can_be_read_on_their_colour():
    for k in [*range(0, 101, 5), 46, 47, 48]:
        shapes, _ = drawn_map(np.full((8, 8), k / 100), 320.0)
        ink = next(shape.colour for shape in shapes if isinstance(shape, Words))
        pad = relative(places.colour(k / 100))
        low, high = sorted((relative(ink), pad))
        assert (high + 0.05) / (low + 0.05) >= 4.5, k


def test_the_colour_bar_runs_through_all_colours_from_left_to_right():
    shapes, _ = drawn_map(np.full((8, 8), np.nan))
    bar = [shape for shape in shapes if isinstance(shape, Area) and len(shape.boxes) == 1][-places.PIECES :]
    assert [shape.colour for shape in bar] == [places.colour((k + 0.5) / 64) for k in range(64)]
    starts = [shape.boxes[0][0] for shape in bar]
    assert starts == pytest.approx(list(10 + 240 * np.arange(64) / 64))
    assert {shape.boxes[0][2] for shape in bar} == {250.0}


def test_in_the_png_a_cell_is_its_colour_over_the_grey_photo():
    cells = np.full((8, 8), np.nan)
    cells[4, 4] = 0.8
    how = trace(Region.whole(336, 336), False, ())
    plain = pixels(picture())
    shapes, _, _ = places.places("dog", cells, how, plain, 0, 0, 336)
    image = np.asarray(Image.open(io.BytesIO(written(Drawing(336, 360, shapes), "PNG", 72))))
    at = 4 * 42 + 4  # a corner of the cell, where its number is not
    grey = np.array([0.299, 0.587, 0.114]) @ plain[at, at]
    shade = np.array([int(places.colour(0.8)[k : k + 2], 16) for k in (1, 3, 5)])
    assert np.allclose(image[at, at], 0.7 * shade + 0.3 * grey, atol=3)
    assert np.ptp(image[at, at - 42].astype(int)) <= 2, "a cell that was not asked is grey"


def test_what_is_kept_for_a_figure_is_small(plates):
    assert len(pickle.dumps(plates["budget"])) < 10_000, "no trace"
    assert len(pickle.dumps(plates["places"])) < 480 * 320 * 3 + 100_000, "the photo and one trace"


@pytest.mark.parametrize("kind", FORMATS)
def test_the_fold_gives_the_file_that_was_chosen(plates, kind):
    button, note = saved(plates["budget"], True, kind, 8.5)
    assert note == "" and button.interactive
    assert button.label == f"Figure ({kind}, 8.5 cm)"
    assert button.value["path"].endswith(f"crop-explorer-budget.{kind.lower()}")


@pytest.mark.parametrize(
    ("kind", "width", "sentence"),
    [
        ("PNG", 1, "A figure of 1 cm cannot be drawn; give a width from 3 to 40 cm."),
        ("SVG", float("nan"), "give a width from 3 to 40 cm."),
        ("SVG", 1e300, "give a width from 3 to 40 cm."),
        ("PDF", None, NO_NUMBER),
        ("PDF", "wide", NO_NUMBER),
        ("PDF", [8], NO_NUMBER),
        ("GIF", 8.5, "The format &#x27;GIF&#x27; is not known; choose PNG, SVG, PDF."),
        ({}, 8.5, "The format {} is not known"),
    ],
)
def test_options_that_cannot_be_are_one_sentence(plates, kind, width, sentence):
    button, note = saved(plates["budget"], True, kind, width)
    assert not button.interactive
    assert sentence in note and note.count("<p") == 1


def test_nothing_is_made_while_nobody_looks_or_of_nothing():
    assert saved(None, True, "PNG", 8.5)[1].count(NOTHING) == 1
    button, note = saved(gr.State, False, "PNG", 8.5)  # type: ignore[arg-type]
    assert (button.interactive, note) == (False, "")


def test_hidden_parts_are_hatched_in_a_map_and_the_region_is_not_drawn():
    canvas = Canvas(trace(Region.whole(640, 320)), np.asarray(picture(640, 320)), 0, 0, 640)
    assert [shape.boxes.tolist() for shape in canvas.hidden() if isinstance(shape, Area)] == [
        [[0, 0, 160, 320], [480, 0, 640, 320]]
    ]
    assert len(canvas.frame()) == len(canvas.hidden()) + 2
    assert [key.label for key in panels.hidden_key(canvas)] == ["not seen by the model"]
