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
from matplotlib.colors import to_hex
from PIL import Image

from crop_core.records.region import Region
from tests.support.fake_records import FakeEngine, run_result, sample_image, trace
from tests.support.figures import (
    area,
    boxes_of,
    check_apart,
    check_inside,
    covered,
    filled,
    handles,
    information,
    labels,
    ringed,
    texts_of,
)
from tests.support.panel import SETTINGS
from ui.export import answer_map, figure_style
from ui.export.answer_map import colour
from ui.export.figure import pixels
from ui.export.figure_files import FORMATS, written
from ui.export.method_grid import methods
from ui.export.page_layout import Panel, lay_out
from ui.page.save_figure import NO_NUMBER, NOTHING, saved
from ui.page.sweeps import SweepHandlers
from ui.views import palette

SVG = "{http://www.w3.org/2000/svg}"
MADE = {"date": "2026-11-26T20:00:00+00:00", "torch": "2.13.0"}
LETTERS = ("sans", 7, False, False)  # font, size, outlines, caption
RAN = {"model": "crop-tiny", "device": "cuda:0", "dtype": "bfloat16", "made": MADE}


class Recorded(FakeEngine):
    """Tells where it was asked."""

    def stream(self, request):
        for each in super().stream(request):
            yield replace(each, **RAN) if hasattr(each, "text") else each


@pytest.fixture(scope="module")
def exports(tmp_path_factory):
    """Those of all three views, asked about a wide image."""
    path = tmp_path_factory.mktemp("exports") / "scene.png"
    sample_image(480, 320).save(path)
    many, wide = SweepHandlers(Recorded()), (*SETTINGS[:9], "drawn", 2, 1, 4, 3)
    names = ["crop", "random", "ilp", "divprune"]
    streams = (
        many.methods(str(path), "what?", names, *wide),
        many.budgets(str(path), "what?", names, *wide),
        many.places(str(path), "what?", *wide),
    )
    last = [list(stream)[-1][-3] for stream in streams]
    return {export.name: export for export in last}


@pytest.mark.parametrize("name", ["methods", "budget", "places"])
def test_facts_are_in_every_format(exports, name):
    drawing = exports[name].figure(8.5)
    root = ET.fromstring(written(drawing, "SVG"))
    facts = json.loads(root.findtext(f"{SVG}metadata"))
    assert (facts["figure"], facts["question"], facts["baseline answer"]) == (name, "what?", "rabbit")
    assert (facts["model"], facts["device"], facts["dtype"]) == ("crop-tiny", "cuda:0", "bfloat16")
    assert (facts["date"], facts["versions"], facts["visual tokens"]) == (MADE["date"], "torch 2.13.0", "576")
    with Image.open(io.BytesIO(written(drawing, "PNG"))) as image:
        assert {key: image.info[key] for key in facts} == facts
        assert image.size[0] == round(8.5 / 2.54 * 300)
    subject = information(written(drawing, "PDF"), "Subject")
    assert all(f"{key}: {text}" in subject for key, text in facts.items())


def test_facts_tell_what_was_asked_of_the_methods(exports):
    facts = exports["methods"].facts
    assert (facts["methods"], facts["budget"], facts["seed"]) == ("crop, random, ilp, divprune", "33.3 %", "0")
    assert (facts["answer with CROP"], facts["answer with Random"]) == ("rabbit", "turtle")
    assert facts["region"] == "columns 2-4, rows 1-3 of 8x8, drawn", "once, though several read it"
    facts = exports["budget"].facts
    assert facts["flips"] == "Random at 116.8"
    assert facts["budgets"].startswith("CROP 116.8, 116.8,")
    assert exports["places"].facts["region"] == "3x3 cells, slid over 8x8"
    assert "seed" not in exports["places"].facts, "nothing was drawn by lot"


@pytest.mark.parametrize("width", [3, 8.5, 17.5, 40])
def test_every_figure_stays_on_its_page_in_letters_that_can_be_read(exports, width):
    for export in exports.values():
        check_inside(export.figure(width))


def photos(shown):
    """The boxes (left, top, right, bottom) in points of all photos, row by row."""
    height = shown.get_figheight()
    parts = [axes.get_position() for axes in shown.axes if axes.images]
    inches = [(box.x0 * shown.get_figwidth(), (1 - box.y1) * height, box.x1, (1 - box.y0) * height) for box in parts]
    return [(x0 * 72, y0 * 72, x1 * shown.get_figwidth() * 72, y1 * 72) for x0, y0, x1, y1 in inches]


def test_a_panel_a_method_with_its_name_answer_and_probability(exports):
    shown = exports["methods"].figure(17.5)
    assert len(photos(shown)) == 5
    bold = [text.get_text() for text in shown.texts if text.get_fontweight() == "bold"]
    assert bold == ["What each method keeps (budget: 33.3 %)", "Baseline", "CROP", "Random", "ILP", "DivPrune"]
    below = texts_of(shown)
    assert below.count("“rabbit”") == 4 and below.count("× “turtle”") == 1
    assert "20.0 %, 116.8" in below and "99.0 %, 576" in below


def grid(how, photo, centimetres=8.5):
    """A figure of panels, one a way."""
    return lay_out([Panel("", lambda *place: methods(np.asarray(photo), how, *place))], centimetres, "", {})


@pytest.mark.parametrize(("count", "rows"), [(1, [1]), (3, [3]), (5, [3, 2]), (7, [3, 3, 1]), (8, [3, 3, 2])])
def test_panels_stand_in_rows_that_do_not_meet(count, rows):
    how = [run_result(f"way {k}", text="a very long answer " * k) for k in range(count)]
    shown = grid(how, sample_image(200, 300))
    boxes = photos(shown)
    tops = sorted({round(box[1], 3) for box in boxes})
    assert [sum(round(box[1], 3) == top for box in boxes) for top in tops] == rows
    assert max(box[2] for box in boxes) <= shown.get_figwidth() * 72 - 4 + 1e-6
    for one, other in pairwise(boxes):
        assert one[2] < other[0] or one[3] + 3 * 8.5 < other[1], "room for three lines"
    check_inside(shown)
    heights = shown.get_figheight() * 72
    words = [text for text in shown.texts if text.get_fontweight() != "bold"]
    for text in words:
        box = text.get_window_extent()
        left, top, bottom = (
            box.x0 * 72 / shown.dpi,
            heights - box.y1 * 72 / shown.dpi,
            heights - box.y0 * 72 / shown.dpi,
        )
        assert not any(x0 <= left < x1 and y0 < bottom and top < y1 for x0, y0, x1, y1 in boxes), text


def test_the_earlier_a_token_is_gone_the_paler_it_is():
    how = trace(Region(2, 1, 4, 3, 336, 336, "predicted"), plc=False)
    shown = grid([run_result(trace=how)], sample_image())
    veils = filled(shown.axes[0], palette.VEIL)
    died = sorted(set(how.died_at.tolist()) - {how.layers})
    assert len(veils) == len(died) == 2
    for veil, layer in zip(veils, died, strict=True):
        assert area(boxes_of(veil)) == pytest.approx(14**2 * (how.died_at == layer).sum())
    assert veils[0].get_alpha() > veils[1].get_alpha()
    assert labels(shown) == [
        "read in every layer",
        "pruned: the earlier, the paler",
        "region (predicted)",
    ]


def test_the_paints_of_the_panels_can_be_told_apart_in_grey():
    how = ringed(5)
    shown = grid([run_result(trace=replace(how, ring=how.ring - 1))], sample_image())
    pooled = [label for label in labels(shown) if label.startswith("pooled")]
    assert pooled[:2] == ["pooled, in no ring", "pooled, ring 1"]
    check_apart([each for each, label in zip(handles(shown), labels(shown), strict=True) if label in pooled])


def relative(hex_):
    """WCAG's relative luminance."""
    parts = np.array([int(hex_[k : k + 2], 16) for k in (1, 3, 5)]) / 255
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    return float(np.array([0.2126, 0.7152, 0.0722]) @ linear)


def test_the_colours_of_the_map_rise_in_lightness_from_one_published_end_to_the_other():
    assert (colour(0), colour(1)) == ("#00224e", "#fee838")  # Cividis
    assert colour(-1) == colour(0) and colour(2) == colour(1)
    light = [relative(colour(k / 50)) for k in range(51)]
    assert all(np.diff(light) > 0)


def drawn_map(cells, centimetres=12.0, size=(320, 160)):
    """The figure, and the cells' colours, values and corners."""
    how = trace(Region.whole(*size), False, ())
    content = ("dog", cells, how, np.asarray(sample_image(*size)))
    shown = lay_out([Panel("", lambda *place: answer_map.places(*content, *place))], centimetres, "", {})
    return shown, shown.axes[0].collections[0]


def test_each_cell_has_its_place_its_colour_and_its_number():
    cells = np.full((8, 8), np.nan)
    cells[1, 3], cells[7, 7] = 0.25, 1.0
    shown, mesh = drawn_map(cells)
    values = np.ma.filled(mesh.get_array(), np.nan)
    assert np.array_equal(values, cells, equal_nan=True)
    corners = mesh.get_coordinates()
    assert [corners[1, 3].tolist(), corners[2, 4].tolist()] == [[120, 20], [160, 40]]
    assert [corners[7, 7].tolist(), corners[8, 8].tolist()] == [[280, 140], [320, 160]]
    assert [to_hex(mesh.to_rgba(value)) for value in (0.25, 1)] == [colour(0.25), colour(1)]
    assert mesh.get_alpha() == answer_map.OPAQUE
    numbers = {text.get_text(): text.get_position() for text in shown.axes[0].texts}
    assert numbers == {"25": (140, 30), "100": (300, 150)}
    assert [label.get_text() for label in shown.axes[1].get_xticklabels()] == ["0 %", "50 %", "100 %"]
    assert texts_of(shown) == ["probability of “dog”"]
    assert not drawn_map(cells, 3.5)[0].axes[0].texts, "no numbers in narrow cells"


def test_numbers_of_the_map_can_be_read_on_their_colour():
    for k in [*range(0, 101, 5), 46, 47, 48]:
        cells = np.full((8, 8), np.nan)
        cells[0, 0] = k / 100
        shown, _ = drawn_map(cells)
        (number,) = shown.axes[0].texts
        pad = relative(to_hex(number.get_bbox_patch().get_facecolor()))
        assert pad == relative(colour(k / 100))
        low, high = sorted((relative(number.get_color()), pad))
        assert (high + 0.05) / (low + 0.05) >= 4.5, k


def test_the_colour_bar_runs_through_all_colours_from_left_to_right():
    shown, _ = drawn_map(np.full((8, 8), np.nan))
    (bar,) = shown.axes[1].collections
    assert bar.get_array().ravel().tolist() == [(k + 0.5) / 64 for k in range(64)]
    assert [to_hex(bar.to_rgba(value)) for value in (0.5 / 64, 63.5 / 64)] == [colour(0.5 / 64), colour(63.5 / 64)]
    assert bar.get_coordinates()[0, :, 0].tolist() == pytest.approx(list(np.arange(65) / 64))
    photo, own = shown.axes[0].get_position(), shown.axes[1].get_position()
    assert (own.x0, own.x1) == pytest.approx((photo.x0, photo.x1)) and own.y1 < photo.y0


def test_in_the_png_a_cell_is_its_colour_over_the_grey_photo():
    cells = np.full((8, 8), np.nan)
    cells[4, 4] = 0.8
    shown, _ = drawn_map(cells, size=(336, 336))
    plain = pixels(sample_image())
    image = np.asarray(Image.open(io.BytesIO(written(shown, "PNG", 200))))[..., :3]

    def at(x, y):
        """The colour at a pixel of the photo."""
        across, up = shown.transFigure.inverted().transform(shown.axes[0].transData.transform((x, y)))
        return image[int((1 - up) * image.shape[0]), int(across * image.shape[1])]

    at_corner = 4 * 42 + 4  # a corner of the cell, where its number is not
    grey = np.array([0.299, 0.587, 0.114]) @ plain[at_corner, at_corner]
    shade = np.array([int(colour(0.8)[k : k + 2], 16) for k in (1, 3, 5)])
    assert np.allclose(at(at_corner, at_corner), 0.7 * shade + 0.3 * grey, atol=3)
    assert np.ptp(at(at_corner, at_corner - 42).astype(int)) <= 2, "a cell that was not asked is grey"


def test_what_is_kept_for_a_figure_is_small(exports):
    assert len(pickle.dumps(exports["budget"])) < 10_000, "no trace"
    assert len(pickle.dumps(exports["places"])) < 480 * 320 * 3 + 100_000, "the photo and one trace"


@pytest.mark.parametrize("kind", FORMATS)
def test_the_fold_gives_the_file_that_was_chosen(exports, kind):
    button, table, latex, note, caption = saved(exports["budget"], True, kind, 8.5, *LETTERS)
    assert 'src="data:image/png;base64,' in note and button.interactive
    assert button.label == f"Figure ({kind}, 8.5 cm)"
    assert button.value["path"].endswith(f"crop-explorer-budget.{kind.lower()}")
    assert table.value["path"].endswith("crop-explorer-budget.csv") and not latex.interactive
    assert caption.startswith("Probability of the answer ``rabbit'' that crop-tiny gives to ``what?''")


@pytest.mark.parametrize(
    ("kind", "width", "sentence"),
    [
        ("PNG", 1, "A figure of 1 cm cannot be drawn; give a width from 3 to 40 cm."),
        ("SVG", float("nan"), "give a width from 3 to 40 cm."),
        ("SVG", 1e300, "give a width from 3 to 40 cm."),
        ("PDF", None, NO_NUMBER),
        ("PDF", "wide", NO_NUMBER),
        ("PDF", [8], NO_NUMBER),
        ("GIF", 8.5, "The format &#39;GIF&#39; is not known; choose PNG, SVG, PDF."),
        ({}, 8.5, "The format {} is not known"),
    ],
)
def test_options_that_cannot_be_are_one_sentence(exports, kind, width, sentence):
    button, *_, note, _ = saved(exports["budget"], True, kind, width, *LETTERS)
    assert (button.interactive, button.label) == (False, "Figure"), "no label of another figure"
    assert sentence in note and note.count("<p") == 1


def test_nothing_is_made_while_nobody_looks_or_of_nothing():
    assert saved(None, True, "PNG", 8.5, *LETTERS)[3].count(NOTHING) == 1
    *buttons, note, caption = saved(gr.State, False, "PNG", 8.5, *LETTERS)  # type: ignore[arg-type]
    assert ([button.interactive for button in buttons], note, caption) == ([False] * 3, "", "")


def test_a_map_frames_the_region_in_its_own_place():
    how, photo = trace(Region(1, 2, 3, 4, 320, 320)), np.asarray(sample_image(320, 320))
    content = ("dog", np.full((8, 8), 0.5), how, photo)
    shown = lay_out([Panel("", lambda *place: answer_map.places(*content, *place))], 12, "", {})
    _, frame = shown.axes[0].patches
    assert np.allclose(frame.get_bbox().extents, [40, 80, 160, 200], atol=2)


def test_hidden_parts_are_hatched_in_a_map_and_the_whole_image_has_no_frame():
    how, photo = trace(Region.whole(640, 320)), np.asarray(sample_image(640, 320))
    content = ("dog", np.full((8, 8), 0.5), how, photo)
    shown = lay_out([Panel("", lambda *place: answer_map.places(*content, *place))], 12, "", {})
    (hidden,) = filled(shown.axes[0], "#f8fafc")
    assert boxes_of(hidden).tolist() == [[0, 0, 160, 320], [480, 0, 640, 320]]
    assert [patch.get_hatch() for patch in shown.axes[0].patches if patch.get_hatch()] == [figure_style.RISING]
    assert len(shown.axes[0].patches) == 2, "no frame"
    assert covered(shown.axes[0], palette.REGION) == 0
    assert labels(shown) == ["not seen by the model"]
