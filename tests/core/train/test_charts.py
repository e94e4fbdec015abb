from __future__ import annotations

import itertools
import random

import pytest

from crop_core.train.world.charts import make_chart, word_stamp
from crop_core.train.world.price_lists import make_price_list
from crop_core.train.world.vocabulary import COLORS, EMOJI, GOODS, Box, Scene

SEEDS = range(60)
MAKERS = (make_chart, make_price_list)


def _scenes(make, outlined: bool = False) -> list[Scene]:
    return [make(random.Random(seed), "noto", outlined) for seed in SEEDS]


def _within(inner: Box, outer: Box) -> bool:
    return (
        outer[0] <= inner[0] < inner[2] <= outer[2]
        and outer[1] <= inner[1] < inner[3] <= outer[3]
        and all(type(edge) is int for edge in inner)
    )


def _apart(a: Box, b: Box) -> bool:
    return a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1]


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("outlined", [False, True])
def test_same_seed_same_image(make, outlined):
    one, other = (make(random.Random(5), "noto", outlined) for _ in range(2))
    assert one.objects == other.objects
    assert one.image.tobytes() == other.image.tobytes()


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("outlined", [False, True])
def test_records_fit_the_image(make, outlined):
    for scene in _scenes(make, outlined):
        width, height = scene.image.size
        assert max(width, height) == 336
        assert min(width, height) >= 224
        assert scene.background is None
        assert len({thing.name for thing in scene.objects}) == len(scene.objects)
        assert len({thing.text for thing in scene.objects}) == len(scene.objects)
        assert [(thing.row, thing.column) for thing in scene.objects] == [
            (row, column) for row in range(scene.rows) for column in range(scene.columns)
        ]
        for thing in scene.objects:
            assert _within(thing.box, (0, 0, width, height))
            boxes = [mark.box for mark in thing.marks]
            assert all(_within(box, thing.box) for box in boxes)
            assert all(_apart(a, b) for i, a in enumerate(boxes) for b in boxes[:i])
        all_boxes = [thing.box for thing in scene.objects]
        assert all(_apart(a, b) for i, a in enumerate(all_boxes) for b in all_boxes[:i])


@pytest.mark.parametrize("make", MAKERS)
def test_lettering_is_large_enough(make):
    for scene in _scenes(make):
        for thing in scene.objects:
            for mark in thing.marks:
                if mark.text is not None:
                    assert mark.box[3] - mark.box[1] >= 15


def test_a_word_is_stamped_tightly():
    for word in GOODS:
        image = word_stamp(word, 24, True, (0, 0, 0)).image
        left, top, right, bottom = image.getchannel("A").getbbox()
        assert (left, top, right, bottom) == (0, 0, *image.size)


@pytest.mark.parametrize("outlined", [False, True])
def test_bars_are_as_long_as_their_values(outlined):
    for scene in _scenes(make_chart, outlined):
        assert scene.setting == "chart"
        assert 3 <= len(scene.objects) <= 5
        assert len({thing.color for thing in scene.objects}) == len(scene.objects)
        lying = scene.columns == 1
        lengths = []
        for thing in scene.objects:
            bar, label, value = thing.marks
            assert (thing.kind, bar.category, bar.color, value.text) == ("bar", "bar", thing.color, thing.text)
            assert (label.category or label.text) == thing.name
            length = bar.box[2] - bar.box[0] if lying else bar.box[3] - bar.box[1]
            lengths.append((int(thing.text), length))
        value, length = max(lengths)
        unit = length / value
        assert all(abs(length - unit * value) <= 1.1 for value, length in lengths)


def test_a_filled_bar_shows_its_colour_and_a_hollow_one_has_a_border_of_it():
    for outlined in (False, True):
        for scene in _scenes(make_chart, outlined):
            for thing in scene.objects:
                left, top, right, bottom = thing.marks[0].box
                center = scene.image.getpixel(((left + right) // 2, (top + bottom) // 2))
                assert (center == COLORS[thing.color]) is not outlined
                if outlined:
                    assert scene.image.getpixel((left + 1, (top + bottom) // 2)) == COLORS[thing.color]


def test_rows_hold_an_item_and_a_price():
    kinds = set()
    for scene in _scenes(make_price_list):
        assert scene.setting == "list"
        assert 3 <= len(scene.objects) <= 6
        middles = []
        for thing in scene.objects:
            item, price = thing.marks
            assert (thing.kind, thing.color, price.text) == ("row", None, thing.text)
            assert 1 <= int(price.text) <= 20
            assert (item.category or item.text) == thing.name
            assert item.box[2] < price.box[0]
            kinds.add("icon" if item.category in EMOJI else "word")
            middles.append((price.box[1] + price.box[3]) / 2)
        assert all(b - a >= 42 for a, b in itertools.pairwise(middles))
    assert kinds == {"icon", "word"}
