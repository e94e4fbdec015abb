"""Tiles: every thing of a scene as a small RGBA image of its own, cropped to its ink, so that its size is its box.

Drawn from `sketches.py` and with matplotlib's fonts (DejaVu, STIX, Computer Modern), four times too large.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

import matplotlib
from PIL import Image, ImageDraw, ImageFont

from crop_core.evaluate.datasets.independent.sketches import FULL, PICTOGRAMS, SHAPES, Part, Points

Ink = tuple[int, int, int]

INKS: dict[str, Ink] = {  # of what a question may call by its color
    "red": (196, 30, 58), "blue": (25, 95, 200), "green": (20, 125, 70), "yellow": (250, 205, 20),
    "orange": (240, 120, 10), "purple": (120, 45, 160), "black": (20, 20, 24), "white": (252, 252, 252),
}  # fmt: skip
PAINTS: dict[str, Ink] = INKS | {
    "brown": (120, 72, 40), "tan": (218, 168, 106), "pink": (245, 150, 170), "rose": (222, 110, 140),
    "grey": (128, 132, 140), "pale": (236, 232, 226), "sky": (150, 205, 240), "cloud": (214, 226, 238),
}  # fmt: skip
FONTS = {"sans": "DejaVuSans-Bold", "serif": "DejaVuSerif-Bold", "roman": "STIXGeneralBol", "marker": "cmss10"}
MANNERS = ("flat", "inked", "crayon")  # filled; filled with a wavering outline; hatched within such an outline
DARK, LIGHT = (38, 36, 44), (248, 246, 240)
_SCALE, _WAVER = 4, 2  # of the drawing before it is reduced; unsteadiness of a hand, in hundredths of the size
_LIGHT_FILLS = ("yellow", "white", "orange")


@dataclass(frozen=True)
class Tile:
    """What one thing looks like. kind: "icon", "shape", "plate" (letters on a colored plate), "words" or "bar".

    name: of a pictogram or shape. color: of INKS, "" where none is asked for. text: the letters. size: in pixels, of
    icons, shapes and letters. width, height: of a bar. manner: of MANNERS, or a font of FONTS. hand: seeds how it is
    drawn. ink: of letters without a plate, and of outlines.
    """

    kind: str
    name: str = ""
    color: str = ""
    text: str = ""
    size: int = 0
    width: int = 0
    height: int = 0
    manner: str = ""
    hand: int = 0
    ink: Ink = DARK


@lru_cache(maxsize=4000)
def draw(tile: Tile) -> Image.Image:
    """The tile, RGBA, cropped to its ink."""
    draw_kind = {"icon": _sketch, "shape": _sketch, "plate": _plate, "words": _words, "bar": _bar}[tile.kind]
    image = draw_kind(tile)
    return image.crop(image.getchannel("A").getbbox())


def _sketch(tile: Tile) -> Image.Image:
    """A pictogram or a shape."""
    rng, side = random.Random(tile.hand), tile.size * _SCALE
    table = PICTOGRAMS if tile.kind == "icon" else SHAPES
    margin, line = side // 12, max(5, side // (24 if tile.kind == "icon" else 14))
    image = Image.new("RGBA", (side + 2 * margin,) * 2, (0, 0, 0, 0))
    for part in table[tile.name]:
        paint = PAINTS[part.ink or tile.color]
        points = [(margin + x * side // FULL, margin + y * side // FULL) for x, y in _by_hand(part, tile.manner, rng)]
        if part.is_line:
            ImageDraw.Draw(image).line(points, (*paint, 255), line * 3 // 2, "curve")
        else:
            _fill(image, points, paint, tile, line)
    return image.reduce(_SCALE)


def _by_hand(part: Part, manner: str, rng: random.Random) -> Points:
    """The part's corners, moved a little where a hand draws."""
    if manner == "flat":
        return part.points
    return tuple((x + rng.randint(-_WAVER, _WAVER), y + rng.randint(-_WAVER, _WAVER)) for x, y in part.points)


def _fill(image: Image.Image, points: list[tuple[int, int]], paint: Ink, tile: Tile, line: int) -> None:
    """Paint an area as the tile's manner has it."""
    pen, outline = ImageDraw.Draw(image), [*points, points[0], points[1]]
    if tile.manner == "crayon":
        mask = Image.new("L", image.size, 0)
        ImageDraw.Draw(mask).polygon(points, 255)
        hatched = Image.new("RGBA", image.size, (*(value + (255 - value) // 5 for value in paint), 255))
        strokes = ImageDraw.Draw(hatched)
        for x in range(-image.height, image.width, line * 2):
            strokes.line((x, image.height, x + image.height, 0), (*paint, 255), line)
        image.paste(hatched, (0, 0), mask)
        pen.line(outline, (*paint, 255) if tile.kind == "shape" else (*tile.ink, 255), line, "curve")
        return
    pen.polygon(points, (*paint, 255))
    if tile.manner == "inked":
        pen.line(outline, (*tile.ink, 255), line * 3 // 4, "curve")


@cache
def _font(name: str, size: int) -> ImageFont.FreeTypeFont:
    """A font of FONTS."""
    file = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / f"{FONTS[name]}.ttf"
    return ImageFont.truetype(str(file), size, layout_engine=ImageFont.Layout.BASIC)


def _words(tile: Tile, ink: Ink | None = None) -> Image.Image:
    """Letters in one line, without a plate."""
    font = _font(tile.manner, tile.size * _SCALE)
    stroke = tile.size // 8 if tile.manner == "marker" else 0
    left, top, right, bottom = (round(edge) for edge in font.getbbox(tile.text, stroke_width=stroke))
    image = Image.new("RGBA", (right - left + 2 * _SCALE, bottom - top + 2 * _SCALE), (*(ink or tile.ink), 0))
    mask = Image.new("L", image.size, 0)
    ImageDraw.Draw(mask).text((_SCALE - left, _SCALE - top), tile.text, 255, font, stroke_width=stroke)
    image.putalpha(mask)
    return image.reduce(_SCALE)


def _plate(tile: Tile) -> Image.Image:
    """A button, a flag or a tag with letters: which, `hand` decides."""
    paint = INKS[tile.color]
    letters = _words(tile, DARK if tile.color in _LIGHT_FILLS else LIGHT)
    across, down = tile.size // 2, tile.size * 3 // 4
    width, height = (letters.width + 2 * across) * _SCALE, (letters.height + 2 * down) * _SCALE
    point = height // 3 if tile.hand % 3 else 0
    image = Image.new("RGBA", (width + point, height), (0, 0, 0, 0))
    pen, edge = ImageDraw.Draw(image), DARK if tile.color in _LIGHT_FILLS else paint
    if not point:
        pen.rounded_rectangle((0, 0, width - 1, height - 1), height // 2, paint, edge, _SCALE)
    else:
        corner, tip = (width, width + point - 1) if tile.hand % 3 == 1 else (width + point - 1, width)
        ends = ((0, 0), (corner, 0), (tip, height // 2), (corner, height - 1), (0, height - 1))
        pen.polygon(ends, paint, edge, _SCALE)
    plate = image.reduce(_SCALE)
    plate.alpha_composite(letters, (across, down))
    return plate


def _bar(tile: Tile) -> Image.Image:
    """A bar: plain, striped or framed."""
    image = Image.new("RGBA", (tile.width, tile.height), (*INKS[tile.color], 255))
    pen = ImageDraw.Draw(image)
    if tile.hand % 3 == 1:
        pale = tuple(value + (255 - value) // 3 for value in INKS[tile.color])
        for start in range(-tile.height, tile.width, 9):
            pen.line((start, tile.height, start + tile.height, 0), (*pale, 255), 3)
    if tile.hand % 3 == 2 or tile.color == "white":
        pen.rectangle((0, 0, tile.width - 1, tile.height - 1), None, (*tile.ink, 255), 2)
    return image
