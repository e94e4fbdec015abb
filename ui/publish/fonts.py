"""The figures' font: Bitstream Vera, which comes with reportlab, so that every machine draws the same letters.

It has the letters of Western Europe; what it lacks is drawn as "?" in PDF and PNG. Metadata and SVG have all of it.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import reportlab
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont

NAMES = {False: "Vera", True: "VeraBd"}


def font_file(bold: bool) -> Path:
    """Where the font lies."""
    return Path(reportlab.__file__).parent / "fonts" / f"{NAMES[bold]}.ttf"


@lru_cache(maxsize=2)
def font(bold: bool) -> TTFont:
    """The font as reportlab knows it, registered under its name."""
    loaded = TTFont(NAMES[bold], str(font_file(bold)))
    pdfmetrics.registerFont(loaded)
    return loaded


def drawable(text: str, bold: bool = False) -> str:
    """The text with "?" for what the font lacks."""
    known = font(bold).face.charToGlyph
    return "".join(letter if ord(letter) in known else "?" for letter in text)


def width(text: str, size: float, bold: bool = False) -> float:
    """Points that a line takes."""
    return float(font(bold).stringWidth(drawable(text, bold), size))


def shortened(text: str, room: float, size: float, bold: bool = False) -> str:
    """The text, or as much of it as goes into `room` points, with an ellipsis."""
    if width(text, size, bold) <= room:
        return text
    while text and width(text + "…", size, bold) > room:
        text = text[:-1]
    return text.rstrip() + "…"


def quoted(before: str, text: str, room: float, size: float) -> str:
    """Words and a text in quotes, of which as much is left as goes into `room` points."""
    return shortened(f"{before}“{text}", room - width("”", size), size) + "”"


def lines(text: str, room: float, size: float) -> list[str]:
    """The text in lines of at most `room` points; a word that is longer is cut short."""
    rows: list[str] = []
    for word in text.split():
        longer = f"{rows[-1]} {word}" if rows else word
        if rows and width(longer, size) <= room:
            rows[-1] = longer
        else:
            rows.append(shortened(word, room, size))
    return rows
