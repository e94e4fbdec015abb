import math

import numpy as np
import pytest
from scipy import stats

from crop_core.evaluate.report import significance
from crop_core.evaluate.report.significance import MCNEMAR, SIGN_FLIP, holm, mcnemar, sign_flip
from crop_core.evaluate.report.statistics import (
    BOOTSTRAP,
    WILSON,
    cluster_sums,
    differences,
    kept,
    means,
    percentiles,
    resampled,
    wilson,
)
from crop_core.evaluate.report.statistics import paired as paired_interval

ALONE = np.arange(200)  # every question a cluster of its own


def column(*values):
    return np.array(values, dtype=float)[:, None]


def test_wilson_as_published_and_at_its_ends():
    """8 of 10: 0.490 to 0.943. 0 of 10: up to z2 / (10 + z2) = 0.2775."""
    assert wilson(0.8, 10) == pytest.approx((0.490, 0.943), abs=1e-3)
    assert wilson(0.0, 10) == pytest.approx((0.0, 0.2775), abs=1e-4)
    assert wilson(1.0, 10) == pytest.approx((0.7225, 1.0), abs=1e-4)


@pytest.mark.parametrize(("right", "count"), [(0, 1), (3, 7), (50, 100), (599, 600)])
def test_wilson_is_scipys(right, count):
    expected = stats.binomtest(right, count).proportion_ci(method="wilson")
    assert wilson(right / count, count) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_which_interval_is_used():
    binary, partial = np.tile([0.0, 1.0], 100)[:, None], np.tile([0.3, 1.0], 100)[:, None]
    assert means(binary, ALONE)[0].how == WILSON
    assert means(partial, ALONE)[0].how == BOOTSTRAP
    assert means(binary, ALONE // 3)[0].how == BOOTSTRAP
    assert means(np.ones((200, 1)), ALONE // 10)[0].low == wilson(1.0, 20)[0], "20 images, not 200 questions"
    assert means(column(1, 1, 1), np.zeros(3, int))[0].low == wilson(1.0, 1)[0]


def test_resampled_means_are_those_of_whole_clusters():
    """Clusters (0, 0, 0) and (1): two draws give a mean of 0, 1 or, from one of each, 1/4."""
    drawn = resampled(column(0, 0, 0, 1), np.array([0, 0, 0, 1]))[:, 0]
    result, counts = np.unique(drawn, return_counts=True)
    assert result.tolist() == [0, 0.25, 1]
    assert counts / len(drawn) == pytest.approx([0.25, 0.5, 0.25], abs=0.03)


def test_draws_do_not_depend_on_the_columns_or_on_blocks(monkeypatch):
    values = np.random.default_rng(3).random((200, 2))
    both = resampled(values, ALONE // 4)
    assert np.array_equal(both[:, [1]], resampled(values[:, [1]], ALONE // 4))
    monkeypatch.setattr("crop_core.evaluate.report.statistics._AT_ONCE", 50 * 7)
    assert resampled(values, ALONE // 4).std(axis=0) == pytest.approx(both.std(axis=0), rel=0.05)


def test_the_draws_are_those_of_scipys_bootstrap_of_the_clusters():
    values, clusters = np.random.default_rng(3).random((200, 1)), ALONE // 4
    sums, counts = cluster_sums(values, clusters)[:, 0], np.bincount(clusters)
    expected = stats.bootstrap(
        (sums, counts), lambda sums, counts, axis: sums.sum(axis) / counts.sum(axis), paired=True, vectorized=True,
        n_resamples=4000, method="percentile", rng=np.random.default_rng(0),
    )  # fmt: skip
    assert resampled(values, clusters)[:, 0] == pytest.approx(expected.bootstrap_distribution, abs=1e-12)


def test_the_spread_of_the_draws_is_the_textbooks():
    """Standard error of a mean of independent values: s / sqrt(n)."""
    values = np.random.default_rng(1).random((200, 1))
    assert resampled(values, ALONE).std() == pytest.approx(values.std() / math.sqrt(200), rel=0.04)


def test_percentiles_are_as_wide_as_students_t():
    """Draws as normal as can be, 10 clusters: ends at sqrt(10 / 9) t(0.975, 9) = 2.385 standard deviations."""
    drawn = stats.norm.ppf((np.arange(20_000) + 0.5) / 20_000)[:, None]
    low, high = percentiles(drawn, 10)
    assert (low[0], high[0]) == pytest.approx((-2.385, 2.385), abs=0.01)
    assert np.isnan(percentiles(drawn, 1)).all()


def test_intervals_cover_the_truth_where_questions_share_images():
    """300 made-up sweeps of 40 images with 6 questions each, whose chances differ by image; the mean is 0.7."""
    rng = np.random.default_rng(0)
    chances = rng.beta(1.4, 0.6, size=(40, 300)).repeat(6, axis=0)
    values, clusters = (rng.random(chances.shape) < chances).astype(float), np.arange(240) // 6
    covered = np.mean([each.low <= 0.7 <= each.high for each in means(values, clusters)])
    alone = np.mean([each.low <= 0.7 <= each.high for each in means(values, np.arange(240))])
    assert 0.92 <= covered <= 0.98
    assert alone < 0.85, "as if the questions were independent: far too narrow"


def test_kept_by_hand():
    values = np.array([[1, 1, 0.5], [1, 0, 0.5], [0, 0, 0]] * 20)
    same, half, even = kept(values, 0, np.arange(60))
    assert (same.value, same.low, same.high) == (1, 1, 1)
    assert half.value == 0.5 and half.low < 0.5 < half.high
    assert (even.value, even.low, even.high) == pytest.approx((0.5, 0.5, 0.5)), "half of every score, whatever is drawn"
    assert math.isnan(kept(np.zeros((4, 2)), 0, np.arange(4))[1].value)


def test_paired_differences_are_as_wide_as_the_textbooks_standard_errors():
    """300 independent questions: mean of the differences, and 1.96 of their standard errors to either side."""
    ours, other = (np.random.default_rng(6).random((2, 300)) < [[0.9], [0.8]]).astype(float)
    result, apart = paired_interval(ours.tolist(), other.tolist(), range(300)), ours - other
    half = 1.96 * stats.sem(apart)
    assert result.value == pytest.approx(apart.mean())
    assert (result.low, result.high) == pytest.approx((apart.mean() - half, apart.mean() + half), abs=0.005)
    shared = paired_interval(ours.tolist(), other.tolist(), [number // 30 for number in range(300)])
    assert shared.value == result.value and shared.low != result.low
    assert differences(np.array([ours, other]).T, [(1, 0)], np.arange(300))[0].value == -result.value


def test_mcnemar_by_hand():
    """8 against 2: 2 (1 + 10 + 45) / 2^10."""
    assert mcnemar(8, 2) == mcnemar(2, 8) == pytest.approx(112 / 1024)
    assert mcnemar(0, 0) == 1


def test_sign_flip_by_hand():
    """Five clusters that all favour the first: 2 of the 32 ways to turn them come as far. For 2, 1 and -1: all but the
    2 of 8 that sum to 0.
    """
    sums = np.array([[1.0, 2.0], [1, 1], [1, 0], [1, -1], [1, 0]])
    assert sign_flip(sums).tolist() == pytest.approx([2 / 32, 6 / 8])
    assert sign_flip(np.zeros((5, 1))).tolist() == [1]
    assert sign_flip(np.eye(5)[:, :1]).tolist() == [1], "one cluster that differs shows nothing"


def test_sign_flip_of_independent_answers_is_mcnemars():
    for first, second in [(5, 1), (8, 2), (3, 3), (9, 3)]:
        sums = np.array([1.0] * first + [-1.0] * second + [0.0] * 30)[:, None]
        assert sign_flip(sums)[0] == pytest.approx(mcnemar(first, second))


def test_drawn_signs_agree_with_scipy_and_with_every_way():
    sums = np.random.default_rng(5).normal(0.3, 1, size=(12, 1))
    drawn = significance._sampled(sums, 19_999, 0)[0]
    expected = stats.permutation_test((sums[:, 0],), np.sum, permutation_type="samples", n_resamples=np.inf).pvalue
    assert significance._exhaustive(sums[:, 0]) == pytest.approx(expected)
    assert drawn == pytest.approx(expected, abs=0.01)
    assert significance._sampled(np.full((60, 1), 1.0), 999, 0)[0] == 1 / 1000, "never 0"


def test_equal_methods_differ_in_one_of_twenty_sweeps():
    """400 made-up pairs of equally good methods whose differences are by image."""
    sums = np.random.default_rng(2).integers(-3, 4, size=(40, 400)).astype(float)
    assert np.mean(sign_flip(sums, flips=1999) < 0.05) == pytest.approx(0.05, abs=0.025)


def test_the_test_that_suits():
    rng = np.random.default_rng(0)
    binary = (rng.random((200, 2)) < 0.5).astype(float)
    (p,), name = significance.tests(binary, [(0, 1)], ALONE)
    only = (binary[:, 0] > binary[:, 1]).sum(), (binary[:, 1] > binary[:, 0]).sum()
    assert (p, name) == (stats.binomtest(int(only[0]), int(sum(only))).pvalue, MCNEMAR)
    assert significance.tests(binary, [(0, 1)], ALONE // 2)[1] == SIGN_FLIP
    assert significance.tests(binary / 2, [(0, 1)], ALONE)[1] == SIGN_FLIP


def test_holm_by_hand():
    """As R's p.adjust: 0.005 x 4, 0.01 x 3, 0.03 x 2, and 0.04, which may not be below the one before."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.7]) == [1, 1] and holm([]) == []
