"""Bar charts: upright or lying bars, each with a label (an icon or a word) and its value.

Also the stamps for their labels, which price lists share.
"""

from __future__ import annotations

import random
from functools import cache, lru_cache
from typing import NamedTuple

from PIL import Image, ImageDraw

from crop_core.train.world import drawing
from crop_core.train.world.vocabulary import COLORS, EMOJI, GOODS, Box, Mark, Scene, SceneObject

LONG_SIDE, SHORTEST_SIDE = 336, 224
Ink = tuple[int, int, int]

_HIGHEST, _MARGIN = 10, 9
_PAPERS: tuple[Ink, ...] = ((255, 255, 255), (252, 245, 226), (228, 239, 250), (226, 227, 230))
_DARK: Ink = (35, 35, 40)
_MIN_WIDTHS = {3: 224, 4: 276, 5: 336}  # of upright bars with words under them
_MIN_LYING_WIDTH = 280


class Stamp(NamedTuple):
    """A tight RGBA image to paste, and its height above the middle of its line."""

    image: Image.Image
    rise: int


class _Bar(NamedTuple):
    name: str
    color: str
    value: int
    label: Stamp
    number: Stamp


class _ChartStyle(NamedTuple):
    paper: Ink
    grid: Ink | None
    grid_step: int
    rimmed: bool
    outlined: bool
    thickness: float  # of a bar, as a share of its slot
    top: int  # the value at the end of the axis


@cache
def _lettering(text: str, size: int, bold: bool) -> tuple[Image.Image, int]:
    """The tight mask of a text, and its height above the baseline."""
    font, baseline, x = drawing.font(size), 2 * size, size / 2
    mask = Image.new("L", (size * (len(text) + 1), 3 * size), 0)
    pen = ImageDraw.Draw(mask)
    for character in text:  # one by one: a stroke makes letters wider
        pen.text((x, baseline), character, 255, font, "ls", stroke_width=int(bold))
        x += font.getlength(character) + int(bold)
    box = mask.point(lambda level: 255 * (level >= 48)).getbbox()
    if box is None:
        raise ValueError(f"{text!r} leaves no ink")
    return mask.crop(box), baseline - box[1]


@lru_cache(maxsize=10_000)
def word_stamp(text: str, size: int, bold: bool, ink: Ink) -> Stamp:
    """A word or a number; the middle of its line is half a capital above the baseline."""
    mask, rise = _lettering(text, size, bold)
    image = Image.new("RGBA", mask.size, ink)
    image.putalpha(mask)
    return Stamp(image, rise - _lettering("H", size, bold)[1] // 2)


def icon_stamp(name: str, sprites: str, size: int, degrees: float, outlined: bool) -> Stamp:
    """An emoji."""
    image = drawing.draw_emoji(name, sprites, size, degrees, outlined)
    return Stamp(image, image.height // 2)


def press(image: Image.Image, stamp: Stamp, left: int, line: int) -> Box:
    """Paste a stamp, its left edge and the middle of its line given; returns its box."""
    top = line - stamp.rise
    image.paste(stamp.image, (left, top), stamp.image)
    right, bottom = left + stamp.image.width, top + stamp.image.height
    return max(0, left), max(0, top), min(image.width, right), min(image.height, bottom)


def hull(*boxes: Box) -> Box:
    """The smallest box around all of them."""
    lefts, tops, rights, bottoms = zip(*boxes, strict=True)
    return min(lefts), min(tops), max(rights), max(bottoms)


def make_chart(rng: random.Random, sprites: str, outlined: bool) -> Scene:
    """A chart of 3 to 5 upright or 3 to 4 lying bars; outlined ones are hollow, with a thick border in their colour."""
    lying, icons = rng.random() < 1 / 3, rng.random() < 0.5
    n = rng.randint(3, 4 if lying else 5)
    width, height = _extent(rng, n, lying, icons)
    values = rng.sample(range(1, _HIGHEST + 1), n)
    style = _chart_style(rng, max(values), outlined)
    image = Image.new("RGB", (width, height), style.paper)
    names = rng.sample(list(EMOJI) if icons else GOODS, n)
    slot = ((height if lying else width) - 2 * _MARGIN) // n
    if icons:
        size = rng.randint(36, min(48, slot - 4))
        labels = [icon_stamp(name, sprites, size, rng.uniform(-9, 9), outlined) for name in names]
    else:
        labels = _words(names, 96 if lying else slot - 3, rng.random() < 0.6)
    number_size = rng.randint(24, 30)
    numbers = [word_stamp(str(value), number_size, True, _DARK) for value in values]
    colors = rng.sample(list(COLORS), n)
    bars = [_Bar(*bar) for bar in zip(names, colors, values, labels, numbers, strict=True)]
    objects = (_lay if lying else _stand)(image, bars, style)
    if rng.random() < 0.3:
        ImageDraw.Draw(image).rectangle((0, 0, width - 1, height - 1), outline=(130, 130, 135), width=2)
    return Scene(image, tuple(objects), n if lying else 1, 1 if lying else n, "chart")


def _extent(rng: random.Random, n: int, lying: bool, icons: bool) -> tuple[int, int]:
    if lying:
        min_width = _MIN_LYING_WIDTH
    elif icons:
        min_width = max(SHORTEST_SIDE, 46 * n + 2 * _MARGIN)
    else:
        min_width = _MIN_WIDTHS[n]
    if rng.random() < 0.5:
        return LONG_SIDE, rng.randint(SHORTEST_SIDE, LONG_SIDE)
    return rng.randint(min_width, LONG_SIDE), LONG_SIDE


def _chart_style(rng: random.Random, highest: int, outlined: bool) -> _ChartStyle:
    paper = rng.choice(_PAPERS)
    shade = rng.randint(18, 34)
    grid = (paper[0] - shade, paper[1] - shade, paper[2] - shade) if rng.random() < 0.8 else None
    top = rng.randint(highest, _HIGHEST)
    return _ChartStyle(paper, grid, rng.choice((1, 2, 5)), rng.random() < 0.25, outlined, rng.uniform(0.5, 0.82), top)


def _words(names: list[str], width: int, bold: bool) -> list[Stamp]:
    """The words in one size, the largest that fits the width; not bold where none does."""
    for size in range(30, 20, -1):
        stamps = [word_stamp(name, size, bold, _DARK) for name in names]
        if max(stamp.image.width for stamp in stamps) <= width:
            return stamps
    return _words(names, width, False) if bold else stamps


def _stand(image: Image.Image, bars: list[_Bar], style: _ChartStyle) -> list[SceneObject]:
    """Draw upright bars, labels below, values on top."""
    pen, n = ImageDraw.Draw(image), len(bars)
    rise = max(bar.label.rise for bar in bars)
    fall = max(bar.label.image.height - bar.label.rise for bar in bars)
    line = image.height - 6 - fall
    floor = line - rise - 5
    digits = max(bar.number.image.height for bar in bars)
    unit = (floor - 8 - digits - 4) / style.top
    slot = (image.width - 2 * _MARGIN) / n
    if style.grid:
        for value in range(0, style.top + 1, style.grid_step):
            y = floor - round(unit * value)
            pen.line((_MARGIN - 3, y, image.width - _MARGIN + 2, y), style.grid)
    objects = []
    for column, bar in enumerate(bars):
        middle, half = _MARGIN + slot * (column + 0.5), slot * style.thickness / 2
        box = (round(middle - half), floor - round(unit * bar.value), round(middle + half), floor)
        _draw_bar(pen, box, bar.color, style)
        number = bar.number
        label_box = press(image, bar.label, round(middle - bar.label.image.width / 2), line)
        number_line = box[1] - 4 - (number.image.height - number.rise)
        number_box = press(image, number, round(middle - number.image.width / 2), number_line)
        objects.append(_bar_object(bar, (box, label_box, number_box), 0, column))
    pen.line((_MARGIN - 4, floor, image.width - _MARGIN + 3, floor), _DARK, 2)
    return objects


def _lay(image: Image.Image, bars: list[_Bar], style: _ChartStyle) -> list[SceneObject]:
    """Draw lying bars, labels at the left, values at the right end."""
    pen, n = ImageDraw.Draw(image), len(bars)
    start = 7 + max(bar.label.image.width for bar in bars) + 6
    unit = (image.width - 8 - max(bar.number.image.width for bar in bars) - 5 - start) / style.top
    slot = (image.height - 2 * _MARGIN) / n
    if style.grid:
        for value in range(0, style.top + 1, style.grid_step):
            x = start + round(unit * value)
            pen.line((x, _MARGIN - 3, x, image.height - _MARGIN + 2), style.grid)
    objects = []
    for row, bar in enumerate(bars):
        middle, half = _MARGIN + slot * (row + 0.5), min(slot * style.thickness, 60) / 2
        box = (start, round(middle - half), start + round(unit * bar.value), round(middle + half))
        _draw_bar(pen, box, bar.color, style)
        label_box = press(image, bar.label, start - 6 - bar.label.image.width, round(middle))
        number_box = press(image, bar.number, box[2] + 5, round(middle))
        objects.append(_bar_object(bar, (box, label_box, number_box), row, 0))
    pen.line((start - 1, _MARGIN - 4, start - 1, image.height - _MARGIN + 3), _DARK, 2)
    return objects


def _draw_bar(pen: ImageDraw.ImageDraw, box: Box, color: str, style: _ChartStyle) -> None:
    left, top, right, bottom = box
    inside, ink = (left, top, right - 1, bottom - 1), COLORS[color]
    rimmed = style.rimmed or color == "white"
    if not style.outlined:
        pen.rectangle(inside, ink, _DARK if rimmed else None, 2 if rimmed else 0)
        return
    border = max(3, min(7, (min(right - left, bottom - top) - 4) // 2))
    pen.rectangle(inside, style.paper, ink, border)
    if color == "white":
        pen.rectangle(inside, None, _DARK, 1)
        pen.rectangle((left + border, top + border, right - 1 - border, bottom - 1 - border), None, _DARK, 1)


def _bar_object(bar: _Bar, boxes: tuple[Box, Box, Box], row: int, column: int) -> SceneObject:
    """The record of a bar from the boxes of the bar itself, its label and its value."""
    box, label_box, number_box = boxes
    marks = (Mark(box, "bar", bar.color), label_mark(bar.name, label_box), Mark(number_box, text=str(bar.value)))
    return SceneObject("bar", bar.name, bar.color, str(bar.value), row, column, hull(*boxes), marks)


def label_mark(name: str, box: Box) -> Mark:
    """The mark of a label: an emoji, or a word."""
    return Mark(box, category=name) if name in EMOJI else Mark(box, text=name)
