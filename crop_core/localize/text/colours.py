"""The colours of a line: of the plate that it stands on, and of its letters; and how far the plate reaches."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from crop_core.localize.text.lines import Floats, Line

# Names in questions, with a colour of each (RGB). CIELAB tells them apart by hue, and those without hue by lightness.
COLOURS: dict[str, tuple[int, int, int]] = {
    "red": (205, 35, 35),
    "orange": (240, 130, 25),
    "yellow": (245, 215, 40),
    "green": (35, 140, 60),
    "blue": (40, 85, 210),
    "purple": (135, 50, 170),
    "pink": (240, 130, 180),
    "brown": (120, 75, 40),
    "black": (20, 20, 20),
    "grey": (128, 128, 128),
    "white": (250, 250, 250),
}
OTHER_NAMES = {"gray": "grey", "violet": "purple", "silver": "grey", "golden": "yellow", "turquoise": "blue"}
COLOURED = 18.0  # chroma from which a colour has a hue that people name
HUE, CHROMA, LIGHTNESS = 50.0, 25.0, 50.0  # differences (degrees, CIELAB) at which two colours have nothing in common
SAME = 16.0  # CIELAB distance within a plate
REACH = 3.0  # heights of the line beyond it in which its plate may end
RIM = 0.1  # heights of the line by which a plate is widened for its frame
EDGE = 0.12  # heights of the line that its outer pixels reach inwards; these are of the plate
LAB = NDArray[np.float32]  # (..., 3): L 0..100, a and b


@dataclass(frozen=True)
class Plate:
    """What a line stands on. colour, ink: CIELAB of plate and letters. box: left, top, right, bottom in pixels of the
    area of that colour around the line; None where that has no end nearby, as on a page.
    """

    colour: tuple[float, float, float]
    ink: tuple[float, float, float]
    box: tuple[float, float, float, float] | None


def named_colour(words: list[str]) -> str | None:
    """The first colour that a question names."""
    found = (OTHER_NAMES.get(word, word) for word in words)
    return next((name for name in found if name in COLOURS), None)


def likeness(plate: Plate, name: str) -> float:
    """How far people would call a sign with this plate by the colour `name`, 0..1.

    A sign is called by the more colourful of its plate and its letters; where neither has a hue by its plate, and less
    so by its letters.
    """
    has_hue = name not in ("black", "grey", "white")
    own, ink = (_likeness(each, name) for each in (plate.colour, plate.ink))
    chroma, ink_chroma = (np.hypot(*each[1:]) for each in (plate.colour, plate.ink))
    if has_hue:
        return max(own, 0.9 * ink if chroma < COLOURED else 0.3 * ink)
    return max(own * (0.5 if ink_chroma > 2 * COLOURED else 1.0), 0.8 * ink if chroma < COLOURED else 0.2 * ink)


def _likeness(colour: tuple[float, float, float], name: str) -> float:
    reference = _reference(name)
    chroma, other = (float(np.hypot(*each[1:])) for each in (colour, reference))
    if other < COLOURED:
        return _falling(chroma, CHROMA) * _falling(abs(colour[0] - reference[0]), LIGHTNESS)
    hues = [np.arctan2(each[2], each[1]) for each in (colour, reference)]
    turn = abs(float(np.rad2deg(np.angle(np.exp(1j * (hues[0] - hues[1]))))))
    lightness = 0.6 + 0.4 * _falling(abs(colour[0] - reference[0]), LIGHTNESS)
    return _falling(turn, HUE) * min(1.0, chroma / CHROMA) * lightness


def _falling(difference: float, end: float) -> float:
    return max(0.0, 1 - difference / end)


@lru_cache(maxsize=len(COLOURS))
def _reference(name: str) -> tuple[float, float, float]:
    pixel = np.array([[COLOURS[name]]], np.uint8)
    light, a, b = lab(pixel)[0, 0].tolist()
    return light, a, b


def lab(pixels: NDArray[np.uint8]) -> LAB:
    """CIELAB of RGB pixels (H, W, 3)."""
    return np.asarray(cv2.cvtColor(pixels.astype(np.float32) / 255, cv2.COLOR_RGB2LAB))


def plate_of(pixels: NDArray[np.uint8], line: Line) -> Plate:
    """The plate of a line in an RGB image (H, W, 3), at least one pixel of which the line covers."""
    window, (left, top) = _window(pixels, line)
    colours = lab(cv2.medianBlur(window, 3)) if min(window.shape[:2]) >= 3 else lab(window)
    inside = np.zeros(colours.shape[:2], np.uint8)
    cv2.fillPoly(inside, [np.round(line.quad - (left, top)).astype(np.int32)], 1)
    edge = inside - cv2.erode(inside, np.ones((3, 3), np.uint8), iterations=max(1, round(EDGE * line.height)))
    plate, ink = _two_colours(colours[inside > 0], edge[inside > 0] > 0)
    same = (np.linalg.norm(colours - np.asarray(plate, np.float32), axis=2) < SAME).astype(np.uint8)
    return Plate(plate, ink, _extent(same, inside, line, (left, top)))


def _window(pixels: NDArray[np.uint8], line: Line) -> tuple[NDArray[np.uint8], tuple[int, int]]:
    """The part of the image around a line, and its top left corner."""
    reach = REACH * line.height + 2
    left, top, right, bottom = line.box
    x0, y0 = max(0, int(left - reach)), max(0, int(top - reach))
    window = pixels[y0 : int(bottom + reach) + 1, x0 : int(right + reach) + 1]
    return np.ascontiguousarray(window), (x0, y0)


def _two_colours(inside: LAB, edge: NDArray[np.bool_]) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
    """Plate and letters of the pixels (K, 3) of a line: the two sides of the best cut along their longest axis. The
    plate has more of those at its `edge`, (K,).
    """
    values = inside.reshape(-1, 3).astype(float)
    centred = values - values.mean(0)
    axis = np.linalg.svd(centred[:: max(1, len(centred) // 2000)], full_matrices=False)[2][0]
    along = centred @ axis
    spread = max(float(np.ptp(along)), 1e-6)
    grey = np.round(255 * (along - along.min()) / spread).astype(np.uint8)
    threshold, _ = cv2.threshold(grey[None], 0, 1, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    low = grey <= threshold
    is_plate = low if 2 * low[edge].sum() >= edge.sum() else ~low
    return _median(values[is_plate]), _median(values[~is_plate] if (~is_plate).any() else values)


def _median(values: Floats) -> tuple[float, float, float]:
    light, a, b = np.median(values, axis=0).tolist()
    return light, a, b


def _extent(
    same: NDArray[np.uint8], inside: NDArray[np.uint8], line: Line, corner: tuple[int, int]
) -> tuple[float, float, float, float] | None:
    """The box around all parts of the plate's colour that touch the line, its letters between them."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(same, connectivity=4)
    touching = np.unique(labels[(inside > 0) & (same > 0)])
    touching = touching[touching > 0]
    if count < 2 or not len(touching):
        return None
    boxes = stats[touching]
    left, top = boxes[:, cv2.CC_STAT_LEFT].min(), boxes[:, cv2.CC_STAT_TOP].min()
    right = (boxes[:, cv2.CC_STAT_LEFT] + boxes[:, cv2.CC_STAT_WIDTH]).max()
    bottom = (boxes[:, cv2.CC_STAT_TOP] + boxes[:, cv2.CC_STAT_HEIGHT]).max()
    height, width = same.shape
    if sum((left <= 0, top <= 0, right >= width, bottom >= height)) >= 2:
        return None  # it goes on beyond the window: no plate
    rim = RIM * line.height
    x, y = corner
    return float(left + x - rim), float(top + y - rim), float(right + x + rim), float(bottom + y + rim)
