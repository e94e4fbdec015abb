"""Price lists and receipts: a heading, then rows of an item (a word or an icon) and its price at the right."""

from __future__ import annotations

import random
from typing import NamedTuple

from PIL import Image, ImageDraw

from crop_core.train.world.charts import LONG_SIDE, SHORTEST_SIDE, Ink, hull, icon_stamp, label_mark, press, word_stamp
from crop_core.train.world.vocabulary import EMOJI, GOODS, Box, Mark, Scene, SceneObject

_HEADINGS = ("MENU", "PRICES", "RECEIPT", "BILL", "LIST")
_HEADER, _PITCH, _EDGE = 40, 44, 8  # px: height of the heading; minimal height of a row; of the edge above and below
_DEAREST = 20
_TABLES: tuple[Ink, ...] = ((150, 110, 75), (95, 120, 150), (110, 140, 110), (165, 95, 90), (120, 115, 125))
_BOARDS: tuple[Ink, ...] = ((36, 52, 44), (42, 42, 48), (40, 48, 66))


class _Paper(NamedTuple):
    image: Image.Image
    left: int  # where the rows begin and end
    right: int
    ink: Ink
    faint: Ink


def make_price_list(rng: random.Random, sprites: str, outlined: bool) -> Scene:
    """A list of 3 to 6 items with their prices."""
    n, icons = rng.randint(3, 6), rng.random() < 1 / 3
    paper = _paper(rng, *_extent(rng, n))
    image, pen = paper.image, ImageDraw.Draw(paper.image)
    heading = word_stamp(rng.choice(_HEADINGS), rng.randint(20, 24), rng.random() < 0.5, paper.ink)
    margin = paper.right - paper.left - heading.image.width
    press(image, heading, paper.left + (margin // 2 if rng.random() < 0.7 else 0), _EDGE + _HEADER // 2 + 2)
    top, bottom = _EDGE + _HEADER, image.height - _EDGE
    if rng.random() < 0.5:
        pen.line((paper.left, top - 1, paper.right, top - 1), paper.faint, 2)

    names = rng.sample(list(EMOJI) if icons else GOODS, n)
    prices = [str(price) for price in rng.sample(range(1, _DEAREST + 1), n)]
    size, bold, between = rng.randint(26, 34), rng.random() < 0.6, rng.choice(("leader", "leader", "rule", "nothing"))
    objects = []
    for row, (name, price) in enumerate(zip(names, prices, strict=True)):
        line = round(top + (bottom - top) * (row + 0.5) / n)
        if icons:
            item = icon_stamp(name, sprites, rng.randint(36, 40), rng.uniform(-6, 6), outlined)
        else:
            item = word_stamp(name, size, bold, paper.ink)
        number = word_stamp(price, size, True, paper.ink)
        item_box = press(image, item, paper.left, line)
        price_box = press(image, number, paper.right - number.image.width, line)
        if between == "leader":
            for x in range(item_box[2] + 8, price_box[0] - 8, 7):
                pen.rectangle((x, line + 8, x + 1, line + 9), paper.faint)
        elif between == "rule" and row:
            y = round(top + (bottom - top) * row / n)
            pen.line((paper.left, y, paper.right, y), paper.faint)
        marks = (label_mark(name, item_box), Mark(price_box, text=price))
        objects.append(SceneObject("row", name, None, price, row, 0, hull(item_box, price_box), marks))
    return Scene(image, tuple(objects), n, 1, "list")


def _extent(rng: random.Random, n: int) -> tuple[int, int]:
    """Width and height, enough for the rows."""
    min_height = max(SHORTEST_SIDE, n * _PITCH + _HEADER + 2 * _EDGE)
    if rng.random() < 0.5:
        return LONG_SIDE, rng.randint(min(min_height, LONG_SIDE), LONG_SIDE)
    return rng.randint(SHORTEST_SIDE, LONG_SIDE), LONG_SIDE


def _paper(rng: random.Random, width: int, height: int) -> _Paper:
    """Empty paper, or a board, in one of five styles."""
    kind = rng.choice(("white", "yellowed", "board", "receipt", "card"))
    dark: Ink = (30, 30, 35)
    if kind == "board":
        image = Image.new("RGB", (width, height), rng.choice(_BOARDS))
        if rng.random() < 0.5:
            ImageDraw.Draw(image).rectangle((0, 0, width - 1, height - 1), outline=(140, 100, 60), width=5)
        return _Paper(image, 18, width - 18, (240, 240, 232), (140, 145, 142))
    sheet: Ink = rng.choice(((252, 252, 250), (250, 246, 236)))
    if kind in ("white", "yellowed"):
        image = Image.new("RGB", (width, height), sheet if kind == "white" else (244, 228, 188))
        return _Paper(image, 16, width - 16, dark, (150, 145, 135))
    table = rng.choice(_TABLES)
    image = Image.new("RGB", (width, height), table)
    pen, side = ImageDraw.Draw(image), rng.randint(8, 14)
    box = (side, 4, width - side, height - 4)
    shadow = (table[0] * 2 // 3, table[1] * 2 // 3, table[2] * 2 // 3)
    if kind == "receipt":
        pen.polygon(_zigzag(box), fill=sheet)
    else:
        pen.rectangle((box[0] + 4, box[1] + 4, box[2] + 4, box[3] + 3), shadow)
        pen.rectangle(box, sheet)
    return _Paper(image, side + 12, width - side - 12, dark, (150, 145, 135))


def _zigzag(box: Box) -> list[tuple[int, int]]:
    """The outline of a strip of paper with torn ends."""
    left, top, right, bottom = box
    xs = [left + round((right - left) * step / 24) for step in range(25)]
    above = [(x, top + 5 * (step % 2)) for step, x in enumerate(xs)]
    below = [(x, bottom - 5 * (step % 2)) for step, x in enumerate(xs)]
    return above + below[::-1]
