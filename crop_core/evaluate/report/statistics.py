"""Confidence intervals of shares, means, ratios and differences. Arrays only, knows nothing of records.

Choice of the interval: scores that are all 0 or 1, of independent questions: Wilson's, which holds for few questions
and for shares near 0 and 1. Any other score, and questions that share an image: a bootstrap that resamples
whole clusters, since questions of one image are right or wrong together. Runs answer the same questions, so a ratio
or a difference of two is taken inside every resample (paired), where common difficulty cancels.

The bootstrap is our own, since scipy.stats.bootstrap knows no clusters: on sums by cluster it draws the same from the
same seed, but holds every value of every resample, and one ratio without a value leaves it without an interval.

Sources: Wilson, 1927; Field and Welsh, Bootstrapping clustered data, 2007; the percentiles are Hesterberg's expanded
ones (What Teachers Should Know about the Bootstrap, arXiv 1411.5279), as wide as Student's t for few clusters.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

LEVEL = 0.95
RESAMPLES = 4000
SEED = 0
WILSON, BOOTSTRAP = "Wilson", "cluster bootstrap"
_AT_ONCE = 4_000_000  # numbers drawn at a time, to bound the memory


@dataclass(frozen=True)
class Estimate:
    """A figure with its 95 % interval; NaN where undefined. how: the kind of interval."""

    value: float
    low: float
    high: float
    how: str


def wilson(share: float, count: float) -> tuple[float, float]:
    """95 % interval of a share 0..1 of `count` independent questions; no continuity correction. As scipy's, which takes
    whole numbers of right answers alone, while a mean score may come to half a one.
    """
    z = 1.959963984540054
    middle, half = share + z**2 / (2 * count), z * np.sqrt(share * (1 - share) / count + (z / (2 * count)) ** 2)
    low, high = (middle - half) / (1 + z**2 / count), (middle + half) / (1 + z**2 / count)
    return max(0.0, float(low)), min(1.0, float(high))


def cluster_sums(values: np.ndarray, clusters: np.ndarray) -> np.ndarray:
    """(E, R) values to (G, R) sums by cluster; clusters: (E,) numbers 0..G-1."""
    sums = np.zeros((int(clusters.max()) + 1, values.shape[1]))
    np.add.at(sums, clusters, values)
    return sums


def resampled(values: np.ndarray, clusters: np.ndarray, resamples: int = RESAMPLES, seed: int = SEED) -> np.ndarray:
    """(B, R) means of values (E, R), each of G clusters sampled with replacement.

    The same clusters are sampled for every column, and for every call with the same clusters and seed.
    """
    sums = cluster_sums(np.column_stack([values, np.ones(len(values))]), clusters)
    drawn = np.concatenate([counts @ sums for counts in _draws(len(sums), resamples, seed)])
    return drawn[:, :-1] / drawn[:, -1:]


def _draws(groups: int, resamples: int, seed: int) -> Iterator[np.ndarray]:
    """Sample counts of each cluster, in blocks of (rows, G)."""
    rng = np.random.default_rng(seed)
    step = max(1, _AT_ONCE // groups)
    for start in range(0, resamples, step):
        rows = min(step, resamples - start)
        picks = rng.integers(groups, size=(rows, groups)) + groups * np.arange(rows)[:, None]
        yield np.bincount(picks.ravel(), minlength=rows * groups).reshape(rows, groups)


def percentiles(drawn: np.ndarray, groups: int) -> tuple[np.ndarray, np.ndarray]:
    """Ends (R,) of the 95 % interval of resamples (B, R) of `groups` clusters, without NaN; NaN for fewer than 2
    clusters.
    """
    from scipy import stats

    if groups < 2:
        return np.full(drawn.shape[1], np.nan), np.full(drawn.shape[1], np.nan)
    width = np.sqrt(groups / (groups - 1)) * stats.t.ppf((1 + LEVEL) / 2, groups - 1)
    tail = float(stats.norm.sf(width))
    low, high = np.nanquantile(drawn, [tail, 1 - tail], axis=0)
    return low, high


def means(values: np.ndarray, clusters: np.ndarray) -> list[Estimate]:
    """The mean of every column of values (E, R) in 0..1, with its interval.

    Where all clusters have the same mean, a bootstrap would have no width: Wilson's interval of as many questions as
    there are clusters is used.
    """
    groups = int(clusters.max()) + 1
    ends = percentiles(resampled(values, clusters), groups)
    alike = np.ptp(cluster_sums(values, clusters) / np.bincount(clusters)[:, None], axis=0) < 1e-12
    by_wilson = alike | ((groups == len(clusters)) & np.isin(values, (0.0, 1.0)).all(axis=0))
    return [
        Estimate(mean, *wilson(mean, groups), WILSON) if exact else Estimate(mean, float(low), float(high), BOOTSTRAP)
        for mean, exact, low, high in zip(values.mean(axis=0).tolist(), by_wilson, *ends, strict=True)
    ]


def kept(values: np.ndarray, base: int, clusters: np.ndarray) -> list[Estimate]:
    """Mean of every column of values (E, R) as a share of the mean of column `base`, paired; NaN where that is 0.

    A run with exactly the scores of `base` keeps 1, from 1 to 1: no question distinguishes them.
    """
    share = values.mean(axis=0)
    if share[base] == 0:
        return [Estimate(np.nan, np.nan, np.nan, BOOTSTRAP)] * len(share)
    drawn = resampled(values, clusters)
    below = np.where(drawn[:, base] > 0, drawn[:, base], np.nan)
    ends = percentiles(drawn / below[:, None], int(clusters.max()) + 1)
    return [
        Estimate(float(mean / share[base]), float(low), float(high), BOOTSTRAP)
        for mean, low, high in zip(share, *ends, strict=True)
    ]


def differences(values: np.ndarray, pairs: Sequence[tuple[int, int]], clusters: np.ndarray) -> list[Estimate]:
    """Difference of the means of two columns of values (E, R), for each pair of columns; paired."""
    firsts, seconds = (list(side) for side in zip(*pairs, strict=True))
    drawn = resampled(values, clusters)
    ends = percentiles(drawn[:, firsts] - drawn[:, seconds], int(clusters.max()) + 1)
    gaps = (values[:, firsts] - values[:, seconds]).mean(axis=0).tolist()
    return [Estimate(gap, float(low), float(high), BOOTSTRAP) for gap, low, high in zip(gaps, *ends, strict=True)]


def paired(ours: Sequence[float], other: Sequence[float], groups: Sequence[int]) -> Estimate:
    """Difference of the means of `ours` and `other` on the same questions; groups: the cluster of each."""
    clusters = np.unique(groups, return_inverse=True)[1]
    return differences(np.array([ours, other], dtype=float).T, [(0, 1)], clusters)[0]
