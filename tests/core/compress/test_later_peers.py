"""SCOPE, MMTok, HoloV and downsampling by hand, in corners, on grids and several views, and joined with pruners.

Counts, devices, families and literal readings of random images are in test_peers_before.py.
"""

from collections import defaultdict
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from crop_core.compress.downsample import DownsampleCompressor, windows
from crop_core.compress.holov import HoloVCompressor, handed_out
from crop_core.compress.mmtok import MmTokCompressor
from crop_core.compress.protocol import CompressionInput, saliency
from crop_core.compress.scope import ScopeCompressor, max_coverage
from crop_core.engine.engine import CropEngine
from crop_core.models.geometry import tiled_layout
from crop_core.records.config import Budget, CropConfig
from tests.support import checkpoints
from tests.support.later_peers import LATER
from tests.support.layouts import IMAGE, QUESTION, REGION, grid, groups, left, random_image, seen

NAN = float("nan")


def test_scope_weighs_new_coverage_by_attention():
    """Duplicates 0 to 2 cover three tokens, 3 and 4 themselves alone; then 0 to 2 add nothing."""
    features = [[1.0, 0, 0], [2, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 3]]
    even = seen(features, [1.0, 1, 1, 1, 1])
    assert [left(ScopeCompressor().plan(even, count)) for count in (1, 2, 3, 4)] == [
        [0], [0, 3], [0, 3, 4], [0, 1, 3, 4]]  # fmt: skip
    assert left(ScopeCompressor().plan(seen(features, [1.0, 1.5, 1, 1, 4]), 2)) == [1, 4]
    assert max_coverage(torch.eye(3), 3, torch.tensor([1.0, 3, 2])).tolist() == [1, 2, 0]


def test_opposite_tokens_cover_nothing_of_each_other():
    """Coverage starts at 0: a cosine of -1 takes nothing from a gain."""
    assert max_coverage(torch.tensor([[1.0, -1], [-1, 1]]), 2).tolist() == [0, 1]
    assert max_coverage(torch.tensor([[-1.0, -0.5], [-1, -1]]), 2).tolist() == [0, 1], "no gain at all: by index"


def test_a_class_token_weighs_as_much_as_the_most_attended():
    assert saliency(torch.tensor([NAN, 0.1, 0.4])).tolist() == pytest.approx([0.4, 0.1, 0.4])
    image = seen([[1.0, 0, 0], [0, 1, 0], [0, 0, 1]], [NAN, 0.1, 0.2])
    assert left(ScopeCompressor().plan(image, 2)) == left(HoloVCompressor().plan(image, 2)) == [0, 2]


def test_mmtok_covers_the_words_first_and_then_the_image():
    """Two words, of token 2 and 5 each; 0, 1 and 3 are alike and the largest part of the image."""
    features = torch.eye(6)[[0, 0, 1, 0, 2, 3]].tolist()
    image = seen(features, question=torch.eye(6)[[1, 3]].tolist())
    assert left(MmTokCompressor().plan(image, 2)) == [2, 5]
    assert left(MmTokCompressor().plan(image, 3)) == [0, 2, 5]
    assert 2 not in left(MmTokCompressor(image=1000).plan(image, 1)), "the image counts more than the words"


@pytest.mark.parametrize("words", [0, 1])
def test_mmtok_reads_a_question_of_any_length(words):
    image = random_image(4)
    short = CompressionInput(image.layout, image.region, image.features, question=lambda: image.question()[:words])
    literal = SimpleNamespace(features=image.features, question=lambda: image.question()[:words])
    for count in (1, 9, 30):
        assert groups(MmTokCompressor().plan(short, count)) == LATER["mmtok"](literal, count)


def test_holov_hands_out_by_mean_attention_and_passes_on_what_is_full():
    weight, room = np.array([1.0, 6, 2, 1]), np.array([4, 4, 4, 4])
    assert handed_out(3, weight, room).tolist() == [0, 2, 1, 0], "1.8 rounds down, and one each is left to the largest"
    assert handed_out(10, weight, room).tolist() == [2, 4, 3, 1], "of 6 two are passed on, the best with room first"
    assert handed_out(16, weight, room).tolist() == [4, 4, 4, 4]
    image = seen([[0.0]] * 6, [0.1, 0.3, 0.2, 0.5, 0.5, 0.4])
    assert [left(HoloVCompressor(parts=2).plan(image, count)) for count in (3, 4)] == [[3, 4, 5], [1, 3, 4, 5]]


@pytest.mark.parametrize("sharp", [1.0, 40.0])
def test_holov_is_its_code_s_rule_though_the_variance_is_left_out(sharp):
    """576 tokens in 16 parts of 36; sharp attention fills some parts."""
    image = random_image(1, 576, 48)
    attention = image.tower().attention ** sharp
    near = CompressionInput(image.layout, None, image.features, lambda: SimpleNamespace(attention=attention))
    for count in (64, 128, 192, 576):
        assert groups(HoloVCompressor().plan(near, count)) == LATER["holov"](near, count)


@pytest.mark.parametrize(("side", "count"), [(24, 64), (24, 128), (24, 192), (24, 1), (24, 575), (24, 576), (5, 7)])
def test_windows_are_rectangles_as_alike_as_can_be(side, count):
    layout = grid(side)
    plan = DownsampleCompressor().plan(CompressionInput(layout, REGION), count)
    bands = defaultdict(list)  # by their rows, the widths of their windows
    for members in groups(plan):
        places = np.array(sorted(members))
        row, col = np.unique(layout.row[places]), np.unique(layout.col[places])
        assert len(places) == len(row) * len(col)
        assert np.ptp(row) == len(row) - 1 and np.ptp(col) == len(col) - 1
        bands[tuple(row)].append(len(col))
    assert plan.count == sum(map(len, bands.values())) == count
    assert all(sum(widths) == side and np.ptp(widths) <= 1 for widths in bands.values())
    heights, numbers = [len(rows) for rows in bands], [len(widths) for widths in bands.values()]
    assert sum(heights) == side and np.ptp(heights) <= 1 and np.ptp(numbers) <= 1
    assert all(abs(len(rows) - np.mean(widths)) <= 1 for rows, widths in bands.items()) or count < 8, "nearly square"
    assert count != 64 or set(heights) == {3} == {width for widths in bands.values() for width in widths}


@pytest.mark.parametrize(("height", "width"), [(1, 30), (30, 1), (3, 40), (40, 3)])
def test_windows_of_long_grids_are_as_many_as_asked_for(height, width):
    row, col = (index.reshape(-1) for index in np.indices((height, width)))
    for count in range(1, height * width + 1):
        assert set(windows(row, col, count)) == set(range(count))


def test_views_share_the_count_and_nothing_is_mixed():
    layout = tiled_layout((100, 50), 1, 2, 4)  # 16 tokens of the overview, 32 of two tiles
    plan = DownsampleCompressor().plan(CompressionInput(layout, REGION), 12)
    number = {view: len(set(plan.group[layout.view == view])) for view in (0, 1)}
    assert plan.count == 12 and number == {0: 4, 1: 8}
    for count in range(1, 49):
        assert DownsampleCompressor().plan(CompressionInput(layout, REGION), count).count == count


def test_tokens_without_a_place_are_averaged_in_their_order_or_have_no_share():
    layout = grid(4, leading=2)
    few, many = (DownsampleCompressor().plan(CompressionInput(layout, REGION), count) for count in (2, 9))
    assert few.group[:2].tolist() == [-1, -1] and few.count == 2
    assert many.group[:2].tolist() == [0, 0] and many.count == 9


@pytest.mark.parametrize("method", [f"{name}+{inside}" for name in LATER for inside in ("ilp", "fastv")])
def test_joined_with_pruners_the_budget_is_met(tmp_path, method):
    engine = CropEngine.from_pretrained(checkpoints.save(tmp_path, layers=4), None)
    config = CropConfig(method=method, budget=Budget(mean_tokens=24), max_new_tokens=2, repeats=1)
    alone = CropConfig(method=method.partition("+")[0], budget=Budget(mean_tokens=48), max_new_tokens=2, repeats=1)
    trace = engine.answer(IMAGE, QUESTION, config, REGION, memory=False).trace
    before = engine.answer(IMAGE, QUESTION, alone, REGION, memory=False).trace
    assert 22 < trace.mean_tokens <= 24 and trace.final_tokens < trace.input_tokens
    if trace.input_tokens == before.input_tokens:
        assert np.array_equal(trace.group, before.group)
