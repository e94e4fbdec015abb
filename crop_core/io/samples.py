"""Samples of any depth and mode to 8-bit RGB. Knows nothing of files."""

from __future__ import annotations

import numpy as np
from PIL import Image

MAX_16_BIT = 257  # 65535 / 255


def to_rgb(image: Image.Image) -> Image.Image:
    """A new RGB image: transparency composed on white, deep samples scaled to 8 bits, no colour profile applied."""
    if image.mode.startswith("I;16"):
        image = Image.fromarray(to_8_bit(np.asarray(image, dtype=np.float64) / MAX_16_BIT))
    elif image.mode in ("I", "F"):
        image = Image.fromarray(to_8_bit(_stretched(np.asarray(image, dtype=np.float64))))
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")
    return image.copy() if image.mode == "RGB" else image.convert("RGB")


def to_8_bit(values: np.ndarray) -> np.ndarray:
    """Rounded and clipped to 0..255."""
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def _stretched(values: np.ndarray) -> np.ndarray:
    """Samples of unknown range (H, W) to 0..255: common ranges are kept, others are scaled from minimum to maximum."""
    values = np.nan_to_num(values, posinf=0.0, neginf=0.0)
    low, high = float(values.min()), float(values.max())
    if low >= 0 and high <= 1:
        return values * 255
    if low >= 0 and high <= 255:
        return values
    if low >= 0 and high <= 65535:
        return values / MAX_16_BIT
    return (values - low) / (high - low) * 255
