"""The explorer's pictures as pixels, for download and for papers (OpenCV). Reads a trace only; knows no model.

All functions take and give BGR uint8 arrays (H, W, 3); coordinates of the trace are scaled to the picture's size.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from ui import palette

if TYPE_CHECKING:
    from PIL import Image

    from crop_core.trace import TokenTrace

SIDE = 720  # width of one panel, in pixels
FONT = cv2.FONT_HERSHEY_SIMPLEX


def canvas(image: Image.Image, side: int = SIDE) -> np.ndarray:
    """`image` as a BGR array (H, W, 3) of width `side`."""
    height = max(1, round(image.height * side / image.width))
    pixels = cv2.cvtColor(np.asarray(image.convert("RGB")), cv2.COLOR_RGB2BGR)
    return cv2.resize(pixels, (side, height), interpolation=cv2.INTER_AREA if image.width > side else cv2.INTER_CUBIC)


def scaled_boxes(trace: TokenTrace, picture: np.ndarray) -> np.ndarray:
    """Boxes of all tokens in pixels of `picture`: int (N, 4), -1 where a token has no place or is of another view than
    the finest (the tiles, where a model has an overview too).
    """
    ratio = picture.shape[1] / trace.image_size[0]
    drawn = np.isfinite(trace.boxes) & (trace.view == trace.view.max())[:, None]
    return np.where(drawn, np.maximum(np.round(np.nan_to_num(trace.boxes) * ratio), 0), -1).astype(int)


def tint(picture: np.ndarray, mask: np.ndarray, colour: str, alpha: float, grey: bool = False) -> None:
    """Mixes `colour` into `picture` where `mask` (H, W) is true, in place; `grey` first takes its own colour out."""
    under = picture[mask].astype(float)  # (K, 3)
    if grey:
        under = np.repeat(under @ np.array([[0.114], [0.587], [0.299]]), 3, axis=1)
    picture[mask] = (under * (1 - alpha) + np.array(palette.bgr(colour)) * alpha).astype(np.uint8)


def token_mask(picture: np.ndarray, boxes: np.ndarray, tokens: np.ndarray) -> np.ndarray:
    """Pixels (H, W) covered by `tokens` (indices into `boxes`)."""
    mask = np.zeros(picture.shape[:2], bool)
    for left, top, right, bottom in boxes[tokens]:
        if left >= 0:
            mask[top:bottom, left:right] = True
    return mask


def outline(picture: np.ndarray, mask: np.ndarray, colour: str, thickness: int = 1) -> None:
    """Draws the outline of a mask (H, W), in place."""
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    cv2.drawContours(picture, contours, -1, palette.bgr(colour), thickness, cv2.LINE_AA)


def draw_region(picture: np.ndarray, trace: TokenTrace) -> None:
    """The region's box with a white casing, in place."""
    ratio = picture.shape[1] / trace.image_size[0]
    left, top, right, bottom = (round(value * ratio) for value in trace.region.box)
    for colour, width in (("#ffffff", 7), (palette.REGION, 3)):
        cv2.rectangle(picture, (left + 2, top + 2), (right - 3, bottom - 3), palette.bgr(colour), width, cv2.LINE_AA)


def draw_border(picture: np.ndarray, trace: TokenTrace) -> None:
    """Hatches what the model cannot see, in place."""
    ratio = picture.shape[1] / trace.image_size[0]
    left, top, right, bottom = (round(value * ratio) for value in trace.visible)
    hidden = np.ones(picture.shape[:2], bool)
    hidden[top:bottom, left:right] = False
    rows, columns = np.indices(hidden.shape)
    tint(picture, hidden, palette.VEIL, 0.7)
    tint(picture, hidden & ((rows + columns) % 12 < 2), "#1e293b", 0.6)


def draw_group(picture: np.ndarray, boxes: np.ndarray, colour: str) -> None:
    """One input token: the outline of its members' boxes (K, 4), tinted when there are several; in place."""
    placed = boxes[boxes[:, 0] >= 0]
    if not len(placed):
        return
    left, top = placed[:, :2].min(axis=0)
    right, bottom = placed[:, 2:].max(axis=0)
    window = picture[top:bottom, left:right]  # a view: small masks are fast
    mask = token_mask(window, placed - [left, top, left, top], np.arange(len(placed)))
    if len(boxes) > 1:
        tint(window, mask, colour, 0.38, grey=True)
    outline(window, mask, colour)


def region_picture(image: Image.Image, trace: TokenTrace) -> np.ndarray:
    """The picture with the 8x8 grid and the region, everything outside it dimmed."""
    picture = canvas(image)
    height, width = picture.shape[:2]
    ratio = width / trace.image_size[0]
    left, top, right, bottom = (round(value * ratio) for value in trace.region.box)
    outside = np.ones((height, width), bool)
    outside[top:bottom, left:right] = False
    tint(picture, outside, "#0f172a", 0.32)
    for step in range(1, 8):
        across, down = width * step // 8, height * step // 8
        cv2.line(picture, (across, 0), (across, height), (235, 235, 235), 1)
        cv2.line(picture, (0, down), (width, down), (235, 235, 235), 1)
    draw_border(picture, trace)
    draw_region(picture, trace)
    return picture


def compression_picture(image: Image.Image, trace: TokenTrace) -> np.ndarray:
    """Retained tokens clear, each pooled group one tinted and outlined cell, dropped tokens veiled."""
    picture = canvas(image)
    boxes = scaled_boxes(trace, picture)
    tint(picture, token_mask(picture, boxes, np.flatnonzero(trace.group < 0)), palette.VEIL, 0.85)
    for group in range(trace.input_tokens):
        members = np.flatnonzero(trace.group == group)
        draw_group(picture, boxes[members], palette.ring_colour(int(trace.ring[members[0]])))
    draw_border(picture, trace)
    draw_region(picture, trace)
    return picture


def pruning_picture(image: Image.Image, trace: TokenTrace, layer: int) -> np.ndarray:
    """Tokens alive in `layer` clear, all others veiled."""
    picture = canvas(image)
    gone = np.flatnonzero(trace.died_at <= layer)
    tint(picture, token_mask(picture, scaled_boxes(trace, picture), gone), palette.VEIL, 0.88)
    draw_border(picture, trace)
    draw_region(picture, trace)
    return picture


def captioned(picture: np.ndarray, caption: str) -> np.ndarray:
    """A picture under a white strip with one line of text."""
    strip = np.full((44, picture.shape[1], 3), 255, np.uint8)
    cv2.putText(strip, caption, (4, 29), FONT, 0.62, (43, 32, 22), 1, cv2.LINE_AA)
    return np.vstack([strip, picture])


def sheet(image: Image.Image, trace: TokenTrace) -> np.ndarray:
    """The three pictures side by side with captions: region, compression, pruning after the last cut."""
    last = trace.layers - 1
    panels = (
        captioned(region_picture(image, trace), f"1 region ({trace.region.source})"),
        captioned(
            compression_picture(image, trace), f"2 compression: {trace.visual_tokens} to {trace.input_tokens} tokens"
        ),
        captioned(pruning_picture(image, trace, last), f"3 pruning: {trace.final_tokens} alive in layer {last}"),
    )
    gap = np.full((panels[0].shape[0], 24, 3), 255, np.uint8)
    return np.hstack([panels[0], gap, panels[1], gap, panels[2]])


def png(picture: np.ndarray) -> bytes:
    """A BGR array as a PNG file's bytes."""
    return cv2.imencode(".png", picture)[1].tobytes()
