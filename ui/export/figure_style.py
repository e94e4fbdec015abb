"""Look of figures: matplotlib settings while a figure is made or written, widths of texts, paints and pens.

The fonts are DejaVu Sans and STIX, which matplotlib carries, so that figures look the same everywhere; letters that
they lack come from the first installed font that has them. Hue never stands alone: each paint or pen has its own hatch,
lightness, or dash and mark.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.font_manager import FontProperties, fontManager
from matplotlib.ft2font import FT2Font
from matplotlib.patches import Patch, PathPatch
from matplotlib.path import Path as Outline
from matplotlib.textpath import text_to_path
from numpy.typing import NDArray

from ui.export.letters import DEFAULT_LETTERS, Letters

INK, QUIET = "#1e293b", "#94a3b8"
FAMILIES = {"sans": ("DejaVu Sans", "sans-serif"), "serif": ("STIXGeneral", "serif")}  # the font, and that of a reader
SIZES = ("font.size", "axes.labelsize", "xtick.labelsize", "ytick.labelsize", "legend.fontsize")
STYLE = Path(__file__).with_name("figures.mplstyle")
Boxes = NDArray[np.float64]  # (K, 4): left, top, right, bottom, in the values of the axes

DOT = (0.8, 3.2)  # points on and off
DASHES: tuple[tuple[float, ...], ...] = ((), (4, 4), (0.8, 3), (5, 3.2, *DOT), (10, 3.5), (5, 3.2, *DOT, *DOT))
MARKS = "o^svD"
LYING, RISING, FALLING, CROSSED, DOTTED = "-" * 3, "/" * 6, "\\" * 6, "x" * 6, "." * 6  # hatches, 4 points apart
_LOCK = threading.RLock()  # matplotlib's settings are those of the whole process


@contextmanager
def style(text: str = "", letters: Letters = DEFAULT_LETTERS) -> Iterator[None]:
    """Apply the settings of figures, one thread at a time. text: all text of the figure."""
    family = families(frozenset(printable(text)), letters.font)
    own: dict[Any, Any] = {**dict.fromkeys(SIZES, letters.size), "svg.fonttype": "path" if letters.outlines else "none"}
    with _LOCK, mpl.rc_context({"font.family": family, **own}, fname=str(STYLE)):
        yield


def small() -> float:
    """Size in points of all letters but titles, inside `style`."""
    return float(mpl.rcParams["font.size"])


def title() -> float:
    """Size of titles in points."""
    return small() + 1


def line_spacing() -> float:
    """Distance of lines of text, in matplotlib's unit; STIX is high for its letters."""
    return 0.95 if mpl.rcParams["font.family"][0] == FAMILIES["serif"][0] else 1.2


def grown(points: float) -> float:
    """A distance that grows with the letters; points: at the default size."""
    return points * small() / DEFAULT_LETTERS.size


@lru_cache(maxsize=64)
def families(letters: frozenset[str], font: str = DEFAULT_LETTERS.font) -> list[str]:
    """The font of FAMILIES, installed ones with the letters that it lacks, then what an SVG's reader has."""
    names: list[str] = []
    first, last = FAMILIES[font]
    missing = {ord(letter) for letter in letters}
    plain = [face for face in fontManager.ttflist if face.style == "normal" and face.weight in (400, "normal")]
    for face in sorted(plain, key=lambda face: (face.name != first, face.name != "DejaVu Sans")):
        if not missing or face.name == "Last Resort High-Efficiency":
            continue
        had = missing & FT2Font(face.fname).get_charmap().keys()
        if had or not names:
            names.append(face.name)
        missing -= had
    return [*names, last]


def printable(text: str) -> str:
    """Text without control characters, which neither fonts nor XML have."""
    return "".join(letter for letter in text if letter.isprintable())


def width(text: str, size: float, weight: str = "normal") -> float:
    """Width of a line in points."""
    return float(text_to_path.get_text_width_height_descent(text, FontProperties(size=size, weight=weight), False)[0])


def shortened(text: str, room: float, size: float | None = None, weight: str = "normal") -> str:
    """Text cut to `room` points, with an ellipsis. size: that of `small` where None."""
    text, size = printable(text), size or small()
    if width(text, size, weight) <= room:
        return text
    while text and width(text + "…", size, weight) > room:
        text = text[:-1]
    return text.rstrip() + "…"


def quoted(before: str, text: str, room: float) -> str:
    """Words and a quoted text, cut to `room` points."""
    return shortened(f"{before}“{text}", room - width("”", small())) + "”"


def lines(text: str, room: float, size: float | None = None, weight: str = "normal") -> list[str]:
    """Wrap a text into lines of at most `room` points; a longer word is cut."""
    rows: list[str] = []
    size = size or small()
    for word in text.split():
        longer = f"{rows[-1]} {word}" if rows else word
        if rows and width(printable(longer), size, weight) <= room:
            rows[-1] = printable(longer)
        else:
            rows.append(shortened(word, room, size, weight))
    return rows


@dataclass(frozen=True)
class Paint:
    """Fill of an area. label: in the legend. alpha: of the fill; the hatch is opaque, as not all
    backends know another one. frame: the swatch's edge.
    """

    label: str
    colour: str
    alpha: float = 0.0
    hatch: str = ""
    frame: str = ""

    @property
    def look(self) -> dict[str, Any]:
        """Properties of a framed patch on white."""
        return {
            "facecolor": tuple(1 - self.alpha * (1 - part) for part in to_rgb(self.colour)),
            "edgecolor": self.frame or self.colour,
            "hatch": self.hatch or None,
            "linewidth": 0.6,
        }

    @property
    def handle(self) -> Patch:
        """Handle in the legend."""
        return Patch(label=self.label, **self.look)

    def fill(self, axes: Axes, boxes: Boxes) -> None:
        """Paint boxes, translucent."""
        if self.alpha:
            area(axes, boxes, facecolor=self.colour, alpha=self.alpha)
        if self.hatch:
            area(axes, boxes, facecolor="none", edgecolor=self.colour, hatch=self.hatch)


def area(axes: Axes, boxes: Boxes, **look: Any) -> None:
    """Draw boxes as one patch, without seams where they touch."""
    if len(boxes):
        corners = joined(boxes)[:, [0, 1, 2, 1, 2, 3, 0, 3]].reshape(-1, 4, 2)
        axes.add_patch(PathPatch(Outline.make_compound_path_from_polys(corners), linewidth=0, **look))


def joined(boxes: Boxes) -> Boxes:
    """Merge neighbours in a row: the same area in fewer boxes."""
    boxes = boxes[np.lexsort((boxes[:, 0], boxes[:, 3], boxes[:, 1]))]
    steps = np.abs(boxes[1:, [0, 1, 3]] - boxes[:-1, [2, 1, 3]])
    first = np.concatenate([[True], (steps > 1e-3).any(axis=1)])
    rows = boxes[first]
    rows[:, 2] = boxes[np.roll(first, -1), 2]
    return rows


def segments(axes: Axes, ends: NDArray[np.float64], **look: Any) -> None:
    """Draw lines (K, 2, 2) as one patch."""
    codes = np.tile([Outline.MOVETO, Outline.LINETO], len(ends))
    axes.add_patch(PathPatch(Outline(ends.reshape(-1, 2), codes), fill=False, capstyle="projecting", **look))


def pen(place: int) -> dict[str, Any]:
    """Dash and mark of the line with this index in a figure."""
    dash = DASHES[place % len(DASHES)]
    return {"linestyle": (0, dash) if dash else "-", "marker": MARKS[place % len(MARKS)], "clip_on": False}
