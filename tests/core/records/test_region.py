"""Regions: pixels to cells and back, token masks, and boxes that are none."""

import json
import math

import numpy as np
import pytest

from crop_core.records.region import GRID, Region, RegionError

SIZES = [(800, 600), (1, 1), (7, 1000), (333, 101), (20000, 10)]


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_every_region_s_box_gives_the_region_back(width, height):
    for x0 in range(GRID):
        for x1 in range(x0, GRID):
            region = Region(x0, 7 - x1, x1, 7 - x0, width, height)
            assert Region.from_box(region.box, width, height) == region


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_a_box_gets_the_fewest_cells_that_cover_it(width, height):
    rng = np.random.default_rng(width)
    for _ in range(200):
        left, right = np.sort(rng.random(2)) * width
        top, bottom = np.sort(rng.random(2)) * height
        region = Region.from_box((left, top, right, bottom), width, height)
        box = region.box
        assert box[0] <= left + 1e-6 and box[1] <= top + 1e-6 and box[2] >= right - 1e-6 and box[3] >= bottom - 1e-6
        across, down = width / GRID, height / GRID
        assert box[0] + across > left and box[2] - across < right, "a column less would not cover it"
        assert box[1] + down > top and box[3] - down < bottom, "a row less would not cover it"


def test_the_known_case_by_hand():
    region = Region.from_box((100, 150, 301, 449.5), 800, 600, "predicted", 0.5)
    assert region.grid == (1, 2, 3, 5)
    assert region.box == (100, 150, 400, 450)
    assert (region.source, region.confidence) == ("predicted", 0.5)


@pytest.mark.parametrize(
    ("box", "message"),
    [
        ((10, 10, 5, 20), "upside down"),
        ((10, 20, 20, 10), "upside down"),
        ((10, 10, 10, 20), "empty"),
        ((-1, 0, 5, 5), "outside the image, which is 100 pixels wide and 50 high"),
        ((0, 0, 101, 5), "outside"),
        ((0, 0, 5, 51), "outside"),
        ((200, 200, 300, 300), "outside"),
        ((0, 0, math.nan, 5), "four numbers"),
        ((0, 0, math.inf, 5), "four numbers"),
        ((1, 2, 3), "four numbers"),
        (("a", 0, 1, 1), "four numbers"),
        (None, "four numbers"),
    ],
)
def test_what_is_no_box_in_the_image_is_refused(box, message):
    with pytest.raises(RegionError, match=message):
        Region.from_box(box, 100, 50)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ((3, 0, 2, 7, 10, 10), r"\[3, 0, 2, 7\] is reversed: .* such as \[2, 0, 3, 7\]"),
        ((5, 5, 2, 2, 10, 10), r"\[5, 5, 2, 2\] is reversed: .* such as \[2, 2, 5, 5\]"),
        ((9, 0, 2, 7, 10, 10), "not on the grid"),
        ((0, 0, 8, 7, 10, 10), "0 to 7"),
        ((-1, 0, 7, 7, 10, 10), "0 to 7"),
        ((0, 0, 7, 7, 0, 10), "at least 1x1"),
        ((0, 0, 7, 7, 10, 10, "guessed"), "not one of"),
        ((0, 0, 7, 7, 10, 10, "predicted", 1.5), "between 0 and 1"),
        ((0, 0, 7, 7, 10, 10, "predicted", math.nan), "between 0 and 1"),
    ],
)
def test_impossible_regions_are_refused(values, message):
    with pytest.raises(RegionError, match=message):
        Region(*values)


def test_a_token_is_inside_by_its_centre_and_neighbouring_regions_share_none():
    boxes = np.array([[0, 0, 10, 10], [5, 5, 15, 15], [-8, 0, 4, 8], [np.nan] * 4, [70, 70, 80, 80]])
    left, right = Region(0, 0, 0, 7, 80, 80), Region(1, 0, 7, 7, 80, 80)
    assert left.mask(boxes).tolist() == [True, False, False, False, False]
    assert right.mask(boxes).tolist() == [False, True, False, False, True]


def test_the_whole_image():
    region = Region.whole(30, 20)
    assert region.box == (0, 0, 30, 20)
    assert region.is_whole and region.source == "whole" and region.confidence is None


def test_json_round_trip_and_shape():
    region = Region(1, 2, 3, 4, 80, 160, "predicted", 0.25)
    data = json.loads(json.dumps(region.to_json()))
    assert data["grid"] == [1, 2, 3, 4]
    assert data["box"] == [10, 40, 40, 100]
    assert Region.from_json(data) == region


def test_a_grid_of_five_numbers_is_refused():
    data = Region(1, 1, 2, 2, 80, 80).to_json()
    data["grid"].append(3)
    with pytest.raises(RegionError, match="more than four numbers"):
        Region.from_json(data)
