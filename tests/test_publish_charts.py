"""Bars, curves, marks and axes of figures: where they lie is compared with the numbers that they show."""

import base64
import io
import re
import zlib
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image

from tests.support.fake_records import comparison, cost, picture, told
from tests.support.figures import luminance
from ui import palette
from ui.figures import STAGE_NAMES
from ui.publish import bars
from ui.publish.axes import Axes, nice
from ui.publish.budgets import Point, budgets, curves, flip
from ui.publish.figure import Wanted, figure
from ui.publish.keys import DASHES, MARKS, Pen
from ui.publish.pdf import pdf
from ui.publish.png import png
from ui.publish.shapes import Area, Drawing, Faces, Lines, Words, hatch, stroked
from ui.publish.svg import svg


def areas(shapes, colour):
    return [shape.boxes[0] for shape in shapes if isinstance(shape, Area) and shape.colour == colour]


def words(shapes):
    return [shape.text for shape in shapes if isinstance(shape, Words)]


def test_bars_are_as_long_as_the_stages_take_and_stand_end_to_end():
    run = comparison()
    shapes, _, _ = bars.times(run, 0, 0, 8 + 160 * 2 + 16)  # two points a millisecond: the axis ends at 160
    for place, took in enumerate((run.baseline.cost, run.crop.cost)):
        at = 8.0
        for stage in STAGE_NAMES:
            milliseconds = 1000 * getattr(took, stage)
            found = areas(shapes, palette.STAGES[stage])
            if milliseconds == 0:
                assert len(found) == 1, "only CROP has it"
                continue
            box = found[place] if len(found) == 2 else found[0]
            assert (box[0], box[2]) == pytest.approx((at, at + 2 * milliseconds))
            at = box[2]
    assert words(shapes)[-2:] == ["every token: 147.0 ms", "CROP: 101.3 ms"]
    assert areas(shapes, palette.STAGES["prefill_s"])[0][3] < areas(shapes, palette.STAGES["prefill_s"])[1][1]


def test_the_legend_of_the_bars_has_the_milliseconds_and_no_stage_that_neither_run_has():
    run = comparison(method="random", crop=comparison().baseline)
    _, keys, _ = bars.times(run, 0, 0, 300)
    assert [key.label for key in keys] == [
        "image encoder: 30.0 / 30.0 ms",
        "prefill: 101.0 / 101.0 ms",
        "decode: 16.0 / 16.0 ms",
    ]


def test_stages_can_be_told_apart_in_grey():
    _, keys, _ = bars.times(comparison(), 0, 0, 300)
    assert len(keys) == len(STAGE_NAMES) == 6
    for at, one in enumerate(keys):
        for other in keys[:at]:
            assert one.pattern != other.pattern or abs(luminance(one) - luminance(other)) > 15, (one, other)


@pytest.mark.parametrize("scale", [1e-300, 1e-9, 1e9])
def test_bars_of_any_time_stay_on_the_page(scale):
    run = comparison()
    run = replace(run, crop=replace(run.crop, cost=cost(True, scale)))
    drawing = figure([picture()], run, Wanted("times", 8.5))
    assert all(area.boxes[:, 2].max() <= drawing.width for area in drawing.shapes if isinstance(area, Area))
    assert len(svg(drawing)) > 1000


POINTS = [
    Point("every token", 512, 1.0, True, 16),
    Point("CROP", 64, 0.25, False, 2),
    Point("CROP", 256, 0.75, True, 8),
    Point("CROP", 128, 0.5, False, 4),
    Point("Random", 64, 0.5, True, 2),
]


def test_a_curve_goes_by_rising_tokens_to_every_token_and_flips_at_the_most_with_another_answer():
    found = curves(POINTS)
    assert {name: [point.tokens for point in curve] for name, curve in found.items()} == {
        "CROP": [64, 128, 256, 512],
        "Random": [64, 512],
    }
    assert flip(found["CROP"]).tokens == 128
    assert flip(found["Random"]) is None
    shown = Point.of(told("CROP", localizer_flops=2 * 10**9, chance=0.4))
    assert (shown.work, shown.chance, shown.tokens) == (5.0, 0.4, told().trace.mean_tokens)


def marks(shapes, colour):
    """Centres of the marks, and of the crosses, in this colour."""
    faces = [shape.corners for shape in shapes if isinstance(shape, Faces) and shape.colour == colour]
    lines = [shape.segments for shape in shapes if isinstance(shape, Lines) and shape.colour == colour]
    crosses = [each for each in lines if len(each) and np.allclose(np.ptp(each, axis=1), 2 * 0.85 * 2.6)]
    centres = [(face.max(axis=1) + face.min(axis=1)) / 2 for face in faces]
    return centres, [each[::2].mean(axis=1) for each in crosses]


def test_curves_run_through_the_probabilities_and_the_work():
    shapes, pens, height = budgets("dog", POINTS, 10, 20, 300)
    assert [pen.label for pen in pens] == ["CROP: flips at 128", "Random: never flips"]
    (same, _), (other,) = marks(shapes, palette.method_colour(0))
    left, right = other[:, 0]
    assert same[:, 0] == pytest.approx([left + 2 * (right - left), left + 3 * (right - left)]), "doubled, not added"
    low, high = other[0, 1], same[1, 1]
    assert [*other[:, 1], *same[:, 1]] == pytest.approx([low, low + (high - low) / 3, low + 2 * (high - low) / 3, high])
    (drop,) = (
        shape.segments[0]
        for shape in shapes
        if isinstance(shape, Lines) and shape.colour == palette.method_colour(0) and shape.width == 0.5
    )
    assert drop[0] == pytest.approx(other[1]) and drop[1, 0] == drop[0, 0] and drop[1, 1] > drop[0, 1]
    assert {"64", "128", "256", "512"} <= {*words(shapes)}
    assert "probability of “dog”" in words(shapes)
    assert max(shape.y for shape in shapes if isinstance(shape, Words)) <= 20 + height


def test_work_is_drawn_on_its_own_axis():
    shapes, _, _ = budgets("dog", POINTS, 0, 0, 300)
    (_, work), _ = marks(shapes, palette.method_colour(0))
    heights = work[:, 1]  # of 2, 4, 8 and 16 GFLOP
    step = (heights[0] - heights[3]) / 14
    assert heights == pytest.approx([heights[0], heights[0] - 2 * step, heights[0] - 6 * step, heights[3]])


def test_pens_differ_in_dash_from_their_neighbours_and_all_in_dash_or_mark():
    looks = [(place % len(DASHES), place % len(MARKS)) for place in range(19)]
    assert len(set(looks)) == 19
    assert all(one[0] != other[0] for one, other in pairwise(looks))
    lines = [Pen("", "#000000", place).line(np.array([(0.0, 0.0), (100.0, 0.0)])) for place in range(len(DASHES))]
    inked = [float(np.ptp(line.segments[:, :, 0], axis=1).sum()) for line in lines]
    assert inked[0] == 100 and len({round(each, 1) for each in inked}) == len(DASHES)


def test_a_dash_runs_on_round_a_corner():
    bent = np.array([(0.0, 0.0), (3.0, 0.0), (3.0, 4.0)])
    assert stroked(bent, (2, 1)).tolist() == [[[0, 0], [2, 0]], [[3, 0], [3, 2]], [[3, 3], [3, 4]]]
    assert stroked(bent, (4, 9)).tolist() == [[[0, 0], [3, 0]], [[3, 0], [3, 1]]], "a dash in two pieces"
    assert stroked(bent, ()).tolist() == [[[0, 0], [3, 0]], [[3, 0], [3, 4]]]


def test_lying_lines_hatch_a_box():
    assert hatch(np.array([[0.0, 1.0, 5.0, 7.0]]), "-", 3).tolist() == [[[0, 3], [5, 3]], [[0, 6], [5, 6]]]


def test_polygons_are_filled_in_every_format():
    triangle = np.array([[(10.0, 10.0), (30.0, 10.0), (10.0, 30.0)]])
    drawing = Drawing(40, 40, [Faces(triangle, "#ff0000")])
    assert b'<path fill="#ff0000" fill-opacity="1" d="M10 10L30 10L10 30Z"/>' in svg(drawing)
    image = Image.open(io.BytesIO(png(drawing, 72)))
    assert [image.getpixel(at) for at in ((12, 12), (8, 12), (28, 28))] == [(255, 0, 0), (255,) * 3, (255,) * 3]
    stream = re.search(rb"stream\r?\n(.*?)~>\s*endstream", pdf(drawing), re.DOTALL).group(1)
    assert b"1 0 0 rg" in (page := zlib.decompress(base64.a85decode(stream)))
    assert b"n 10 30 m 30 30 l 10 10 l h f" in page.replace(b"\n", b" ")


@pytest.mark.parametrize(("most", "round_"), [(147, 160), (576, 600), (0.03, 0.032), (10, 10), (0, 1), (-3, 1)])
def test_an_axis_ends_at_a_round_number(most, round_):
    assert nice(most) == pytest.approx(round_)


def test_axes_place_their_ends_at_the_ends():
    axes = Axes.within(0, 0, 138, 132, (0, 10), (0, 4))
    assert axes.points(np.array([0.0, 5.0, 10.0]), np.array([0.0, 1.0, 4.0])).tolist() == [
        [34, 106],
        [84, 81],
        [134, 6],
    ]
