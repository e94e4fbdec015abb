"""Bars, curves, marks and axes of figures: where they lie is compared with the numbers that they show."""

import io
import re
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from PIL import Image

from tests.support.fake_records import comparison, cost, measured, run_result, sample_image
from tests.support.figures import check_apart, check_inside, handles, labels, streams, texts_of
from ui.export.curves import budgets
from ui.export.figure import FigureOptions, figure
from ui.export.figure_files import written
from ui.export.figure_style import DASHES, MARKS, area, pen, style
from ui.export.page_layout import Page, Panel, lay_out, nice, quarters
from ui.views import palette
from ui.views.chart_data import GAP, STAGE_NAMES, Point, curves, flip
from ui.views.figures import time_split


def times(run, width=12):
    return figure([sample_image()], run, FigureOptions("times", width))


def bars(shown):
    """(stage, left, right, top) of every bar, in milliseconds and in points from the top."""
    rows = [patch for patch in shown.axes[0].patches if isinstance(patch, Rectangle)]
    names = {palette.STAGES[stage]: name for stage, name in STAGE_NAMES.items()}
    return [
        (names[to_hex(bar.get_edgecolor())], bar.get_x(), bar.get_x() + bar.get_width(), bar.get_y()) for bar in rows
    ]


def test_bars_are_as_long_as_the_stages_take_and_stand_end_to_end():
    run = comparison()
    shown = times(run)
    axes = shown.axes[0]
    assert axes.get_xlim() == pytest.approx((0, 160))
    tops = sorted({top for *_, top in bars(shown)})
    for top, took in zip(tops, (run.baseline.cost, run.crop.cost), strict=True):
        at = 0.0
        mine = {stage: (left, right) for stage, left, right, other in bars(shown) if other == top}
        for stage, name in STAGE_NAMES.items():
            milliseconds = 1000 * getattr(took, stage)
            if milliseconds == 0:
                assert name not in mine, "only CROP has it"
                continue
            assert mine[name] == pytest.approx((at, at + milliseconds))
            at = mine[name][1]
    assert texts_of(axes) == ["Baseline: 147.0 ms", "CROP: 101.3 ms"]
    assert axes.transData.transform((0, tops[0]))[1] > axes.transData.transform((0, tops[1]))[1]
    colours = {to_hex(bar.get_edgecolor()) for bar in axes.patches}
    assert colours == set(palette.STAGES.values())


def test_a_whisker_spans_the_range_of_the_total_once_it_is_measured():
    assert times(comparison()).axes[0].lines[:] == []
    run = comparison().measured(measured())
    shown = times(run)
    lines = [line.get_xdata().tolist() for line in shown.axes[0].lines]
    for answer, (low, high) in zip((run.baseline, run.crop), lines, strict=True):
        spread = answer.cost.ranges["total_s"]
        assert (low, high) == (1000 * spread.low, 1000 * spread.high)
        assert low < 1000 * answer.cost.total_s < high
    assert any("the range of the totals of 5 runs each" in text for text in texts_of(shown))
    check_inside(shown)
    on_page = time_split(run).data[-1]
    assert on_page.error_x.array == pytest.approx([high - x for (_, high), x in zip(lines, on_page.x, strict=True)])
    assert on_page.error_x.arrayminus == pytest.approx([x - low for (low, _), x in zip(lines, on_page.x, strict=True)])


def test_the_legend_of_the_bars_has_the_milliseconds_and_no_stage_that_neither_run_has():
    shown = times(comparison(method="random", crop=comparison().baseline))
    assert labels(shown) == [
        "image encoder: 30.0 / 30.0 ms",
        "prefill: 101.0 / 101.0 ms",
        "decode: 16.0 / 16.0 ms",
    ]


def test_stages_can_be_told_apart_in_grey():
    shown = times(comparison())
    assert len(handles(shown)) == len(STAGE_NAMES) == 6
    check_apart(handles(shown))


@pytest.mark.parametrize("scale", [1e-300, 1e-9, 1e9])
def test_bars_of_any_time_stay_on_the_page(scale):
    run = comparison()
    run = replace(run, crop=replace(run.crop, cost=cost(True, scale)))
    shown = times(run, 8.5)
    assert max(right for _, _, right, _ in bars(shown)) <= shown.axes[0].get_xlim()[1]
    assert shown.axes[0].get_position().x1 <= 1
    assert len(written(shown, "SVG")) > 1000


def test_the_alive_curve_steps_where_tokens_go():
    run = comparison()
    shown = figure([sample_image()], run, FigureOptions("alive"))
    full, pruned = sorted(shown.axes[0].lines, key=lambda line: line.get_linestyle() == "-")
    alive = run.crop.trace.alive_counts
    assert pruned.get_drawstyle() == "steps-post" and pruned.get_xdata().tolist() == list(range(13))
    assert pruned.get_ydata()[:-1].tolist() == list(alive) and pruned.get_ydata()[-1] == alive[-1]
    assert list(full.get_ydata()) == [576, 576] and full.is_dashed()
    assert labels(shown) == [f"CROP: {run.crop.trace.mean_tokens:.1f} per layer", "Baseline: 576"]


POINTS = [
    Point("Baseline", 512, 1.0, True, 16),
    Point("CROP", 64, 0.25, False, 2),
    Point("CROP", 256, 0.75, True, 8),
    Point("CROP", 128, 0.5, False, 4),
    Point("Random", 64, 0.5, True, 2),
]


def test_a_curve_goes_by_rising_tokens_and_not_over_what_was_not_measured_and_flips_at_the_most_with_another_answer():
    rows = curves(POINTS)
    assert [point.tokens for point in rows["CROP"]] == [64, 128, 256, 512]
    assert [rows["Random"][0].tokens, rows["Random"][1], rows["Random"][2].tokens] == [64, GAP, 512]
    assert flip(rows["CROP"]).tokens == 128
    assert flip(rows["Random"]) is None
    shown = Point.of(run_result("CROP", localizer_flops=2 * 10**9, answer_probability=0.4))
    assert (shown.work, shown.answer_probability, shown.tokens) == (5.0, 0.4, run_result().trace.mean_tokens)


def budget(points=POINTS):
    return lay_out([Panel("", lambda *place: budgets("dog", points, *place))], 11, "", {})


def marks(axes, colour):
    """Places of the marks, and of the crosses, of the lines in this colour."""
    marked, crossed = [], []
    for line in axes.lines:
        if line.get_color() == colour:
            shown = line.get_markevery()
            places = np.array(line.get_xydata())[slice(None) if shown is None else shown]
            (crossed if line.get_marker() == "x" else marked).extend(places.tolist())
    return marked, crossed


def test_curves_run_through_the_probabilities_and_the_work():
    shown = budget()
    upper, lower = shown.axes
    assert labels(shown) == ["CROP: flips at 128", "Random: no flip"]
    same, other = marks(upper, palette.method_colour(0))
    assert same == [[256, 0.75], [512, 1.0]] and other == [[64, 0.25], [128, 0.5]]
    across = upper.transData.transform([(64, 0), (128, 0), (256, 0), (512, 0)])[:, 0]
    assert np.diff(across) == pytest.approx([across[1] - across[0]] * 3), "doubled, not added"
    assert upper.lines[0].get_xydata().tolist() == [[64, 0.25], [128, 0.5], [256, 0.75], [512, 1.0]]
    (drop,) = [lines for lines in upper.collections if to_hex(lines.get_colors()[0]) == palette.method_colour(0)]
    assert drop.get_segments()[0].tolist() == [[128, 0], [128, 0.5]]
    assert {"64", "128", "256", "512"} <= {label.get_text() for label in upper.get_xticklabels()}
    assert "probability of “dog”" in texts_of(shown)
    assert lower.get_position().y1 < upper.get_position().y0


def test_work_is_drawn_on_its_own_axis():
    _, lower = budget().axes
    work, crossed = marks(lower, palette.method_colour(0))
    assert work == [[64, 2], [128, 4], [256, 8], [512, 16]] and crossed == []
    heights = lower.transData.transform(work)[:, 1]  # of 2, 4, 8 and 16 GFLOP
    step = (heights[0] - heights[3]) / 14
    assert heights == pytest.approx([heights[0], heights[0] - 2 * step, heights[0] - 6 * step, heights[3]])


def inked(place):
    """(30, 120) where a line in this pen that goes across and turns down leaves ink."""
    page = Page(120)
    axes = page.axes(0, 0, 120, 30)
    axes.set(xlim=(0, 120), ylim=(30, 0))
    axes.set_axis_off()
    look = {**pen(place), "marker": "", "color": "#000000"}
    axes.add_line(Line2D([0, 100, 100], [4, 4, 30], **look))
    with Image.open(io.BytesIO(written(_named(page.finish(30)), "PNG", 72))) as image:
        return np.asarray(image.convert("L")) < 128


def _named(shown):
    shown.facts = {}
    return shown


def test_pens_differ_in_dash_from_their_neighbours_and_all_in_dash_or_mark():
    looks = [(str(pen(place)["linestyle"]), pen(place)["marker"]) for place in range(19)]
    assert len(set(looks)) == 19
    assert all(one[0] != other[0] for one, other in pairwise(looks))
    assert len(set(MARKS)) == 5
    ink = [int(inked(place)[:, :98].any(axis=0).sum()) for place in range(len(DASHES))]
    assert ink[0] == 98 and max(ink[1:]) < 90 and len(set(ink)) >= len(DASHES) - 1


def test_a_dash_runs_on_round_a_corner():
    assert inked(0)[6:, 98:102].any(axis=1).all()
    for place in range(1, len(DASHES)):
        down = inked(place)[6:29, 98:102].any(axis=1)
        assert down.any() and not down.all()


def test_areas_are_filled_in_every_format():
    page = Page(40)
    axes = page.axes(0, 0, 40, 40)
    axes.set(xlim=(0, 40), ylim=(40, 0))
    axes.set_axis_off()
    area(axes, np.array([[10.0, 10.0, 30.0, 20.0]]), facecolor="#ff0000")
    shown = _named(page.finish(40))
    svg = re.search(rb'<path d="([^"]+)"[^>]*style="fill: #ff0000', written(shown, "SVG"))
    assert b" ".join(svg.group(1).split()) == b"M 10 10 L 30 10 L 30 20 L 10 20 z"
    image = Image.open(io.BytesIO(written(shown, "PNG", 72))).convert("RGB")
    assert [image.getpixel(at) for at in ((12, 12), (8, 12), (28, 28))] == [(255, 0, 0), (255,) * 3, (255,) * 3]
    (content,) = (each for each in streams(written(shown, "PDF")) if b"1 0 0 rg" in each)
    assert b"10 30 m 30 30 l 30 20 l 10 20 l h" in b" ".join(content.split())


@pytest.mark.parametrize(("most", "round_"), [(147, 160), (576, 600), (0.03, 0.032), (10, 10), (0, 1), (-3, 1)])
def test_an_axis_ends_at_a_round_number(most, round_):
    assert nice(most) == pytest.approx(round_)
    assert quarters(nice(most))[[0, -1]] == pytest.approx([0, round_])


def test_axes_place_their_ends_at_the_ends():
    with style():
        page = Page(138)
        axes, bottom = page.chart(0, 6, 138, 100, "across")
    axes.set(xlim=(0, 10), ylim=(0, 4))
    shown = page.finish(132)
    places = axes.transData.transform([(0, 0), (5, 1), (10, 4)]) * 72 / shown.dpi
    assert (places * [1, -1] + [0, 132]).tolist() == [
        pytest.approx([34, 106]),
        pytest.approx([84, 81]),
        pytest.approx([134, 6]),
    ]
    assert 106 < bottom < 132
