"""From layouts and attention to regions: the glimpse, the heat and the distribution, against what is written out."""

import itertools

import numpy as np
import pytest
import torch

from crop_core.localize.calibration import Calibration, covers
from crop_core.localize.decoding.region_decoding import decode_region_scores
from crop_core.localize.self_attention.attention_rule import (
    KEY,
    ROWS,
    AttentionRule,
    AttentionTerm,
    cell_scores,
    region_scores,
    shares,
)
from crop_core.localize.self_attention.pooled_grid import PooledGrid
from crop_core.models import ModelError
from crop_core.models.geometry import Framing, grid_layout, tiled_layout
from crop_core.records.region import Region
from crop_core.train.localizer import attention_fit as heads

SQUASH = Framing(pad_square=False, shortest_edge=None, resize=(24, 24), crop=None)
PAD = Framing(pad_square=True, shortest_edge=None, resize=(24, 24), crop=None)
CROP = Framing(pad_square=False, shortest_edge=24, resize=(0, 0), crop=(24, 24))
LAYOUTS = {
    "squash": grid_layout((200, 120), SQUASH, 1),
    "pad": grid_layout((200, 120), PAD, 1, leading=1),
    "crop": grid_layout((200, 120), CROP, 1),
    "coarse": grid_layout((200, 120), Framing(False, None, (4, 4), None), 1),
    "tiles": tiled_layout((200, 120), 2, 3, 4),
    "overview": tiled_layout((200, 120), 2, 2, 9),
}


def cells_of(layout):
    """(N,) row-major cell of the region's grid by the region's own rule, -1 for none."""
    result = np.full(layout.count, -1)
    for number in range(64):
        row, column = divmod(number, 8)
        result[Region(column, row, column, row, *layout.image_size).mask(layout.boxes)] = number
    return result


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_part_is_the_tokens_whose_centres_are_in_it(name):
    layout = LAYOUTS[name]
    plan, cells = PooledGrid.of(layout).plan, cells_of(layout)
    members = [set(cells[plan.group == group].tolist()) for group in range(plan.count)]
    assert all(len(cell) == 1 for cell in members)
    assert len(set.union(*members)) == plan.count, "two parts share a cell"
    views = set(layout.view[plan.group >= 0].tolist())
    assert len(views) == 1
    assert (cells[(plan.group < 0) & np.isin(layout.view, list(views))] == -1).all(), "a token of the image is missing"


def test_the_coarsest_view_that_fills_every_cell_is_read():
    read = {name: set(LAYOUTS[name].view[PooledGrid.of(LAYOUTS[name]).plan.group >= 0].tolist()) for name in LAYOUTS}
    assert read["overview"] == {0}, "9 x 9 tokens are enough"
    assert read["tiles"] == {1}, "an overview of 4 x 4 leaves cells empty"


@pytest.mark.parametrize("side", [8, 12, 3])
@pytest.mark.parametrize("name", LAYOUTS)
def test_attention_falls_on_the_cells_of_the_members_or_the_nearest(name, side):
    layout = LAYOUTS[name]
    glimpse, cells = PooledGrid.of(layout, side), cells_of(layout)
    attention = np.random.default_rng(0).random(glimpse.plan.count)
    fallen: dict[int, float] = {}
    for group, weight in enumerate(attention):
        tokens = np.flatnonzero(glimpse.plan.group == group)
        for token in tokens:
            fallen[cells[token]] = fallen.get(cells[token], 0.0) + weight / len(tokens)
    result = glimpse.cells @ attention
    for cell in range(64):
        away = {other: (other % 8 - cell % 8) ** 2 + (other // 8 - cell // 8) ** 2 for other in fallen}
        nearest = [fallen[other] for other in away if away[other] == min(away.values())]
        assert any(result[cell] == pytest.approx(value) for value in nearest)
        if cell in fallen:
            assert result[cell] == pytest.approx(fallen[cell])


def test_heat_is_the_weighted_log_of_attention_over_its_mean():
    rng = np.random.default_rng(1)
    attention = {1: rng.random((3, 5, 10)), 4: rng.random((3, 5, 10))}
    cells = rng.random((64, 10))
    terms = [
        AttentionTerm(4, 2, "max", 0.5),
        AttentionTerm(1, 0, "first", -1.0),
        AttentionTerm(1, 2, "mean", 2.0),
        AttentionTerm(4, 0, "last", 0.3),
    ]
    terms += [AttentionTerm(1, 1, "last-1", 0.7), AttentionTerm(1, 1, "last-2", -0.4)]
    own = {
        "first": lambda a: a[0],
        "last": lambda a: a[-1],
        "last-1": lambda a: a[-2],
        "last-2": lambda a: a[-3],
        "mean": lambda a: a.mean(0),
        "max": lambda a: a.max(0),
    }
    total = np.zeros(64)
    for layer, head, rows, weight in terms:
        fallen = own[rows](attention[layer][head] @ cells.T)
        total += weight * np.log(fallen / fallen.mean())
    assert cell_scores(shares(attention, cells, terms), terms).ravel() == pytest.approx(total, abs=1e-5)


def test_a_single_text_token_is_the_first_and_the_last():
    attention = {0: np.random.default_rng(4).random((1, 1, 64))}
    result = shares(attention, np.eye(64), [AttentionTerm(0, 0, rows, 1.0) for rows in ROWS])
    assert all(each == pytest.approx(result[0]) for each in result)


def test_attention_of_zero_has_a_finite_heat():
    terms = [AttentionTerm(0, 0, "last", 1.0)]
    assert np.isfinite(cell_scores(shares({0: np.zeros((1, 2, 4))}, np.ones((64, 4)), terms), terms)).all()


def boxes():
    return [b for b in itertools.product(range(8), repeat=4) if b[0] <= b[2] and b[1] <= b[3]]


def test_a_region_is_as_likely_as_its_heat():
    warm = np.random.default_rng(2).normal(size=(8, 8))
    result = region_scores(warm, whole=1.5)
    inside = {b: warm[b[1] : b[3] + 1, b[0] : b[2] + 1].sum() + 1.5 * (b == (0, 0, 7, 7)) for b in boxes()}
    total = sum(np.exp(value) for value in inside.values())
    assert len(inside) == np.count_nonzero(result) == 1296
    assert all(result[b] == pytest.approx(np.exp(value) / total) for b, value in inside.items())


def test_the_most_likely_region_and_its_coverage():
    result = region_scores(np.random.default_rng(3).normal(size=(8, 8)))
    reading = decode_region_scores(result)
    assert reading.numbers == max(boxes(), key=lambda box: result[box])
    within = [b for b in boxes() if np.less_equal(reading.numbers[:2], b[:2]).all() and b[2:] <= reading.numbers[2:]]
    within = [b for b in within if b[3] <= reading.numbers[3]]
    assert np.exp(reading.log_covered) == pytest.approx(sum(result[b] for b in within))


def test_less_doubt_is_a_wider_region():
    for seed in range(50):
        result = region_scores(np.random.default_rng(seed).normal(size=(8, 8)))
        sizes = [decode_region_scores(result, doubt) for doubt in (0.5, 0.3, 0.1, 0.0)]
        for narrow, wide in itertools.pairwise(sizes):
            assert np.less_equal(wide.numbers[:2], narrow.numbers[:2]).all()
            assert np.greater_equal(wide.numbers[2:], narrow.numbers[2:]).all()
            assert wide.log_covered >= narrow.log_covered - 1e-12
    with pytest.raises(ValueError, match="doubt"):
        decode_region_scores(result, 0.7)


def test_a_rule_is_written_and_read():
    terms = (AttentionTerm(3, 1, "last", 0.25), AttentionTerm(0, 0, "first", -1.5))
    rule = AttentionRule(terms, 0.5, 1.25, 12, Calibration(0.2, 0.9, 0.1))
    assert AttentionRule.from_json(rule.to_json()) == rule
    assert rule.layers == [0, 3]


def test_the_plain_rule_reads_the_second_quarter_and_takes_out_what_attracts_anyway():
    rule = AttentionRule.plain(32, 8)
    assert rule.layers == list(range(8, 16))
    assert len(rule.terms) == 3 * 8 * 8
    assert sum(term.weight for term in rule.terms) == pytest.approx(0, abs=1e-9)
    assert AttentionRule.plain(1, 2).layers == [0] and AttentionRule.plain(3, 2).layers == [0]
    assert not rule.calibration.calibrated


@pytest.mark.parametrize(
    "settings",
    [
        {"terms": {}},
        {"bias": 0.1},
        [1],
        {"terms": [1]},
        {"terms": {"1.2": 0.5}},
        {"terms": {"1.2 best": 0.5}},
        {"terms": {"1.2 last": "much"}},
        {"terms": {"-1.2 last": 0.5}},
        {"terms": {"1.2 last": float("nan")}},
        {"terms": {"1.2 last": 0.5}, "side": 0},
        {"terms": {"1.2 last": 0.5}, "side": "8"},
        {"terms": {"1.2 last": 0.5}, "side": 8.5},
        {"terms": {"1.2 last": 0.5}, "side": True},
        {"terms": {"1.2 last": 0.5}, "bias": float("inf")},
        {"terms": {"1.2 last": 0.5}, "doubt": 0.9},
        {"terms": {"1.2 last": 0.5}, "colour": 1},
    ],
)
def test_a_rule_that_cannot_be_is_refused(settings):
    config = type("Config", (), {KEY: settings, "text_config": type("Text", (), {})})
    config.text_config.num_hidden_layers = config.text_config.num_attention_heads = 4
    with pytest.raises(ModelError, match=KEY):
        AttentionRule.of(config, "x")


def test_the_fit_finds_the_heads_that_made_the_regions():
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    terms = [AttentionTerm(layer, 0, "last", 0.0) for layer in range(6)]
    truth = np.array([0.0, 1.2, 0.0, -0.8, 0.0, 0.0])
    attention = rng.normal(size=(300, 64, 6)).astype(np.float32)
    true = []
    for each in attention:
        likely = region_scores((each @ truth - 0.3).reshape(8, 8))
        true.append(np.unravel_index(rng.choice(likely.size, p=likely.ravel()), likely.shape))
    rules = list(heads.fit(attention, true, terms, [4, 2]))
    assert [len(each.terms) for each in rules] == [4, 2]
    rule = rules[1]
    assert [term.layer for term in rule.terms] == [1, 3]
    assert [term.weight for term in rule.terms] == pytest.approx([1.2, -0.8], abs=0.15)
    assert rule.bias == pytest.approx(0.3, abs=0.15)
    own = attention[:, :, [1, 3]]
    sure = heads.calibrated(rule, own, true, coverage=0.9)
    assert 0.9 <= heads.figures(sure, own, true).coverage < 1
    foretold = [sure.confidence(sure.decode(each.T)) for each in own]
    result = [sure.decode(each.T).numbers for each in own]
    assert np.mean(foretold) == pytest.approx(covers(result, true).mean(), abs=0.02)
