"""Pooled grid: the visual tokens of one view pooled to a coarse grid, and the map of attention to them to 8x8 cells.

OURS. Pure numpy; knows nothing of torch, models or questions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from crop_core.records.compression_plan import CompressionPlan
from crop_core.records.region import GRID

if TYPE_CHECKING:  # the layout's module imports torch
    from crop_core.models.adapter import TokenLayout

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
NOT_SEEN = "The image is so narrow that the centre of no visual token lies in it; its attention cannot be read."


@dataclass(frozen=True, eq=False)
class PooledGrid:
    """plan: N visual tokens become M, at most side x side. cells: (64, M), row-major over the region's grid: the share
    of each pooled token's members in a cell; a cell without tokens has the row of the nearest cell.
    """

    plan: CompressionPlan
    cells: Floats

    @classmethod
    def of(cls, layout: TokenLayout, side: int = GRID) -> PooledGrid:
        """Pool the tokens by side x side equal cells of the image, by their centres.

        Only one view is used: the one with the fewest tokens of those with a token in every cell of the region's grid,
        else the one that fills the most cells. Tokens outside the image, of other views or without a position are
        dropped. Raises ValueError where the image is so narrow that no token's centre lies in it.
        """
        seen = layout.in_sight
        if not seen.any():
            raise ValueError(NOT_SEEN)
        view = _view(layout, seen)
        own = seen & (layout.view == view)
        label = np.where(own, _part(layout, side), -1)
        plan = CompressionPlan.of(label, np.zeros_like(label))
        return cls(plan, _cells(layout, own, plan))


def _part(layout: TokenLayout, side: int) -> Ints:
    """(N,) row-major index of the side x side cell of each token's centre; -1 outside and without a position."""
    centre = (layout.boxes[:, :2] + layout.boxes[:, 2:]) / 2  # (N, 2) px
    place = np.floor(centre * side / np.array(layout.image_size))
    inside = ((place >= 0) & (place < side)).all(1)  # False for NaN
    across, down = np.where(inside[:, None], place, 0).astype(np.int64).T
    return np.where(inside, down * side + across, -1)


def _view(layout: TokenLayout, seen: NDArray[np.bool_]) -> int:
    """The view to pool; the first of equal ones."""
    cell = _part(layout, GRID)
    views = {int(view): seen & (layout.view == view) for view in np.unique(layout.view[seen])}
    return min(views, key=lambda view: (-len(np.unique(cell[views[view]])), int(views[view].sum())))


def _cells(layout: TokenLayout, own: NDArray[np.bool_], plan: CompressionPlan) -> Floats:
    """(64, M) as `PooledGrid.cells`."""
    cell, group = _part(layout, GRID)[own], plan.group[own]
    shares = np.zeros((GRID * GRID, plan.count))
    np.add.at(shares, (cell, group), 1.0)
    shares /= shares.sum(0)
    filled = np.unique(cell)
    row, column = np.divmod(np.arange(GRID * GRID), GRID)
    away = (row[:, None] - row[filled]) ** 2 + (column[:, None] - column[filled]) ** 2  # (64, filled)
    return np.asarray(shares[filled[away.argmin(1)]])
