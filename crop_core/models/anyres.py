"""Where the tokens of an image of any resolution lie: an overview of all of it, then tiles of a padded canvas.

Source: the processors and models of LLaVA-NeXT and LLaVA-OneVision in transformers: the canvas is the resolution of a
list that wastes least, the image is centred on it, whole rows and columns of padding are left out again, and every row
ends with a token that has no place. Held against the real processors in tests/core/models/test_anyres.py.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from transformers.image_processing_utils import select_best_resolution

from crop_core.models.adapter import TokenLayout
from crop_core.models.geometry import Framing, grid_layout

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class AnyRes:
    """side: pixels of the overview and of a tile. patch: pixels of a token. resolutions: (height, width) of canvases.
    most: so many tiles' worth of tokens are left of the canvas (LLaVA-OneVision shrinks more of them), None for all.
    """

    side: int
    patch: int
    resolutions: tuple[tuple[int, int], ...]
    max_tiles: int | None = None

    def layout(self, image_size: tuple[int, int]) -> TokenLayout:
        """N tokens of a (width, height) image: the overview's grid as view 0, the canvas' rows as view 1."""
        squash = Framing(pad_square=False, shortest_edge=None, resize=(self.side, self.side), crop=None)
        overview = grid_layout(image_size, squash, self.patch)
        width, height = image_size
        canvas = Canvas.of(self, width, height)
        left, right = self._spans(canvas.columns, canvas.tokens_across, canvas.left, canvas.scale_x)
        top, bottom = self._spans(canvas.rows, canvas.tokens_down, canvas.top, canvas.scale_y)
        row, col = np.indices((len(top), len(left)))
        boxes = np.stack([left[col], top[row], right[col], bottom[row]], axis=-1)  # (rows, columns, 4)
        return TokenLayout(
            image_size,
            np.concatenate([overview.boxes, _ended(boxes, np.nan).reshape(-1, 4)]),
            np.concatenate([overview.view, _ended(np.ones_like(row), -1).reshape(-1)]),
            np.concatenate([overview.row, _ended(row, -1).reshape(-1)]),
            np.concatenate([overview.col, _ended(col, -1).reshape(-1)]),
            overview.visible,
        )

    def padded(self, image_size: tuple[int, int]) -> TokenLayout:
        """One view of the image in the middle of a square, and the token that ends it."""
        square = Framing(pad_square=True, shortest_edge=None, resize=(self.side, self.side), crop=None)
        grid = grid_layout(image_size, square, self.patch)
        boxes = np.pad(grid.boxes, ((0, 1), (0, 0)), constant_values=np.nan)
        view, row, col = (np.append(part, -1) for part in (grid.view, grid.row, grid.col))
        return TokenLayout(image_size, boxes, view, row, col, grid.visible)

    def _spans(self, ends: tuple[int, int], count: int, start: int, scale: float) -> tuple[Floats, Floats]:
        """(count,) first and last original pixels of `count` tokens over the canvas' cells from ends[0] to ends[1].

        A tile's cells may not reach its end, so that two neighbours lie apart there.
        """
        cells, per_tile = ends[0] + (ends[1] - ends[0]) * np.arange(count + 1) / count, self.side // self.patch
        tile, last = np.floor(cells[:-1] / per_tile), np.ceil(cells[1:] / per_tile) - 1
        first_px = tile * self.side + (cells[:-1] - tile * per_tile) * self.patch
        last_px = last * self.side + (cells[1:] - last * per_tile) * self.patch
        return (first_px - start) * scale, (last_px - start) * scale


@dataclass(frozen=True)
class Canvas:
    """left, top: canvas pixels where the image begins. scale_x, scale_y: original pixels per canvas pixel. columns,
    rows: (first, end) cells that are not left out. tokens_across, tokens_down: what they are shrunk to.
    """

    left: int
    top: int
    scale_x: float
    scale_y: float
    columns: tuple[int, int]
    rows: tuple[int, int]
    tokens_across: int
    tokens_down: int

    @classmethod
    def of(cls, how: AnyRes, width: int, height: int) -> Canvas:
        """The canvas of a width x height image."""
        high, wide = select_best_resolution((height, width), [list(each) for each in how.resolutions])
        fit_x, fit_y = wide / width, high / height
        if fit_x < fit_y:
            new_width, new_height = wide, min(math.ceil(height * fit_x), high)
        else:
            new_width, new_height = min(math.ceil(width * fit_y), wide), high
        per_tile = how.side // how.patch
        across, down = wide // how.side * per_tile, high // how.side * per_tile
        columns, rows = _unpadded(width, height, across, down)
        tokens = (columns[1] - columns[0], rows[1] - rows[0])
        shrink = math.sqrt(tokens[0] * tokens[1] / (how.max_tiles * per_tile**2)) if how.max_tiles else 1.0
        if shrink > 1.1:
            tokens = (int(tokens[0] // shrink), int(tokens[1] // shrink))
        start = ((wide - new_width) // 2, (high - new_height) // 2)
        return cls(*start, width / new_width, height / new_height, columns, rows, *tokens)


def _unpadded(width: int, height: int, across: int, down: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """(first, end) columns and rows of an across x down canvas that hold some of the image, as the model counts."""
    if width / height > across / down:
        spare = (down - int(round(height * (across / width), 7))) // 2
        return (0, across), (spare, down - spare)
    spare = (across - int(round(width * (down / height), 7))) // 2
    return (spare, across - spare), (0, down)


def _ended(cells: NDArray[Any], value: float) -> NDArray[Any]:
    """One more cell of `value` at the end of every row of (rows, columns, ...)."""
    return np.concatenate([cells, np.full((len(cells), 1, *cells.shape[2:]), value, dtype=cells.dtype)], axis=1)
