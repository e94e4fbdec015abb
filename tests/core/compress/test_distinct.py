"""Choice of what differs, denser near the region: by hand, against a slow literal reading, and through the engine."""

import math

import numpy as np
import pytest
import torch

from crop_core.compress.distinct import DistinctCompressor
from crop_core.compress.divprune import DivPruneCompressor, max_min_diversity
from crop_core.compress.pooling import rings
from crop_core.compress.protocol import CompressionInput
from crop_core.engine.engine import CropEngine
from crop_core.models.adapter import TokenLayout
from crop_core.records.compression_plan import CompressionError
from crop_core.records.config import Budget, CropConfig, PlcConfig, Ring
from crop_core.records.region import Region
from tests.support import checkpoints
from tests.support.layouts import IMAGE, QUESTION, REGION, cosine, grid, groups, left, random_image


def by_angle(angles, region, config):
    """A row of tokens, one a grid column, whose features point to these angles in degrees; and its compressor."""
    radians, row = np.deg2rad(angles), np.arange(len(angles))
    boxes = np.stack([row * 10.0, row * 0.0, row * 10.0 + 10, row * 0.0 + 80], 1)
    layout = TokenLayout((80, 80), boxes, row * 0, row * 0, row, (0.0, 0.0, 80.0, 80.0))
    features = torch.from_numpy(np.stack([np.cos(radians), np.sin(radians)], 1))
    return CompressionInput(layout, region, lambda: features), DistinctCompressor(config)


def test_distances_outside_the_region_count_less():
    """Of 0, 60, 90 and 180 degrees the first two are in the region; outside, 81 ** -0.25 makes a third of 1 - cosine.

    Least distances are 0.5, 0.13, 0.13 / 3 and 1 / 3: 0 first. From it 0.5, 1 / 3 and 2 / 3: 180. Then 0.5, 1 / 3: 60.
    DivPrune takes 180, 0 and then 90, which is 1 from both, for 0.5 of 60.
    """
    image, method = by_angle([0, 60, 90, 180], Region(0, 0, 1, 7, 80, 80), PlcConfig((Ring(math.inf, 81),)))
    assert [left(method.plan(image, count)) for count in (1, 2, 3, 4)] == [[0], [0, 3], [0, 1, 3], [0, 1, 2, 3]]
    assert [left(DivPruneCompressor().plan(image, count)) for count in (1, 2, 3)] == [[3], [0, 3], [0, 2, 3]]
    weight = np.array([1, 1, 1 / 3, 1 / 3], np.float32)
    assert max_min_diversity(image.features(), 4, weight).tolist() == [0, 3, 1, 2]


def test_a_thing_that_the_region_missed_stays_when_it_is_unlike_the_rest():
    image, method = by_angle([0, 1, 2, 3, 0, 1, 90, 2], Region(0, 0, 3, 7, 80, 80), PlcConfig())
    assert 6 in left(method.plan(image, 2))


def literal(image, count, config):
    """Greedily, token by token."""
    rows, ring = image.features().tolist(), rings(image.layout, image.region, config)
    weight = [1.0 if own == 0 else config.rings[own - 1].ratio ** -0.25 for own in ring]
    places = range(len(rows))
    apart = [[weight[one] * (1 - cosine(rows[one], rows[other])) for other in places] for one in places]
    chosen = [max(places, key=lambda one: min(apart[one][other] for other in places if other != one))]
    while len(chosen) < count:
        others = [place for place in places if place not in chosen]
        chosen.append(max(others, key=lambda one: min(apart[one][other] for other in chosen)))
    return {frozenset([place]) for place in chosen}


@pytest.mark.parametrize("seed", range(3))
def test_every_count_is_met_exactly_and_as_literally_read(seed):
    image, config = random_image(seed), PlcConfig()
    for count in (1, 2, 3, 7, 15, 22, 29, 30):
        plan = DistinctCompressor(config).plan(image, count)
        assert groups(plan) == literal(image, count, config), count
        assert plan.ring.tolist() == rings(image.layout, image.region, config).tolist()


@pytest.mark.parametrize("seed", range(3))
def test_with_ratios_of_one_it_is_divprune(seed):
    image, method = random_image(seed), DistinctCompressor(PlcConfig((Ring(2, 1), Ring(math.inf, 1))))
    for count in range(1, 31):
        assert np.array_equal(method.plan(image, count).group, DivPruneCompressor().plan(image, count).group)


def test_a_higher_ratio_leaves_fewer_tokens_there():
    image = random_image(5)
    inside = image.region.mask(image.layout.boxes)
    shares = [
        np.count_nonzero(inside[left(DistinctCompressor(PlcConfig((Ring(math.inf, ratio),))).plan(image, 12))])
        for ratio in (1, 16, 10_000)
    ]
    assert shares == sorted(shares) and shares[0] < shares[-1] == min(12, inside.sum())


def test_without_a_count_the_ratios_say_how_many():
    """9 cells of 9 tokens in the region, 16 in the ring of ratio 4, 39 in the rest of ratio 36."""
    layout = grid(24, (80, 80))
    features = torch.from_numpy(np.random.default_rng(0).normal(size=(576, 8)))
    image = CompressionInput(layout, Region(2, 2, 4, 4, 80, 80), lambda: features)
    method = DistinctCompressor(PlcConfig((Ring(1, 4), Ring(math.inf, 36))))
    assert method.plan(image).count == math.ceil(81 + 16 * 9 / 4 + 39 * 9 / 36)


def test_counts_outside_are_refused_and_equal_tokens_are_still_so_many():
    image, method = by_angle([5] * 8, Region(0, 0, 1, 7, 80, 80), PlcConfig())
    for count in (0, 9):
        with pytest.raises(CompressionError, match="give 1 to 8"):
            method.plan(image, count)
    assert [method.plan(image, count).count for count in range(1, 9)] == list(range(1, 9))


def test_the_engine_meets_the_budget_with_the_rule_s_tokens(tmp_path):
    engine = CropEngine.from_pretrained(checkpoints.save(tmp_path, layers=2), None)
    config = CropConfig(method="distinct", budget=Budget(mean_tokens=24), max_new_tokens=2, repeats=1)
    trace = engine.compare(IMAGE, QUESTION, config, REGION, memory=False).crop.trace
    inputs = engine.adapter.prepare(IMAGE, QUESTION)
    features = engine.adapter.encode(inputs).pooler_output[0]
    image = CompressionInput(engine.adapter.layout(IMAGE.size), REGION, lambda: features)
    assert (trace.input_tokens, trace.mean_tokens) == (24, 24)
    assert np.array_equal(trace.group, DistinctCompressor.from_config(config).plan(image, 24).group)
