"""The look of figures, and how wide their texts are: matplotlib settings that hold while a figure is made or written.

Letters come from DejaVu Sans, which matplotlib carries, so that every machine draws the same ones; a letter that it
lacks comes from the first installed font that has it.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

import matplotlib as mpl
from matplotlib.font_manager import FontProperties, fontManager
from matplotlib.ft2font import FT2Font
from matplotlib.textpath import text_to_path

INK, QUIET = "#1e293b", "#94a3b8"
TITLE, SMALL = 8.0, 7.0  # points, whatever the figure's width
STYLE = Path(__file__).with_name("figures.mplstyle")
_LOCK = threading.RLock()  # matplotlib's settings are those of the whole process


@contextmanager
def style(text: str = "") -> Iterator[None]:
    """The settings of figures, one thread at a time. text: all that the figure says."""
    with _LOCK, mpl.rc_context({"font.family": families(frozenset(printable(text)))}, fname=str(STYLE)):
        yield


@lru_cache(maxsize=64)
def families(letters: frozenset[str]) -> list[str]:
    """DejaVu Sans, then installed fonts that have the letters that it lacks, then what an SVG's reader has."""
    found: list[str] = []
    missing = {ord(letter) for letter in letters}
    plain = [font for font in fontManager.ttflist if font.style == "normal" and font.weight in (400, "normal")]
    for font in sorted(plain, key=lambda font: font.name != "DejaVu Sans"):
        if not missing or font.name == "Last Resort High-Efficiency":
            continue
        had = missing & FT2Font(font.fname).get_charmap().keys()
        if had or not found:
            found.append(font.name)
        missing -= had
    return [*found, "sans-serif"]


def printable(text: str) -> str:
    """The text without control characters, which neither fonts nor XML know."""
    return "".join(letter for letter in text if letter.isprintable())


def width(text: str, size: float, weight: str = "normal") -> float:
    """Points that a line takes."""
    return float(text_to_path.get_text_width_height_descent(text, FontProperties(size=size, weight=weight), False)[0])


def shortened(text: str, room: float, size: float = SMALL, weight: str = "normal") -> str:
    """The text, or as much of it as goes into `room` points, with an ellipsis."""
    text = printable(text)
    if width(text, size, weight) <= room:
        return text
    while text and width(text + "…", size, weight) > room:
        text = text[:-1]
    return text.rstrip() + "…"


def quoted(before: str, text: str, room: float) -> str:
    """Words and a text in quotes, of which as much is left as goes into `room` points."""
    return shortened(f"{before}“{text}", room - width("”", SMALL)) + "”"


def lines(text: str, room: float, size: float = SMALL, weight: str = "normal") -> list[str]:
    """The text in lines of at most `room` points; a word that is longer is cut short."""
    rows: list[str] = []
    for word in text.split():
        longer = f"{rows[-1]} {word}" if rows else word
        if rows and width(printable(longer), size, weight) <= room:
            rows[-1] = printable(longer)
        else:
            rows.append(shortened(word, room, size, weight))
    return rows
