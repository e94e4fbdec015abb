"""The photo under a figure (OpenCV): scaled to what the figure needs, without colour where tokens were pooled."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from PIL import Image

MOST = 1400  # pixels of the longer side: 6 cm at 600 dpi


def pixels(image: Image.Image) -> NDArray[np.uint8]:
    """(H, W, 3) RGB, at most MOST pixels a side."""
    return smaller(np.asarray(image.convert("RGB")), MOST)


def smaller(found: NDArray[np.uint8], most: int) -> NDArray[np.uint8]:
    """The same image (H, W, 3) with at most so many pixels a side."""
    scale = most / max(found.shape[:2])
    if scale >= 1:
        return found
    size = tuple(max(1, round(side * scale)) for side in found.shape[1::-1])
    return np.asarray(cv2.resize(found, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def greyed(image: NDArray[np.uint8], boxes: NDArray[np.float64]) -> NDArray[np.uint8]:
    """A copy without colour in boxes (K, 4), which are shares (0..1) of its width and height."""
    height, width = image.shape[:2]
    grey = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    result = image.copy()
    shares = np.clip(boxes, 0, 1) * [width, height, width, height]
    for left, top, right, bottom in np.round(shares).astype(int):
        result[top:bottom, left:right] = grey[top:bottom, left:right]
    return result
