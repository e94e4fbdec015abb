"""Decode a region and its probability from distributions over the four grid numbers or over all regions. Pure numpy.

The edges of one axis are decoded jointly: only pairs (first, last) with first <= last are possible, so a region is
always valid. OURS throughout; the paper (Guo et al., CROP, arXiv 2505.21233) takes the most likely numbers and has no
confidence.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from crop_core.records.region import GRID

AXES = ((0, 2), (1, 3))  # rows of x and y in [xmin, ymin, xmax, ymax]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class DecodedRegion:
    """numbers: xmin, ymin, xmax, ymax, 0 to 7, inclusive. log_covered: natural log of the localizer's uncalibrated
    probability that the true region lies within them.
    """

    numbers: tuple[int, int, int, int]
    log_covered: float


def decode_region(probabilities: Floats, doubt: float | None = None) -> DecodedRegion:
    """The region of four distributions over the grid numbers.

    probabilities: (4, 8), a row each for xmin, ymin, xmax and ymax. doubt: None takes the most likely valid numbers;
    else each edge is the outermost number that the true edge lies at or beyond with a probability above `doubt`, so
    0.5 is the median and less doubt a wider region. Raises ValueError for a doubt outside 0 to 0.5.
    """
    _check(doubt)
    numbers, log_covered = [0] * 4, 0.0
    for low, high in AXES:
        pairs = _pairs(probabilities[low], probabilities[high])
        first, last = _most_likely(pairs) if doubt is None else _outermost(pairs, doubt)
        numbers[low], numbers[high] = first, last
        log_covered += math.log(max(float(pairs[first:, : last + 1].sum()), np.finfo(float).tiny))
    x0, y0, x1, y1 = numbers
    return DecodedRegion((x0, y0, x1, y1), min(log_covered, 0.0))


def decode_region_scores(probabilities: Floats, doubt: float | None = None) -> DecodedRegion:
    """The region of one distribution over all regions.

    probabilities: (8, 8, 8, 8) by xmin, ymin, xmax and ymax, 0 for invalid regions. doubt: as in `decode_region`; None
    takes the most likely region. Raises ValueError for a doubt outside 0 to 0.5.
    """
    _check(doubt)
    if doubt is None:
        x0, y0, x1, y1 = (int(number) for number in np.unravel_index(probabilities.argmax(), probabilities.shape))
    else:
        x0, x1 = _outermost(probabilities.sum((1, 3)), doubt)
        y0, y1 = _outermost(probabilities.sum((0, 2)), doubt)
    covered = float(probabilities[x0:, y0:, : x1 + 1, : y1 + 1].sum())
    return DecodedRegion((x0, y0, x1, y1), min(math.log(max(covered, np.finfo(float).tiny)), 0.0))


def cells_of_edges(probabilities: Floats) -> Floats:
    """(8, 8) by row and column: the probability that a cell lies in the region of four distributions over the grid
    numbers, (4, 8) as in `decode_region`.
    """
    across, down = (_between(_pairs(probabilities[low], probabilities[high])) for low, high in AXES)
    return np.outer(down, across)


def cells_of_regions(probabilities: Floats) -> Floats:
    """(8, 8) by row and column: the probability that a cell lies in the region of one distribution over all regions,
    (8, 8, 8, 8) as in `decode_region_scores`.
    """
    begun = probabilities.cumsum(0).cumsum(1)  # xmin and ymin at or before a number
    covering = begun[:, :, ::-1, ::-1].cumsum(2).cumsum(3)[:, :, ::-1, ::-1]  # xmax and ymax at or behind it
    return np.minimum(np.einsum("xyxy->yx", covering), 1.0)


def _between(pairs: Floats) -> Floats:
    """(8,): the probability that a number lies between the two of a pair, inclusive."""
    covering = pairs.cumsum(0)[:, ::-1].cumsum(1)[:, ::-1]
    return np.minimum(np.diag(covering), 1.0)


def _check(doubt: float | None) -> None:
    if doubt is not None and not 0 <= doubt <= 0.5:
        raise ValueError(f"The doubt {doubt} is not possible; give 0 (widest) to 0.5 (median), or None.")


def _pairs(first: Floats, last: Floats) -> Floats:
    """(8, 8): the probability of every pair (first, last) of one axis among those that are valid."""
    valid = np.triu(np.outer(first, last))
    if not valid.sum():  # the two exclude each other: the first edge decides
        valid = np.triu(np.outer(first, np.ones(GRID)))
    return np.asarray(valid / valid.sum())


def _most_likely(pairs: Floats) -> tuple[int, int]:
    first, last = divmod(int(pairs.argmax()), GRID)
    return first, last


def _outermost(pairs: Floats, doubt: float) -> tuple[int, int]:
    """First and last number by cumulative sums from the outer sides; clipped to the grid, as rounding may exceed it."""
    before, after = pairs.sum(1).cumsum(), pairs.sum(0)[::-1].cumsum()
    first, last = (min(int((sums <= doubt).sum()), GRID - 1) for sums in (before, after))
    return first, max(first, GRID - 1 - last)
