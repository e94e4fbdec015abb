"""Budget arithmetic of ILP schedules, against brute force and the numbers of the design."""

import math
import random

import pytest

from crop_core.prune.fastv import FastvPruner, PublishedFastv
from crop_core.prune.schedule import (
    BudgetError,
    cuts,
    default_schedule,
    latest_cut,
    least_mean,
    mean_tokens,
    plan_token_budget,
    plc_count,
    plc_count_before_ilp,
    reachable,
)
from crop_core.records.config import Budget, ConfigError, CropConfig, IlpConfig, PlcConfig


@pytest.mark.parametrize(
    ("layers", "budget", "left"),
    [(32, 192, 166), (32, 128, 98), (32, 64, 29), (12, 192, 157), (12, 128, 87), (12, 64, 17)],
)
def test_the_paper_s_budgets_of_576_by_one_early_cut(layers, budget, left):
    """32 layers cut at 2, 12 layers cut at 1; 64 of 32 layers is 29.87, and more than 29 would exceed the mean."""
    early = default_schedule(layers)[0]
    assert cuts(IlpConfig((early,)), layers, 576, budget) == ((early[0], left),)


@pytest.mark.parametrize(
    ("layers", "budget", "left"),
    [
        (32, 192, ((2, 235), (21, 47))),
        (32, 64, ((2, 42), (21, 8))),
        (14, 192, ((1, 234), (9, 48))),
        (14, 64, ((1, 35), (9, 8))),
        (3, 300, ((1, 270), (2, 54))),
        (2, 300, ((1, 24),)),  # no layer is left for a second cut
    ],
)
def test_the_default_cuts_meet_the_same_budgets_with_more_tokens_in_the_middle(layers, budget, left):
    assert cuts(IlpConfig(), layers, 576, budget) == left
    early, late = dict(default_schedule(layers)), cuts(IlpConfig(), layers, 576, None)
    assert late == tuple((layer, math.floor(576 * share)) for layer, share in early.items())


def test_six_layers_cannot_reach_64_and_the_least_is_named():
    with pytest.raises(
        BudgetError, match=r"least is 96\.8; raise the budget or choose a method that compresses before"
    ):
        cuts(IlpConfig(), 6, 576, 64)
    with pytest.raises(BudgetError, match=r"at layer 4 of 6, .*; raise the budget or cut earlier"):
        cuts(IlpConfig(((4, 0.1),)), 6, 576, 100)
    assert least_mean(1, 6, 576) == pytest.approx(96.83, abs=0.01)


def test_the_least_mean_itself_is_reachable():
    assert cuts(IlpConfig(), 6, 576, least_mean(1, 6, 576)) == ((1, 1),)


def random_case(rng):
    layers = rng.randint(3, 20)
    at = sorted(rng.sample(range(1, layers), rng.randint(1, min(3, layers - 1))))
    shares = sorted((rng.uniform(0.01, 1) for _ in at), reverse=True)
    count = rng.randint(1, 90)
    return IlpConfig(tuple(zip(at, shares, strict=True))), layers, count, rng.uniform(1, count + 3)


def test_the_mean_never_exceeds_the_budget_and_no_token_more_would_fit():
    rng, reached = random.Random(0), 0
    for _ in range(600):
        config, layers, count, budget = random_case(rng)
        try:
            result = cuts(config, layers, count, budget)
        except BudgetError:
            assert least_mean(config.schedule[0][0], layers, count) > budget - 1e-6
            continue
        reached += 1
        assert mean_tokens(result, layers, count) <= budget + 1e-6
        alive = [count] + [number for _, number in result]
        assert alive == sorted(set(alive), reverse=True) and alive[-1] >= 1
        for place in range(len(result)):  # one more token at any single cut: not falling any more, or over the budget
            more = tuple((layer, number + (place == cut)) for cut, (layer, number) in enumerate(result))
            above = alive[place]
            assert more[place][1] > above or mean_tokens(more, layers, count) > budget + 1e-7
    assert reached > 300


def test_one_cut_agrees_with_brute_force():
    for layers, first, count in ((12, 1, 60), (9, 3, 31)):
        for tenth in range(10, 10 * count, 7):
            budget = tenth / 10
            fitting = [
                number
                for number in range(1, count + 1)
                if (first * count + (layers - first) * number) / layers <= budget + 1e-9
            ]
            if fitting:
                result = cuts(IlpConfig(((first, 0.5),)), layers, count, budget)
                assert result == (((first, max(fitting)),) if max(fitting) < count else ())


def test_shares_without_a_budget_stand_as_they_are():
    assert cuts(IlpConfig(((2, 0.5), (4, 0.25), (6, 0.001))), 8, 100) == ((2, 50), (4, 25), (6, 1))
    assert cuts(IlpConfig(((2, 1.0), (4, 0.5))), 8, 100) == ((4, 50),)


def test_relative_shares_keep_their_shape_under_a_budget():
    (_, first), (_, second) = cuts(IlpConfig(((1, 0.8), (5, 0.2))), 9, 400, 150)
    assert first / second == pytest.approx(4, rel=0.05)


def test_a_budget_that_reduces_nothing_cuts_nothing():
    assert cuts(IlpConfig(), 12, 100, 100) == ()


@pytest.mark.parametrize(
    ("layers", "budget", "cut"),
    [
        (32, 192, (2, 166)),
        (32, 128, (2, 98)),
        (32, 64, (2, 29)),
        (12, 192, (2, 115)),
        (12, 128, (2, 38)),
        (12, 64, (1, 17)),  # two whole layers are 1152 tokens, and 64 of 12 layers allow 768
        (2, 400, (1, 224)),  # there is no layer 2
        (12, None, (2, 288)),
    ],
)
def test_published_fastv_cuts_once_at_layer_2_or_at_the_nearest_one_before_it(layers, budget, cut):
    assert cuts(PublishedFastv.schedule(layers, 576, budget), layers, 576, budget) == (cut,)


@pytest.mark.parametrize("budget", [192, 128, 64, None])
def test_fastv_cuts_where_ilp_s_early_cut_is(budget):
    for layers in (12, 23, 24, 32):
        (at, _) = default_schedule(layers)[0]
        config = FastvPruner.schedule(layers, 576, budget)
        assert config.schedule == ((at, 0.5),)
        assert layers < 24 or config == PublishedFastv.schedule(layers, 576, budget)


def test_fastv_refuses_what_not_even_layer_1_can_reach():
    with pytest.raises(BudgetError, match=r"at layer 1 of 6, the least is 96\.8"):
        cuts(FastvPruner.schedule(6, 576, 64), 6, 576, 64)


def test_the_nearest_cut_is_reachable_and_no_later_one_is():
    rng = random.Random(2)
    for _ in range(500):
        layers, count, wanted = rng.randint(2, 30), rng.randint(1, 300), rng.randint(1, 6)
        budget = rng.uniform(1, count)
        result = latest_cut(wanted, layers, count, budget)
        assert 1 <= result <= min(wanted, layers - 1)
        assert not any(reachable(later, layers, count, budget) for later in range(result + 1, min(wanted + 1, layers)))
        assert result == 1 or reachable(result, layers, count, budget)


def test_a_cut_behind_the_last_layer_is_refused():
    with pytest.raises(ConfigError, match="1 to 5"):
        cuts(IlpConfig(((6, 0.5),)), 6, 100, 50)


def test_compression_alone_meets_the_budget():
    assert plc_count(192.0, 576) == 192
    assert plc_count(576 * (64 / 576), 576) == 64
    assert plc_count(2.7, 576) == 2


def test_compression_before_ilp_always_leaves_a_reachable_budget():
    assert plc_count_before_ilp(2.0, 64, 12, 576, 1) == 128
    rng = random.Random(1)
    for _ in range(500):
        layers = rng.randint(2, 30)
        first, count = rng.randint(1, layers - 1), rng.randint(1, 300)
        budget = rng.uniform(1, count)
        left = plc_count_before_ilp(rng.uniform(1, 4), budget, layers, count, first)
        assert 1 <= left <= count
        result = cuts(IlpConfig(((first, 0.5),)), layers, left, budget)
        assert math.floor(mean_tokens(result, layers, left) * layers + 0.5) <= math.floor(budget * layers + 1e-6)


def test_layers_that_must_stay_whole_are_not_cut():
    assert [layer for layer, _ in default_schedule(36, first_prunable_layer=3)] == [3, 24]
    assert [layer for layer, _ in default_schedule(4, first_prunable_layer=3)] == [3]
    assert cuts(IlpConfig(), 36, 576, 100, first_prunable_layer=3)[0][0] == 3
    assert latest_cut(2, 36, 576, 100, first_prunable_layer=3) == 3
    assert FastvPruner.schedule(36, 576, 100, first_prunable_layer=3).schedule[0][0] == 3
    with pytest.raises(ConfigError, match="cuts at layer 2, but this model of 36 decoder layers allows 3 to 35"):
        cuts(IlpConfig(((2, 0.5),)), 36, 576, 100, first_prunable_layer=3)


@pytest.mark.parametrize(
    "method", ["ilp", "fastv", "fastv@paper", "pyramiddrop", "sparsevlm", "dart", "crop", "plc+dart"]
)
@pytest.mark.parametrize("left", [64, 1, 600])
def test_a_budget_of_what_is_left_is_what_is_left(method, left):
    """With the method's own layers, whatever the mean; a compressor leaves its multiple of it."""
    planned = plan_token_budget(CropConfig(method, Budget(left=left)), [576], 14, 1)
    entering = (planned.tokens or planned.visual)[0]
    result = cuts(planned.inner, 14, entering, planned.mean)
    assert (result[-1][1] if result else entering) == min(left, 576)
    assert method not in ("crop", "plc+dart") or entering == min(576, 2 * left)
    if method == "fastv@paper":
        assert result in (((2, left),), ())


def test_what_is_left_of_a_compressor_alone_is_its_mean():
    assert plan_token_budget(CropConfig("plc", Budget(left=64)), [576], 14, 1).tokens == [64]


def test_a_compressor_leaves_as_much_as_suits_it_or_as_it_is_told():
    def entering(method, overshoot=None):
        config = CropConfig(method, Budget(64), PlcConfig(overshoot=overshoot))
        return plan_token_budget(config, [576], 32, 1).tokens

    assert [entering("crop"), entering("plc+fastv"), entering("distinct+ilp")] == [[128], [128], [77]]
    assert [entering("crop", 1.5), entering("distinct+ilp", 1.5)] == [[96], [96]]
    assert [entering("plc"), entering("plc", 3), entering("distinct")] == [[64], [64], [64]]
