"""From attention to the 8x8 cells to a distribution over all regions of the grid. Pure numpy; knows nothing of models.

OURS. The heat of a cell is a weighted sum of log attentions, and a region is as likely as the heat inside it is high:
p(region) ~ exp(sum of the heat of its cells, and `whole` for all 64). Each cell's bias is thus what a cell costs. The
difference of two rows' log attentions, that of the question and that of a token which has not read it, takes out what
attracts attention whatever is asked; after the relative attention of Zhang et al., MLLMs Know Where to Look, ICLR 2025,
arXiv 2502.17422, which divides by a general question's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from crop_core.records.region import GRID

_FROM_END = {"last": 1, "last-1": 2, "last-2": 3}
ROWS = ("first", "mean", "max", *_FROM_END)
_LEAST = 1e-12  # of attention, which has no log at 0

Floats = NDArray[np.float64]


class AttentionTerm(NamedTuple):
    """One addend of the heat: the attention of a head in a layer, both from 0, and what it weighs.

    rows: of the text tokens behind the image the "first", which in most prompts is before the question, the "last" and
    the two before it, the "mean" of all of them, or in each cell the "max". Fewer tokens: the first of them.
    """

    layer: int
    head: int
    rows: str
    weight: float


def shares(
    attention: Mapping[int, NDArray[np.floating]], cells: Floats, terms: Sequence[AttentionTerm]
) -> NDArray[np.float32]:
    """(T, 64): by term and cell, row-major, the log of the attention over its mean in the image.

    attention: by layer (H, R, M), of R text tokens to M visual tokens. cells: (64, M), as in `Glimpse`.
    """
    found = np.empty((len(terms), GRID * GRID), dtype=np.float32)
    groups: dict[tuple[int, str], list[int]] = {}
    for number, term in enumerate(terms):
        groups.setdefault((term.layer, term.rows), []).append(number)
    for (layer, rows), members in groups.items():
        chosen: Floats = _rows(attention[layer][[terms[number].head for number in members]], rows, cells)
        found[members] = np.log(chosen / chosen.mean(1, keepdims=True))
    return found


def cell_scores(shares: NDArray[np.floating], terms: Sequence[AttentionTerm]) -> Floats:
    """(8, 8), by row and column: the `shares` (T, 64) of the terms, weighted and summed."""
    weights = np.array([term.weight for term in terms])
    return np.asarray(weights @ shares.astype(float)).reshape(GRID, GRID)


def _rows(attention: NDArray[np.floating], rows: str, cells: Floats) -> Floats:
    """(T, R, M) -> (T, 64)."""
    if rows == "first" or rows in _FROM_END:
        count = attention.shape[1]
        return attention[:, -min(_FROM_END.get(rows, count), count)] @ cells.T + _LEAST
    spread = attention @ cells.T  # (T, R, 64)
    return (spread.mean(1) if rows == "mean" else spread.max(1)) + _LEAST


def region_scores(heat: Floats, whole: float = 0.0) -> Floats:
    """(8, 8, 8, 8): the probability of every region, by xmin, ymin, xmax and ymax; 0 where these are none.

    heat: (8, 8), by row and column. whole: what all 64 cells together count more than their heat.
    """
    sums = np.pad(heat.cumsum(0).cumsum(1), (1, 0)).T  # (9, 9) by x and y: all that is left of and above a corner
    first, last = np.arange(GRID), np.arange(1, GRID + 1)
    x0, y0, x1, y1 = np.ix_(first, first, last, last)
    score = sums[x1, y1] - sums[x0, y1] - sums[x1, y0] + sums[x0, y0]
    score[0, 0, -1, -1] += whole
    score[(x0 >= x1) | (y0 >= y1)] = -np.inf
    likely = np.exp(score - score.max())
    return np.asarray(likely / likely.sum())
