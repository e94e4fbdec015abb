"""The drawing that all three writers read: photos, filled boxes and polygons, lines and words, in points (1/72
inch) from the top left. Knows nothing of traces and of file formats.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Segments = NDArray[np.float64]  # (K, 2, 2): the (x, y) of both ends
Boxes = NDArray[np.float64]  # (K, 4): left, top, right, bottom


@dataclass(frozen=True, eq=False)
class Photo:
    """RGB pixels, (H, W, 3) uint8, stretched over a box."""

    pixels: NDArray[np.uint8]
    box: tuple[float, float, float, float]


@dataclass(frozen=True, eq=False)
class Area:
    """Boxes (K, 4) of one paint, to be filled as one area: where they touch there is no seam."""

    boxes: Boxes
    colour: str
    alpha: float = 1.0


@dataclass(frozen=True, eq=False)
class Faces:
    """Convex polygons (K, P, 2) of one paint, such as marks."""

    corners: NDArray[np.float64]
    colour: str
    alpha: float = 1.0


@dataclass(frozen=True, eq=False)
class Lines:
    """Segments (K, 2, 2) of one pen."""

    segments: Segments
    colour: str
    width: float
    alpha: float = 1.0


@dataclass(frozen=True)
class Words:
    """One line of text; (x, y) is where its base line starts, is centred or ends."""

    x: float
    y: float
    text: str
    size: float
    bold: bool = False
    colour: str = "#16202b"
    anchor: str = "start"


Shape = Photo | Area | Faces | Lines | Words


@dataclass(frozen=True)
class Drawing:
    """Shapes from back to front on a white page of width x height points. facts: what it shows, for the metadata."""

    width: float
    height: float
    shapes: list[Shape]
    title: str = ""
    facts: dict[str, str] = field(default_factory=dict)


def frame_lines(box: Iterable[float]) -> Segments:
    """(4, 2, 2) the four sides of a box."""
    left, top, right, bottom = box
    corners = [(left, top), (right, top), (right, bottom), (left, bottom)]
    return np.array([[corners[k], corners[(k + 1) % 4]] for k in range(4)], dtype=float)


def outside(box: Iterable[float], of: Iterable[float]) -> Boxes:
    """(K, 4) what is left of the box `of` without the box: none, or up to four."""
    (left, top, right, bottom), (x0, y0, x1, y1) = box, of
    parts = [(x0, y0, x1, top), (x0, bottom, x1, y1), (x0, top, left, bottom), (right, top, x1, bottom)]
    return boxes_of([part for part in parts if part[2] - part[0] > 1e-6 and part[3] - part[1] > 1e-6])


def boxes_of(rows: list[tuple[float, ...]]) -> Boxes:
    """(K, 4), also for none."""
    return np.array(rows, dtype=float).reshape(-1, 4)


def merged(boxes: Boxes) -> Boxes:
    """The same area in fewer boxes: neighbours in a row become one, then equal ones in a column."""
    for one, other, low, high in ((1, 3, 0, 2), (0, 2, 1, 3)):  # same rows, joined across; then the other way
        order = np.lexsort((boxes[:, low], boxes[:, other], boxes[:, one]))
        rows: list[NDArray[np.float64]] = []
        for box in boxes[order]:
            last = rows[-1] if rows else None
            if last is not None and np.allclose(
                [last[one], last[other], last[high]], [box[one], box[other], box[low]], atol=1e-4
            ):
                last[high] = box[high]
            else:
                rows.append(box.copy())
        boxes = np.array(rows).reshape(-1, 4)
    return boxes


def hatch(boxes: Boxes, pattern: str, step: float) -> Segments:
    """(K, 2, 2) parallel lines, `step` apart, over boxes: pattern "-" lies, "/" rises, "\\" falls, "x" does both, ""
    is none.

    The lines run on from one box into the next.
    """
    segments: list[Segments] = []
    if pattern in ("\\", "x"):
        segments += [_falling(box, step) for box in boxes]
    if pattern in ("/", "x"):  # the mirror image
        mirrored = boxes * [-1, 1, -1, 1]
        segments += [_falling(box, step) * [-1, 1] for box in mirrored[:, [2, 1, 0, 3]]]
    if pattern == "-":
        segments += [_lying(box, step) for box in boxes]
    return np.concatenate(segments) if segments else np.zeros((0, 2, 2))


def _lying(box: NDArray[np.float64], step: float) -> Segments:
    """Lines y = k * step through a box."""
    left, top, right, bottom = box
    return np.array([[(left, y), (right, y)] for y in np.arange(np.ceil(top / step), bottom / step) * step]).reshape(
        -1, 2, 2
    )


def _falling(box: NDArray[np.float64], step: float) -> Segments:
    """Lines x - y = k * step through a box."""
    left, top, right, bottom = box
    offset = np.arange(np.ceil((left - bottom) / step), np.floor((right - top) / step) + 1) * step  # x - y
    start, end = np.maximum(left, top + offset), np.minimum(right, bottom + offset)
    ends = np.stack([np.stack([start, start - offset], 1), np.stack([end, end - offset], 1)], 1)
    return ends[end - start > 1e-9]


def dashed(segments: Segments, dash: float) -> Segments:
    """The same lines in dashes of one length, with gaps as long."""
    parts = []
    for start, end in segments:
        count = max(1, round(float(np.hypot(*(end - start))) / (2 * dash)))
        at = np.arange(count) / count
        first, last = start + np.outer(at, end - start), start + np.outer(at + 0.5 / count, end - start)
        parts.append(np.stack([first, last], 1))
    return np.concatenate(parts) if parts else np.zeros((0, 2, 2))


def stroked(points: NDArray[np.float64], pattern: Sequence[float]) -> Segments:
    """(K, 2, 2) a line through points (P, 2), in lengths on and off that run on round its corners; whole without a
    pattern.
    """
    whole = np.stack([points[:-1], points[1:]], axis=1)
    if not pattern:
        return whole
    at = np.concatenate([[0.0], np.hypot(*(points[1:] - points[:-1]).T).cumsum()])  # length up to each point
    turns = np.arange(0, at[-1], sum(pattern))[:, None] + np.cumsum([0.0, *pattern])[:-1]
    parts = []
    for start, end in zip(turns[:, ::2].ravel(), turns[:, 1::2].ravel(), strict=True):
        inner = at[(at > start) & (at < min(end, at[-1]))]
        stops = np.concatenate([[start], inner, [min(end, at[-1])]])
        path = np.stack([np.interp(stops, at, points[:, side]) for side in (0, 1)], axis=1)
        parts.append(np.stack([path[:-1], path[1:]], axis=1)[np.diff(stops) > 0])
    return np.concatenate(parts) if parts else whole
