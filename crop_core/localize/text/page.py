"""Lines in the frame of their page, however it is turned: what stands beside and below what. Pure numpy."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np

from crop_core.localize.text.lines import Floats, Line

SAME_ROW = 0.5  # of the lower line's height, that two lines of a row share
SAME_COLUMN = 0.3  # of the narrower line's width, that two lines of a column share
BELOW = 2.5  # heights of the upper line, between it and the one below
OVERLAP = 0.6  # heights of a line by which its neighbour may begin before its end


class Page:
    """lines: of one image. Raises no error for none.

    The frame has its x axis along the reading direction that most letters have. boxes: (L, 4) left, top, right, bottom
    in the frame, in pixels.
    """

    def __init__(self, lines: Sequence[Line]) -> None:
        self.lines = list(lines)
        corners = np.array([line.quad for line in lines]).reshape(-1, 4, 2) @ self._axes.T
        self.boxes = np.concatenate([corners.min(1), corners.max(1)], axis=1)  # (L, 4)

    @cached_property
    def _axes(self) -> Floats:
        """(2, 2): the frame's axes. The direction is the median of the lines', around the one with most letters."""
        if not self.lines:
            return np.eye(2)
        directions = np.array([line.direction for line in self.lines])
        angles = np.arctan2(directions[:, 1], directions[:, 0])
        letters = np.array([1 + len(line.text) for line in self.lines])
        quarter = np.round(angles / (np.pi / 2)) % 4
        main = max(set(quarter.tolist()), key=lambda each: letters[quarter == each].sum())
        own = (angles - main * np.pi / 2 + np.pi) % (2 * np.pi) - np.pi
        chosen = np.repeat(own[quarter == main], letters[quarter == main])
        turn = float(np.median(chosen)) + main * np.pi / 2
        return np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])

    @property
    def reading_order(self) -> list[int]:
        """Lines from top to bottom."""
        middles = (self.boxes[:, 1] + self.boxes[:, 3]) / 2
        return sorted(range(len(self.lines)), key=lambda number: (middles[number], self.boxes[number, 0]))

    @cached_property
    def rows(self) -> list[list[int]]:
        """Lines of each row, from top to bottom."""
        rows: list[list[int]] = []
        for number in self.reading_order:
            if rows and self._in_a_row(number, rows[-1][0]):
                rows[-1].append(number)
            else:
                rows.append([number])
        return rows

    def _in_a_row(self, one: int, other: int) -> bool:
        (_, top, _, bottom), (_, y0, _, y1) = self.boxes[one], self.boxes[other]
        return bool(min(bottom, y1) - max(top, y0) > SAME_ROW * min(bottom - top, y1 - y0))

    def next_row(self, number: int, step: int) -> list[int]:
        """Lines of the row under (step 1) or over (-1) a line's own; none at the end of the page."""
        place = next(place for place, row in enumerate(self.rows) if number in row) + step
        return self.rows[place] if 0 <= place < len(self.rows) else []

    def height(self, number: int) -> float:
        """Of a line, across its reading direction."""
        return self.lines[number].height

    def right_of(self, number: int) -> list[int]:
        """Lines of the same row behind this one, nearest first."""
        left, top, right, bottom = self.boxes[number]
        found = []
        for other, (x0, y0, _, y1) in enumerate(self.boxes):
            shared = min(bottom, y1) - max(top, y0)
            begins_behind = x0 > right - OVERLAP * self.height(number) and x0 > left
            if other != number and begins_behind and shared > SAME_ROW * min(bottom - top, y1 - y0):
                found.append((float(x0), other))
        return [other for _, other in sorted(found)]

    def left_of(self, number: int) -> list[int]:
        """Lines of the same row that this one is the next of."""
        return [other for other in range(len(self.lines)) if number in self.right_of(other)[:1]]

    def below(self, number: int) -> list[int]:
        """Lines closely under this one, nearest first."""
        return [other for gap, other in self._under(number) if gap < BELOW * self.height(number)]

    def above(self, number: int) -> list[int]:
        """Lines that this one is the nearest under."""
        return [other for other in range(len(self.lines)) if number in self.below(other)[:1]]

    def column(self, number: int) -> list[int]:
        """Lines under this one, nearest first, however far."""
        return [other for _, other in self._under(number)]

    def _under(self, number: int) -> list[tuple[float, int]]:
        """(gap in pixels, line) of those under this one."""
        left, _, right, bottom = self.boxes[number]
        found = []
        for other, (x0, y0, x1, _) in enumerate(self.boxes):
            shared, gap = min(right, x1) - max(left, x0), float(y0 - bottom)
            under = gap > -OVERLAP * self.height(number) and shared > SAME_COLUMN * min(right - left, x1 - x0)
            if other != number and under:
                found.append((gap, other))
        return sorted(found)
