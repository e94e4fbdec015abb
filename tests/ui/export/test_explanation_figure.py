"""The figure of how a region came about: items and map where they belong, and what it says without them."""

from dataclasses import replace

import pytest
from matplotlib.patches import Polygon

from tests.support.fake_records import comparison, explanation
from tests.support.figures import check_inside, drawn


def test_how_the_region_came_about_is_drawn_with_its_items_and_map():
    told = replace(comparison().trace, explanation=explanation())
    shown = drawn("explanation", trace=told)
    outlines = [each.get_xy() for axes in shown.axes for each in axes.patches if isinstance(each, Polygon)]
    assert [each[0].tolist() for each in outlines] == [[90, 60], [220, 240]]
    (heat,) = [each for axes in shown.axes for each in axes.images if each.get_array().shape == (8, 8, 4)]
    assert heat.get_array()[2, 3, 3] == pytest.approx(0.8) and heat.get_array()[0, 0, 3] == 0
    texts = " ".join(each.get_text() for each in shown.texts).replace("\n", " ")
    assert "2 lines of text read" in texts and "“EXIT” (97.0 %), on red" in texts
    labels = {each.get_text() for legend in shown.legends for each in legend.get_texts()}
    assert {"chosen: 1", "not chosen: 1", "probability"} <= labels
    check_inside(shown)
    given = " ".join(each.get_text() for each in drawn("explanation").texts).replace("\n", " ")
    assert "Not recorded: the region was given, or the run is of an earlier version." in given
