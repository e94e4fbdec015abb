"""Boxes in the forms that annotations have, as grid cells. Knows nothing of rows and files.

Accepted: [left, top, right, bottom], a list of such boxes, objects ({"x", "y", "width", "height"}, {"xmin", "ymin",
"xmax", "ymax"} and the like), polygons ([x, y, x, y, x, y, ...] or [[x, y], ...], of which the box around counts), and
any of these as a text. Numbers alone do not say what they mean: they are pixels of the image, left, top, right and
bottom, unless another of FORMS is given; boxes that cannot be that are refused.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from crop_core.io.tables import value_in
from crop_core.records.formatting import truncated_repr
from crop_core.records.region import BOX_FORMS, Region, looks_like_shares
from crop_core.train.localizer.settings import TuneError

Box = tuple[float, float, float, float]
FORMS = BOX_FORMS
PIXELS, XYWH, SHARES, THOUSANDTHS = FORMS
_CORNERS = (
    ("left", "top", "right", "bottom"),
    ("x0", "y0", "x1", "y1"),
    ("x1", "y1", "x2", "y2"),
    ("xmin", "ymin", "xmax", "ymax"),
    ("x_min", "y_min", "x_max", "y_max"),
)
_SIDES = (("x", "y", "width", "height"), ("x", "y", "w", "h"), ("left", "top", "width", "height"))
_SLACK = 0.02  # of a side, plus a pixel: how far annotators draw beyond the image
_MANY, _SHARE = 2, 0.25  # doubtful rows, at least so many and so large a share, at which a file is refused


@dataclass
class BoxReader:
    """Grid cells of the boxes of one file's rows. form: one of FORMS, which is then believed; None for pixels, unless
    `check` finds that many of the boxes cannot be.
    """

    form: str | None = None
    rows: int = 0
    doubtful: list[str] = field(default_factory=list)
    fitting: Counter[str] = field(default_factory=Counter)

    def cells(self, position: str, value: Any, size: tuple[int, int]) -> tuple[int, int, int, int]:
        """The fewest grid cells that cover all boxes of a row about a (width, height) image, clipped to it.

        Raises TuneError for boxes that are none, upside down or outside the image, and for shares that nobody stated.
        """
        if self.form is None:
            self._count(position, value, size)
        boxes = in_pixels(value, self.form or PIXELS, size)
        shares = next((box for box in boxes if self.form is None and looks_like_shares(box, *size)), None)
        if shares:
            raise TuneError(
                f"box {_shown(shares)} in {size[0]} x {size[1]} is less than a pixel; boxes are {FORMS[PIXELS]}, or "
                "say --boxes shares (or xywh, thousandths)"
            )
        return _around(boxes, size)

    def check(self, file: Path) -> None:
        """TuneError for a file many of whose boxes cannot be pixels; the message says what they may be."""
        if len(self.doubtful) < max(_MANY, _SHARE * self.rows):
            return
        fitting = [form for form in FORMS if form != PIXELS and self.fitting[form] == self.rows]
        raise TuneError(
            f"{len(self.doubtful)} of {self.rows} rows of '{file}' have boxes that leave their image or are upside "
            f"down, such as {self.doubtful[0]}; if they are {FORMS[PIXELS]}, say --boxes pixels, else "
            f"{_advice(fitting or [XYWH, SHARES, THOUSANDTHS])}."
        )

    def _count(self, position: str, value: Any, size: tuple[int, int]) -> None:
        fits = [form for form in FORMS if _fits(value, form, size)]
        self.rows += 1
        self.fitting.update(fits)
        if PIXELS not in fits:
            self.doubtful.append(f"{position}: {truncated_repr(value)} in {size[0]} x {size[1]}")


def in_pixels(value: Any, form: str, size: tuple[int, int]) -> list[Box]:
    """The boxes of a row as left, top, right, bottom in pixels of a (width, height) image; TuneError for none."""
    width, height = {PIXELS: (1, 1), XYWH: (1, 1), SHARES: size}.get(form, (size[0] / 1000, size[1] / 1000))
    boxes = [_box(each, form == XYWH) for each in _listed(value)]
    return [(left * width, top * height, right * width, bottom * height) for left, top, right, bottom in boxes]


def _fits(value: Any, form: str, size: tuple[int, int]) -> bool:
    """Whether boxes are the right way up and inside the image, as far as annotators draw."""
    (width, height), (x, y) = size, (1 + _SLACK * side for side in size)
    return all(
        -x <= left < right <= width + x and -y <= top < bottom <= height + y
        for left, top, right, bottom in in_pixels(value, form, size)
    )


def _around(boxes: Sequence[Box], size: tuple[int, int]) -> tuple[int, int, int, int]:
    width, height = size
    for box in boxes:
        if box[0] >= box[2] or box[1] >= box[3]:
            raise TuneError(f"box {_shown(box)} is upside down or empty; boxes are {FORMS[PIXELS]}")
    left, top = (max(0.0, min(box[edge] for box in boxes)) for edge in (0, 1))
    right, bottom = (min(side, max(box[edge] for box in boxes)) for side, edge in ((width, 2), (height, 3)))
    if left >= right or top >= bottom:
        raise TuneError(f"boxes {[list(box) for box in boxes]} lie outside the image, which is {width} x {height}")
    return Region.from_box((left, top, right, bottom), width, height, "predicted").grid


def _listed(value: Any) -> list[Any]:
    """The boxes of a value: its items, or itself."""
    value = _parsed(value) if isinstance(value, str) else value
    if isinstance(value, dict):
        return [value]
    if not isinstance(value, (list, tuple)) or not value:
        raise TuneError(f"boxes {truncated_repr(value)} are not a list of at least one [left, top, right, bottom]")
    points = len(value) > 1 and all(_is_point(each) for each in value)
    return [value] if points or all(_is_number(each) for each in value) else list(value)


def _parsed(text: str) -> Any:
    """The value of a text in JSON, in Python, or of numbers between spaces; the text itself where it is neither."""
    value = value_in(text)
    if not isinstance(value, str):
        return value
    try:
        return [float(word) for word in text.split()]
    except ValueError:
        return text


def _box(value: Any, sides: bool) -> Box:
    """One box as left, top, right, bottom. sides: whether four numbers are left, top, width and height."""
    value = _parsed(value) if isinstance(value, str) else value
    if isinstance(value, dict):
        return _of_object(value)
    flat = value if isinstance(value, (list, tuple)) else []
    points = len(flat) > 1 and all(map(_is_point, flat))
    numbers = [number for point in flat for number in point] if points else flat
    if len(numbers) < 4 or len(numbers) % 2 or not all(map(_is_number, numbers)):
        raise TuneError(f"box {truncated_repr(value)} is not four numbers, left, top, right and bottom in pixels")
    if points or len(numbers) > 4:
        return min(numbers[::2]), min(numbers[1::2]), max(numbers[::2]), max(numbers[1::2])
    left, top, right, bottom = map(float, numbers)
    return (left, top, left + right, top + bottom) if sides else (left, top, right, bottom)


def _of_object(value: dict[str, Any]) -> Box:
    if isinstance(value.get("points"), list):
        return _box(value["points"], False)
    names = next((each for each in (*_CORNERS, *_SIDES) if value.keys() >= set(each)), ())
    numbers = [value[name] for name in names]
    if not numbers or not all(map(_is_number, numbers)):
        raise TuneError(f"box {truncated_repr(value)} is not left, top, right and bottom, or x, y, width and height")
    return _box(numbers, names in _SIDES)


def _is_point(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and len(value) == 2 and all(map(_is_number, value))


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)


def _shown(box: Sequence[float]) -> str:
    return f"[{', '.join(f'{each:g}' for each in box)}]"


def _advice(forms: Sequence[str]) -> str:
    """ "--boxes xywh (left, top, width, height in pixels) or --boxes ..."."""
    return " or ".join(f"--boxes {form} ({FORMS[form]})" for form in forms)
