"""Significance: paired tests of runs on the same questions, corrected for multiple comparisons.

Choice of the test: scores that are all 0 or 1, of independent questions: McNemar's exact test, which counts only the
questions on which the two differ. Any other score, and questions that share an image: a permutation test that flips
the sign of whole clusters' differences, since equally good runs could have swapped their
scores. Several tests of one family: Holm's correction, which bounds the chance of one false finding in the whole family
by 5 % and needs no independence.

Sources: McNemar, 1947, the exact binomial form; Fisher, 1935, for permutations; Phipson and Smyth, Permutation p-values
should never be zero, 2010; Holm, 1979. Arrays only, knows nothing of records.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from crop_core.evaluate.report.statistics import SEED, cluster_sums

FLIPS = 19_999
MCNEMAR, SIGN_FLIP = "exact McNemar", "cluster sign-flip permutation"
_EXACT = 12  # clusters that differ, up to which every combination of signs is tried
_AT_ONCE = 4_000_000
_NEAR = 1e-9  # sums that are equal but for rounding count as equal


def mcnemar(only_first: int, only_second: int) -> float:
    """Two-sided exact p of questions that only one of two runs got right; 1 where they never differ."""
    from scipy import stats

    both = only_first + only_second
    return float(stats.binomtest(only_first, both).pvalue) if both else 1.0


def sign_flip(sums: np.ndarray, flips: int = FLIPS, seed: int = SEED) -> np.ndarray:
    """Two-sided p (P,) of the summed differences sums (G, P) by cluster: how often flipped signs come as far from 0.

    Where at most 12 clusters differ every combination is tried, else `flips` sampled ones, the same for every column.
    """
    sampled = _sampled(sums, flips, seed)
    few = (sums != 0).sum(axis=0) <= _EXACT
    return np.array(
        [_exhaustive(column) if exact else p for column, exact, p in zip(sums.T, few, sampled, strict=True)]
    )


def _exhaustive(sums: np.ndarray) -> float:
    """p over every combination of signs of the differing clusters."""
    from scipy import stats

    differ = sums[sums != 0]
    if len(differ) < 2:
        return 1.0  # flipped, it is as far from 0
    result = stats.permutation_test((differ,), np.sum, permutation_type="samples", n_resamples=np.inf)
    return float(result.pvalue)


def _sampled(sums: np.ndarray, flips: int, seed: int) -> np.ndarray:
    """p (P,) by sampled signs; the observed ones count as a sample, so that no p is 0. Our own, since scipy samples new
    signs for every column, which takes minutes for all pairs of methods.
    """
    rng, as_far = np.random.default_rng(seed), np.zeros(sums.shape[1])
    observed, step = np.abs(sums.sum(axis=0)) - _NEAR, max(1, _AT_ONCE // len(sums))
    for start in range(0, flips, step):
        signs = rng.integers(0, 2, (min(step, flips - start), len(sums)), dtype=np.int8) * 2.0 - 1
        as_far += (np.abs(signs @ sums) >= observed).sum(axis=0)
    return (as_far + 1) / (flips + 1)


def tests(values: np.ndarray, pairs: Sequence[tuple[int, int]], clusters: np.ndarray) -> tuple[list[float], str]:
    """p of every pair of columns of values (E, R), and the name of the chosen test."""
    used = values[:, sorted({column for pair in pairs for column in pair})]
    if int(clusters.max()) + 1 == len(clusters) and np.isin(used, (0.0, 1.0)).all():
        return [_mcnemar(values[:, first], values[:, second]) for first, second in pairs], MCNEMAR
    firsts, seconds = (list(side) for side in zip(*pairs, strict=True))
    return sign_flip(cluster_sums(values[:, firsts] - values[:, seconds], clusters)).tolist(), SIGN_FLIP


def _mcnemar(first: np.ndarray, second: np.ndarray) -> float:
    return mcnemar(int((first > second).sum()), int((second > first).sum()))


def holm(ps: Sequence[float]) -> list[float]:
    """The p values of one family, corrected, in their order (scipy corrects by Benjamini and Hochberg alone)."""
    order = np.argsort(ps, kind="stable")
    corrected = np.empty(len(ps))
    corrected[order] = np.maximum.accumulate(np.minimum(1.0, np.arange(len(ps), 0, -1) * np.array(ps)[order]))
    return [float(each) for each in corrected]
