"""Letters of a figure: which font, how large, and whether an SVG holds text or shapes."""

from __future__ import annotations

from dataclasses import dataclass

from crop_core.records.formatting import truncated_repr

FONTS = ("sans", "serif")
MIN_SIZE, MAX_SIZE = 6.0, 10.0  # points


class FigureError(ValueError):
    """Invalid options of a figure; the message is one sentence."""


@dataclass(frozen=True)
class Letters:
    """font: one of FONTS. size: points, whatever the figure's width; titles are one point larger. outlines: whether
    the text of an SVG becomes shapes, which need no font and cannot be searched; a PDF embeds its fonts. Raises
    FigureError.
    """

    font: str = "sans"
    size: float = 7.0
    outlines: bool = False

    def __post_init__(self) -> None:
        if self.font not in FONTS:
            raise FigureError(f"The font {truncated_repr(self.font)} is not known; choose {' or '.join(FONTS)}.")
        if not MIN_SIZE <= self.size <= MAX_SIZE:
            raise FigureError(
                f"Letters of {self.size:g} pt cannot be drawn; give a size from {MIN_SIZE:g} to {MAX_SIZE:g} pt."
            )


DEFAULT_LETTERS = Letters()
