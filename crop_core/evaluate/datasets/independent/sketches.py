"""Sketches: pictograms and shapes as areas, ovals and lines on a grid of 100 x 100. Knows nothing of pixels and inks.

Only integers, so that every machine draws the same.
"""

from __future__ import annotations

import math
from typing import NamedTuple

Points = tuple[tuple[int, int], ...]
FULL = 100  # side of the grid
_TURNS = tuple((round(500 * math.cos(math.pi * i / 12)), round(500 * math.sin(math.pi * i / 12))) for i in range(24))


class Part(NamedTuple):
    """One closed area, or an open line, in one ink of `tiles.PAINTS`; "" for the ink that the drawing is asked for."""

    ink: str
    points: Points
    is_line: bool = False


def _pairs(numbers: tuple[int, ...]) -> Points:
    """Corners from x, y, x, y."""
    return tuple(zip(numbers[::2], numbers[1::2], strict=True))


def _area(ink: str, *numbers: int) -> Part:
    """A polygon: x, y of each corner."""
    return Part(ink, _pairs(numbers))


def _line(ink: str, *numbers: int) -> Part:
    """An open line: x, y of each corner."""
    return Part(ink, _pairs(numbers), is_line=True)


def _oval(ink: str, left: int, top: int, right: int, bottom: int) -> Part:
    """An ellipse in a box, as a polygon of 24 corners."""
    wide, high = right - left, bottom - top
    return Part(
        ink, tuple(((left + right + wide * x // 500) // 2, (top + bottom + high * y // 500) // 2) for x, y in _TURNS)
    )


def _box(ink: str, left: int, top: int, right: int, bottom: int) -> Part:
    """A rectangle."""
    return _area(ink, left, top, right, top, right, bottom, left, bottom)


def _eyes(ink: str, left: int, right: int, top: int, size: int = 9) -> tuple[Part, Part]:
    """Two eyes: the outer edges of the left and the right one, and their top."""
    return _oval(ink, left, top, left + size, top + size + 2), _oval(ink, right - size, top, right, top + size + 2)


SHAPES: dict[str, tuple[Part, ...]] = {
    "circle": (_oval("", 2, 2, 98, 98),),
    "triangle": (_area("", 50, 3, 98, 95, 2, 95),),
    "diamond": (_area("", 50, 1, 94, 50, 50, 99, 6, 50),),
    "star": (_area("", 50, 1, 63, 36, 99, 38, 71, 61, 81, 97, 50, 76, 19, 97, 29, 61, 1, 38, 37, 36),),
    "cross": (_area("", 37, 2, 63, 2, 63, 37, 98, 37, 98, 63, 63, 63, 63, 98, 37, 98, 37, 63, 2, 63, 2, 37, 37, 37),),
}
PICTOGRAMS: dict[str, tuple[Part, ...]] = {  # those that the bundled baseline can name, in one manner at least
    "carrot": (_area("orange", 26, 30, 50, 24, 74, 30, 54, 98, 46, 98), _line("brown", 34, 46, 50, 48),
        _line("brown", 52, 64, 62, 62), _area("green", 50, 28, 22, 6, 42, 14, 50, 1, 58, 14, 78, 6)),
    "cake": (_box("brown", 8, 50, 92, 96), _area("pink", 8, 42, 92, 42, 92, 58, 78, 70, 64, 58, 50, 70, 36, 58, 22,
        70, 8, 58), _line("blue", 50, 42, 50, 20), _line("blue", 28, 42, 28, 22), _line("blue", 72, 42, 72, 22),
        _oval("orange", 45, 6, 55, 20), _oval("orange", 23, 8, 33, 22), _oval("orange", 67, 8, 77, 22)),
    "burger": (_oval("tan", 6, 6, 94, 74), _area("green", 2, 48, 98, 48, 92, 60, 8, 60), _box("brown", 6, 58, 94,
        72), _area("tan", 8, 72, 92, 72, 84, 94, 16, 94), _oval("pale", 34, 20, 40, 26), _oval("pale", 58, 22, 64,
        28)),
    "car": (_area("red", 2, 54, 18, 50, 30, 24, 70, 24, 84, 50, 98, 56, 98, 80, 2, 80), _area("sky", 26, 48, 35, 30,
        48, 30, 48, 48), _area("sky", 54, 48, 54, 30, 66, 30, 76, 48), _oval("black", 14, 66, 38, 92),
        _oval("black", 62, 66, 86, 92)),
    "ball": (_oval("white", 3, 3, 97, 97), _area("black", 50, 32, 68, 45, 61, 66, 39, 66, 32, 45), _area("black",
        38, 4, 62, 4, 50, 14), _area("black", 4, 40, 14, 32, 16, 48), _area("black", 96, 40, 86, 32, 84, 48),
        _area("black", 20, 84, 28, 74, 36, 90), _area("black", 80, 84, 72, 74, 64, 90)),
    "clock": (_oval("red", 2, 2, 36, 36), _oval("red", 64, 2, 98, 36), _line("red", 24, 84, 12, 98), _line("red",
        76, 84, 88, 98), _oval("red", 6, 8, 94, 96), _oval("white", 16, 18, 84, 86), _line("black", 50, 28, 50, 54,
        68, 54)),
    "book": (_area("red", 16, 4, 90, 4, 90, 80, 16, 80), _area("white", 18, 80, 90, 80, 90, 92, 18, 92),
        _area("red", 10, 8, 18, 4, 18, 96, 10, 92), _line("red", 16, 94, 90, 94), _box("yellow", 34, 22, 72, 32)),
    "gift": (_box("yellow", 10, 44, 90, 97), _box("yellow", 4, 28, 96, 46), _box("red", 43, 28, 57, 97),
        _oval("red", 18, 6, 50, 30), _oval("red", 50, 6, 82, 30)),
    "sunflower": (_line("green", 50, 60, 50, 98), _area("green", 50, 88, 22, 74, 34, 92), *(_oval("yellow", x - 15,
        y - 15, x + 15, y + 15) for x, y in ((50, 16), (72, 24), (80, 44), (72, 62), (50, 68), (28, 62), (20, 44),
        (28, 24))), _oval("brown", 32, 24, 68, 60)),
    "cloud": (_oval("cloud", 2, 44, 46, 84), _oval("cloud", 54, 40, 98, 84), _oval("cloud", 22, 18, 76, 76),
        _box("cloud", 20, 58, 80, 83)),
    "moon": (_area("yellow", 62, 2, 40, 6, 20, 24, 12, 50, 20, 76, 40, 94, 64, 98, 86, 86, 66, 82, 48, 66, 42, 46,
        46, 22),),
    "cat": (_area("orange", 12, 4, 44, 28, 16, 52), _area("orange", 88, 4, 56, 28, 84, 52), _oval("orange", 8, 20,
        92, 94), *_eyes("black", 28, 72, 46), _area("pink", 44, 62, 56, 62, 50, 70), _line("black", 4, 62, 26, 66),
        _line("black", 96, 62, 74, 66), _line("black", 50, 70, 40, 78), _line("black", 50, 70, 60, 78)),
    "rabbit": (_oval("pale", 22, 1, 44, 52), _oval("pale", 56, 1, 78, 52), _oval("pink", 28, 8, 38, 44),
        _oval("pink", 62, 8, 72, 44), _oval("pale", 14, 36, 86, 98), *_eyes("black", 30, 70, 56), _area("pink", 44,
        72, 56, 72, 50, 80)),
    "fox": (_area("orange", 6, 4, 40, 30, 60, 30, 94, 4, 92, 54, 50, 98, 8, 54), _area("pale", 8, 54, 34, 54, 50,
        98), _area("pale", 92, 54, 66, 54, 50, 98), *_eyes("black", 28, 72, 46), _oval("black", 42, 84, 58, 98)),
    "panda": (_oval("black", 4, 6, 36, 38), _oval("black", 64, 6, 96, 38), _oval("white", 6, 12, 94, 96),
        _oval("black", 20, 38, 42, 66), _oval("black", 58, 38, 80, 66), *_eyes("white", 28, 72, 46, 8),
        _oval("black", 42, 68, 58, 78)),
    "pig": (_area("pink", 10, 6, 42, 20, 14, 44), _area("pink", 90, 6, 58, 20, 86, 44), _oval("pink", 6, 12, 94,
        96), _oval("rose", 30, 50, 70, 80), *_eyes("black", 24, 76, 38), _oval("brown", 38, 58, 46, 72),
        _oval("brown", 54, 58, 62, 72)),
    "penguin": (_oval("black", 12, 2, 88, 96), _oval("white", 26, 22, 74, 92), *_eyes("black", 36, 64, 32, 7),
        _area("orange", 42, 44, 58, 44, 50, 58), _oval("orange", 22, 88, 46, 99), _oval("orange", 54, 88, 78, 99)),
    "bee": (_oval("sky", 30, 2, 58, 44), _oval("sky", 52, 2, 80, 44), _oval("yellow", 8, 30, 92, 86), _area("black",
        38, 32, 50, 30, 50, 86, 38, 84), _area("black", 62, 31, 74, 35, 74, 81, 62, 85), _oval("black", 18, 48, 26,
        58)),
}  # fmt: skip
