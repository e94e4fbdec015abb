"""Pooling PLC as arithmetic: exact counts, windows that never cross a ring, the region first."""

import numpy as np
import pytest
import torch

from crop_core.compress.pooling import PoolingCompressor, rings
from crop_core.compress.protocol import CompressionInput
from crop_core.records.compression_plan import CompressionError, CompressionPlan
from crop_core.records.config import PlcConfig, Ring
from crop_core.records.region import Region
from tests.support.layouts import grid

REGION = Region(2, 3, 4, 4, 480, 480)


@pytest.mark.parametrize("layout", [grid(), grid(pad=0.25), grid(12), grid(7, leading=1), grid(5)])
def test_every_count_from_one_to_all_is_met_exactly(layout):
    compressor = PoolingCompressor()
    total = len(layout.row)
    for count in {1, 2, 3, 4, 5, 6, 7, 17, total // 3, total // 2, total - 1, total}:
        plan = compressor.plan(CompressionInput(layout, REGION), count)
        assert plan.count == count
        assert sorted(set(plan.group.tolist())) == list(range(count)), "nothing is dropped"
        assert np.allclose(plan.weights.sum(axis=1), 1)


@pytest.mark.parametrize("count", [0, 577, -1])
def test_impossible_counts_are_refused_with_the_range(count):
    with pytest.raises(CompressionError, match="1 to 576"):
        PoolingCompressor().plan(CompressionInput(grid(), REGION), count)


@pytest.mark.parametrize("count", [100, 192, 288, 400])
def test_the_region_stays_whole_and_groups_are_windows_of_one_ring(count):
    layout = grid(pad=0.25)
    plan = PoolingCompressor().plan(CompressionInput(layout, REGION), count)
    for number in range(plan.count):
        members = np.flatnonzero(plan.group == number)
        assert len(set(plan.ring[members])) == 1
        assert len(set(layout.in_sight[members])) == 1, "padding is never pooled with the image"
        if plan.ring[members[0]] == 0:
            assert len(members) == 1
    assert plan.inside(plan.ring == 0).sum() == (plan.ring == 0).sum() == REGION.mask(layout.boxes).sum()


def test_a_region_larger_than_the_count_leaves_one_token_per_ring_besides():
    layout = grid()
    plan = PoolingCompressor().plan(CompressionInput(layout, Region(0, 0, 6, 6, 480, 480)), 64)
    outside = {number for number, ring in zip(plan.group, plan.ring, strict=True) if ring > 0}
    assert len(outside) == len(set(plan.ring.tolist()) - {0})
    assert plan.inside(plan.ring == 0).sum() == 64 - len(outside)


def test_one_token_pools_everything_and_is_no_region_token():
    plan = PoolingCompressor().plan(CompressionInput(grid(), REGION), 1)
    assert plan.inside(plan.ring == 0).tolist() == [False]
    two = PoolingCompressor().plan(CompressionInput(grid(), REGION), 2)
    assert sorted(two.inside(two.ring == 0).tolist()) == [False, True]


def small_things(layout, places):
    """Plain tokens, each a little unlike the next, and very other ones at these places."""
    rng = np.random.default_rng(0)
    features = np.array([1.0, 0, 0]) + 0.05 * rng.standard_normal((len(layout.row), 3))
    features[places] = (0, 1, 0)
    return lambda: torch.from_numpy(features)


@pytest.mark.parametrize("count", [1, 5, 64, 128, 575, 576])
def test_a_whole_image_leaves_the_most_distinct_token_of_every_window(count):
    layout, places = grid(), [25, 260, 500]
    image = CompressionInput(layout, Region.whole(480, 480), small_things(layout, places))
    plan, windows = PoolingCompressor().plan(image, count), PoolingCompressor().windows(image, count)
    rows = image.features().numpy()
    rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    typical = np.sort(rows, axis=0)[(len(rows) - 1) // 2]
    far = np.linalg.norm(rows - typical, axis=1)
    most = {max(np.flatnonzero(windows.group == number), key=lambda token: far[token]) for number in range(count)}
    assert set(np.flatnonzero(plan.group >= 0)) == most and len(most) == plan.count == count
    assert count < 64 or set(places) <= most, "no small thing is blended with the background"


def test_padding_of_a_whole_image_is_pooled_and_not_typical():
    layout = grid(pad=0.25)
    features = small_things(layout, [300])()
    features[torch.from_numpy(~layout.in_sight)] = torch.tensor([0.0, 0, 1], dtype=torch.float64)
    plan = PoolingCompressor().plan(CompressionInput(layout, Region.whole(480, 480), lambda: features), 64)
    assert plan.group[300] >= 0 and plan.count == 64
    assert (plan.group[~layout.in_sight] >= 0).all(), "what is no part of the region is pooled as around any other"


def test_features_are_read_only_of_a_whole_image_that_does_not_fit():
    layout = grid()
    assert PoolingCompressor().plan(CompressionInput(layout, Region.whole(480, 480)), 576).count == 576
    assert PoolingCompressor().plan(CompressionInput(layout, Region(0, 0, 7, 6, 480, 480)), 64).count == 64
    with pytest.raises(CompressionError, match="reads more of an image"):
        PoolingCompressor().plan(CompressionInput(layout, Region.whole(480, 480)), 575)


def test_without_a_count_no_window_exceeds_its_ratio_and_far_windows_are_larger():
    config = PlcConfig((Ring(1, 4), Ring(2, 9), Ring(float("inf"), 36)))
    layout = grid(leading=1)
    plan = PoolingCompressor(config).plan(CompressionInput(layout, Region(0, 1, 1, 2, 480, 480)))
    sizes = {ring: [] for ring in range(4)}
    for number in range(plan.count):
        members = np.flatnonzero(plan.group == number)
        sizes[plan.ring[members[0]]].append(len(members))
    assert set(sizes[0]) == {1}
    assert all(max(sizes[ring]) <= ratio for ring, ratio in ((1, 4), (2, 9), (3, 36)))
    assert np.mean(sizes[1]) < np.mean(sizes[2]) < np.mean(sizes[3])


def test_rings_follow_the_distance_in_grid_cells():
    layout = grid(8)  # one token per grid cell
    ring = rings(layout, Region(0, 1, 1, 2, 480, 480), PlcConfig()).reshape(8, 8)
    assert ring[:, 0].tolist() == [1, 0, 0, 1, 2, 2, 3, 3]
    assert ring[2].tolist() == [0, 0, 1, 2, 2, 3, 3, 3]
    assert ring[3, 2] == 1
    assert ring[5, 2] == 2


def test_padding_and_tokens_without_a_place_are_in_the_last_ring_even_beside_the_region():
    layout = grid(pad=0.25, leading=1)
    ring = rings(layout, Region.whole(480, 480), PlcConfig())
    assert ring[0] == 3
    assert (ring[~layout.in_sight] == 3).all()
    assert (ring[layout.in_sight] == 0).all()


def test_windows_are_square_where_nothing_interrupts_them():
    layout = grid(16)
    plan = PoolingCompressor(PlcConfig((Ring(float("inf"), 16),))).plan(
        CompressionInput(layout, Region(0, 0, 0, 0, 480, 480))
    )
    far = plan.group[-1]
    rows, cols = np.divmod(np.flatnonzero(plan.group == far), 16)
    assert np.ptp(rows) == np.ptp(cols) == 3


def test_a_plan_is_numbered_by_anchors_and_two_plans_agree():
    plan = PoolingCompressor().plan(CompressionInput(grid(), REGION), 150)
    again = PoolingCompressor().plan(CompressionInput(grid(), REGION), 150)
    assert (plan.group == again.group).all()
    assert (np.diff(plan.anchors) > 0).all()
    assert (plan.group[plan.anchors] == np.arange(150)).all()


def test_plans_that_do_not_fit_are_refused():
    zeros = np.zeros(2, dtype=np.int64)
    with pytest.raises(CompressionError):
        CompressionPlan(np.array([0, 2]), zeros)
    with pytest.raises(CompressionError):
        CompressionPlan(np.array([-1, -1]), zeros)
    with pytest.raises(CompressionError, match="order"):
        CompressionPlan(np.array([1, 0]), zeros)
    assert CompressionPlan.of(np.array([7, -1, 3, 7]), np.zeros(4, dtype=np.int64)).group.tolist() == [0, -1, 1, 0]
