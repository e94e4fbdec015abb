"""Position of every visual token in the original image, from the image processor's settings.

Follows the steps of the CLIP, SigLIP and LLaVA image processors of transformers: pad to a square, resize, centre crop.
Knows nothing of models; tests/core/models/test_geometry.py compares with the real processors.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crop_core.models.adapter import ModelError, TokenLayout


@dataclass(frozen=True)
class Framing:
    """Geometric preprocessing steps of an image processor.

    pad_square: pad the shorter side, centred, before the resize.
    shortest_edge: resize so that the shorter side is this many pixels; None squashes instead.
    resize: (height, width) to squash to where shortest_edge is None.
    crop: (height, width) of the centre crop after the resize, or None.
    """

    pad_square: bool
    shortest_edge: int | None
    resize: tuple[int, int]
    crop: tuple[int, int] | None

    @classmethod
    def of(cls, image_processor: Any) -> Framing:
        """Read the settings of a transformers image processor; ModelError for unsupported steps."""
        size, crop_size = image_processor.size, image_processor.crop_size
        padded = bool(image_processor.do_pad)
        if padded and not hasattr(image_processor, "pad_to_square"):
            raise ModelError(
                f"{type(image_processor).__name__} pads after the resize, which is not supported; "
                "use an image processor that crops, squashes or pads to a square (LlavaImageProcessor)."
            )
        if not image_processor.do_resize or not (size.shortest_edge or (size.height and size.width)):
            raise ModelError(
                f"{type(image_processor).__name__} with size {size} is not supported; its size needs "
                "shortest_edge, or height and width."
            )
        return cls(
            pad_square=padded,
            shortest_edge=size.shortest_edge or None,
            resize=(size.height or 0, size.width or 0),
            crop=(crop_size.height, crop_size.width) if image_processor.do_center_crop else None,
        )


@dataclass(frozen=True)
class Frame:
    """An axis-aligned map from processed pixels to original ones: original = origin + scale * processed (x, y)."""

    width: int
    height: int
    origin: tuple[float, float]
    scale: tuple[float, float]


def frame_of(image_size: tuple[int, int], framing: Framing) -> Frame:
    """Size of the processed image of a (width, height) original, and its map to original pixels."""
    width, height = image_size
    left = top = 0
    if framing.pad_square:
        side = max(width, height)
        left, top = -((side - width) // 2), -((side - height) // 2)
        width = height = side
    new_height, new_width = _resized(width, height, framing)
    scale = (width / new_width, height / new_height)
    crop_height, crop_width = framing.crop or (new_height, new_width)
    dx, dy = _crop_start(new_width, crop_width), _crop_start(new_height, crop_height)
    return Frame(crop_width, crop_height, (left + dx * scale[0], top + dy * scale[1]), scale)


def _resized(width: int, height: int, framing: Framing) -> tuple[int, int]:
    if framing.shortest_edge is None:
        return framing.resize
    short, long = sorted((width, height))
    longer = int(framing.shortest_edge * long / short)  # truncates, as get_resize_output_image_size does
    return (longer, framing.shortest_edge) if width <= height else (framing.shortest_edge, longer)


def _crop_start(length: int, crop: int) -> int:
    """First processed pixel that a centre crop keeps; negative when the crop is larger and zeros are padded."""
    return (length - crop) // 2 if length >= crop else -math.ceil((crop - length) / 2)


def grid_layout(image_size: tuple[int, int], framing: Framing, patch: int, leading: int = 0) -> TokenLayout:
    """One grid of patch x patch tokens, row-major, after `leading` tokens without a position (class tokens)."""
    frame = frame_of(image_size, framing)
    rows, cols = frame.height // patch, frame.width // patch
    row, col = (index.reshape(-1) for index in np.indices((rows, cols)))
    corners = np.stack([col, row, col + 1, row + 1], axis=1).astype(float) * patch  # (N, 4) processed pixels
    boxes = np.asarray(frame.origin * 2) + np.asarray(frame.scale * 2) * corners
    visible = _visible(image_size, frame, rows * patch, cols * patch)
    view = np.zeros(rows * cols, dtype=np.int64)
    return TokenLayout(
        image_size,
        _lead(boxes, leading, np.nan),
        _lead(view, leading, -1),
        _lead(row, leading, -1),
        _lead(col, leading, -1),
        visible,
    )


def tiled_layout(image_size: tuple[int, int], rows: int, columns: int, side: int) -> TokenLayout:
    """rows x columns tiles of side x side tokens each, tile by tile, then an overview of side x side tokens; both cover
    the whole image. The overview is view 0, all tiles together are one grid, view 1; without tiles only the overview.
    """
    whole = Framing(pad_square=False, shortest_edge=None, resize=(side, side), crop=None)
    overview = grid_layout(image_size, whole, 1)
    if not rows * columns:
        return overview
    tiles = grid_layout(image_size, replace(whole, resize=(rows * side, columns * side)), 1)
    order = np.arange(tiles.count).reshape(rows, side, columns, side).swapaxes(1, 2).reshape(-1)  # tile by tile
    return TokenLayout(
        image_size,
        np.concatenate([tiles.boxes[order], overview.boxes]),
        np.concatenate([np.ones_like(tiles.view), overview.view]),
        np.concatenate([tiles.row[order], overview.row]),
        np.concatenate([tiles.col[order], overview.col]),
        overview.visible,
    )


def _visible(image_size: tuple[int, int], frame: Frame, height: int, width: int) -> tuple[float, float, float, float]:
    """The part of the original inside the whole patches; pixels beyond the last whole patch never reach the model."""
    right, bottom = frame.origin[0] + frame.scale[0] * width, frame.origin[1] + frame.scale[1] * height
    return (
        max(0.0, frame.origin[0]),
        max(0.0, frame.origin[1]),
        min(float(image_size[0]), right),
        min(float(image_size[1]), bottom),
    )


def _lead(array: NDArray[Any], count: int, value: float) -> NDArray[Any]:
    head = np.full((count, *array.shape[1:]), value, dtype=array.dtype)
    return np.concatenate([head, array])
