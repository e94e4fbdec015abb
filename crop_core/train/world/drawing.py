"""Drawing: emoji sprites, coloured shapes, signs and backgrounds. The given generator makes all random choices."""

from __future__ import annotations

import math
import random
from functools import cache, lru_cache
from typing import cast

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from crop_core.io.assets import bundled
from crop_core.train.world.vocabulary import COLORS, Box

SPRITES = bundled("sprites")
SPRITE_SETS = ("noto", "fluent")  # folders of SPRITES, each with its licence
_SUPERSAMPLING = 3
_DARK_INK_ON = ("yellow", "white", "orange")
_WHITE, _DARK = (255, 255, 255), (30, 30, 40)
_STICKER = 3  # pixels around an outlined sprite
_OUTLINE = 0.18  # thickness of a shape's outline as a share of its size, less where that would leave no hole
_SIGN_HEIGHT = {1: 0.72, 2: 0.84, 3: 0.95}  # per line of text, as a share of its width
_MAX_SIZE_RATIO = 1.4  # of the letters of one sign

_Ink = tuple[int, int, int]


@cache
def font(size: int) -> ImageFont.FreeTypeFont:
    """Pillow's built-in typeface."""
    return cast("ImageFont.FreeTypeFont", ImageFont.load_default(size=size))


@cache
def _sprite(name: str, sprites: str) -> Image.Image:
    return Image.open(SPRITES / sprites / f"{name}.png").convert("RGBA")


@lru_cache(maxsize=40_000)
def _turned(name: str, sprites: str, size: int, degrees: int, outlined: bool) -> Image.Image:
    if outlined:
        return _sticker(_turned(name, sprites, size - 2 * _STICKER, degrees, False))
    sprite = _sprite(name, sprites).rotate(degrees, resample=Image.Resampling.BICUBIC, expand=True)
    sprite = sprite.crop(sprite.getbbox())
    scale = size / max(sprite.size)
    return sprite.resize(
        (max(1, round(sprite.width * scale)), max(1, round(sprite.height * scale))), Image.Resampling.BILINEAR
    )


def _sticker(sprite: Image.Image) -> Image.Image:
    """The sprite with a border like a sticker's: white, or dark around a light sprite."""
    alpha = np.asarray(sprite.getchannel("A"), np.float32)
    light = float((np.asarray(sprite.convert("L")) * alpha).sum() / alpha.sum()) > 165
    size = (sprite.width + 2 * _STICKER, sprite.height + 2 * _STICKER)
    grown = Image.new("L", size, 0)
    grown.paste(sprite.getchannel("A"), (_STICKER, _STICKER))
    grown = grown.filter(ImageFilter.MaxFilter(2 * _STICKER - 1)).filter(ImageFilter.GaussianBlur(0.6))
    image = Image.new("RGBA", size, (*(_DARK if light else _WHITE), 0))
    image.putalpha(grown)
    image.alpha_composite(sprite, (_STICKER, _STICKER))
    return image


def draw_emoji(name: str, sprites: str, size: int, degrees: float, outlined: bool = False) -> Image.Image:
    """An RGBA sprite of one of SPRITE_SETS, its longer side about `size` px, turned by about `degrees`.

    Size and angle are rounded, so that images can be cached. `outlined` adds a sticker's border.
    """
    return _turned(name, sprites, 4 * round(size / 4), 6 * round(degrees / 6), outlined)


@lru_cache(maxsize=8_000)
def draw_shape(kind: str, color: str, size: int, outlined: bool = False) -> Image.Image:
    """An RGBA image of one flat shape, `size` px square, antialiased; `outlined` leaves only its thick outline."""
    n = size * _SUPERSAMPLING
    mask = Image.new("L", (n, n), 0)
    pen = ImageDraw.Draw(mask)
    for share, ink in ((0.0, 255), (1.0, 0)) if outlined else ((0.0, 255),):
        if kind == "circle":
            inset = share * _OUTLINE * n
            pen.ellipse((inset, inset, n - 1 - inset, n - 1 - inset), fill=ink)
        elif kind == "cross":
            third, inset = n / 3, share * n / 12
            pen.rectangle((third + inset, inset, 2 * third - inset, n - 1 - inset), fill=ink)
            pen.rectangle((inset, third + inset, n - 1 - inset, 2 * third - inset), fill=ink)
        else:
            pen.polygon(_corners(kind, n, 1 - share / 2), fill=ink)
    image = Image.new("RGBA", (size, size), (*COLORS[color], 0))
    image.putalpha(mask.resize((size, size), Image.Resampling.LANCZOS))
    return image


def _corners(kind: str, n: int, scale: float) -> list[tuple[float, float]]:
    """The corners, scaled around the point at equal distance from all sides (half is about 18 % of `n` inwards)."""
    middle = n / 2, n / 2
    if kind == "triangle":
        corners, middle = [(n / 2, 0.0), (n - 1.0, n - 1.0), (0.0, n - 1.0)], (n / 2, 0.691 * n)
    elif kind == "diamond":
        corners = [(n / 2, 0.0), (n - 1.0, n / 2), (n / 2, n - 1.0), (0.0, n / 2)]
    elif kind == "star":
        angles = [-math.pi / 2 + i * math.pi / 5 for i in range(10)]
        radii = [n / 2 * (1 if i % 2 == 0 else 0.42) for i in range(10)]
        corners = [(n / 2 + r * math.cos(a), n / 2 + r * math.sin(a)) for r, a in zip(radii, angles, strict=True)]
    else:
        raise ValueError(f"unknown shape {kind!r}: draw_shape knows circle, cross, triangle, diamond and star")
    return [(middle[0] + (x - middle[0]) * scale, middle[1] + (y - middle[1]) * scale) for x, y in corners]


@cache
def _extent(word: str) -> tuple[float, float]:
    """Width and height of a word's ink, per pixel of type size."""
    left, top, right, bottom = font(100).getbbox(word)
    return (right - left) / 100, (bottom - top) / 100


@lru_cache(maxsize=20_000)
def draw_sign(color: str, text: str, width: int, outlined: bool = False) -> tuple[Image.Image, tuple[Box, ...]]:
    """An RGBA sign, `width` px wide, each word on its own line; and the box of each word in it.

    `outlined`: a white sign with border and letters in the colour. Light colours stay filled, to be readable.
    """
    words = text.split()
    height = int(width * _SIGN_HEIGHT[len(words)])
    fill, ink, border = COLORS[color], (0, 0, 0) if color in _DARK_INK_ON else _WHITE, 2
    if outlined and color not in _DARK_INK_ON:
        fill, ink, border = _WHITE, COLORS[color], 3
    image = Image.new("RGBA", (width, height), (0, 0, 0, 0))
    pen = ImageDraw.Draw(image)
    pen.rounded_rectangle((0, 0, width - 1, height - 1), radius=5, fill=(*fill, 255), outline=ink, width=border)
    available, slot = width - 2 * border - 4, (height - 2 * border - 2) / len(words)
    sizes = [min((available - 2) / across, (slot - 4) / down) for across, down in map(_extent, words)]
    boxes = []
    for line, (word, size) in enumerate(zip(words, sizes, strict=True)):
        letters, stroke = font(int(min(size, min(sizes) * _MAX_SIZE_RATIO))), 1 if size >= 16 else 0.5
        left, top, right, bottom = letters.getbbox(word, stroke_width=stroke)
        x = round((width - (right - left)) / 2)
        y = round(border + 1 + slot * line + (slot - (bottom - top)) / 2)
        pen.text((x - left, y - top), word, font=letters, fill=ink, stroke_width=stroke, stroke_fill=ink)
        boxes.append((x, y, x + math.ceil(right - left), y + math.ceil(bottom - top)))
    return image, tuple(boxes)


def draw_background(rng: random.Random, kind: str, width: int, height: int, rows: int = 3) -> Image.Image:
    """A background of one of world.BACKGROUNDS, `width` x `height` px; `rows`: of a street or a room only."""
    if kind == "street":
        return draw_street(rng, width, height, rows)
    if kind == "room":
        return draw_room(rng, width, height, rows)
    base = _near(rng, (rng.randint(135, 205),) * 3, 30)
    if kind == "plain":
        return _graded(base, _near(rng, base, 50), width, height) if rng.random() < 0.5 else _flat(base, width, height)
    y, x = np.ogrid[0:height, 0:width]
    if kind == "stripes":
        period, angle = rng.randint(14, 44), rng.choice((0, math.pi / 2, math.pi / 4, -math.pi / 4))
        wave = (x * math.cos(angle) + y * math.sin(angle)).astype(np.float32) % period
        mask = np.minimum(wave, period / 2 - wave + 0.5)
    elif kind == "dots":
        period = rng.randint(18, 40)
        shift = (y // period % 2) * (period // 2) if rng.random() < 0.5 else 0
        mask = (
            period * rng.uniform(0.2, 0.33) + 0.5 - np.hypot((x + shift) % period - period / 2, y % period - period / 2)
        )
    elif kind == "checks":
        period = rng.randint(14, 42)
        mask = ((x // period + y // period) % 2).astype(np.float32)
    else:
        raise ValueError(f"unknown background {kind!r}: draw_background knows those of world.BACKGROUNDS")
    drawn = Image.fromarray((np.clip(mask, 0, 1) * 255).astype(np.uint8))
    step = rng.randint(26, 48) * (-1 if min(base) > 150 or rng.random() < 0.5 else 1)
    other = cast("_Ink", tuple(max(60, min(235, value + step + rng.randint(-12, 12))) for value in base))
    return Image.composite(_flat(other, width, height), _flat(base, width, height), drawn)


def draw_street(rng: random.Random, width: int, height: int, rows: int) -> Image.Image:
    """Sky, houses and a meadow, a pavement and a road, for objects on the bottom lines of equal rows."""
    row = height / rows
    ground, kerb = round(row * min(2, rows - 1)), round(row * (rows - 1))
    sky = rng.choice(((150, 195, 235), (175, 205, 230), (190, 195, 205), (235, 190, 160), (140, 175, 215)))
    image = _graded(sky, _near(rng, (225, 225, 220), 10), width, ground).crop((0, 0, width, height))
    pen = ImageDraw.Draw(image)
    left = -rng.randint(0, 20)
    while left < width:
        right, top = left + rng.randint(26, 60), round(ground - row * rng.uniform(0.35, 1.1))
        wall = _near(rng, rng.choice(((205, 190, 175), (190, 195, 205), (215, 200, 165), (200, 180, 180))), 12)
        pen.rectangle((left, top, right - 2, ground), fill=wall)
        for window in range(left + 6, right - 10, 13):
            for storey in range(top + 6, ground - 12, 16):
                pen.rectangle((window, storey, window + 6, storey + 8), fill=_near(rng, (165, 170, 180), 6))
        left = right + rng.choice((0, 0, 12))
    pen.rectangle((0, ground - round(row * 0.16), width, ground), fill=_near(rng, (140, 180, 115), 14))
    pavement, road = _near(rng, (190, 186, 178), 12), _near(rng, (128, 130, 134), 12)
    pen.rectangle((0, ground, width, height), fill=pavement)
    for slab in range(rng.randint(0, 30), width, 32):
        pen.line((slab, ground, slab, kerb + round(row * 0.14)), fill=_darker(pavement, 16), width=1)
    top = kerb + round(row * 0.14)
    pen.rectangle((0, top, width, height), fill=road)
    pen.rectangle((0, top, width, top + 2), fill=_darker(pavement, 40))
    for dash in range(-rng.randint(0, 40), width, 56):
        pen.rectangle(
            (dash, height - round(row * 0.45), dash + 30, height - round(row * 0.45) + 4), fill=(225, 225, 215)
        )
    return image


def draw_room(rng: random.Random, width: int, height: int, rows: int) -> Image.Image:
    """A wall, a board under each upper row and a table, for objects on the bottom lines of equal rows."""
    row = height / rows
    wall = _near(
        rng, rng.choice(((222, 212, 196), (196, 212, 206), (200, 206, 222), (224, 202, 202), (208, 214, 186))), 8
    )
    image = _graded(wall, _darker(wall, rng.randint(0, 24)), width, height)
    pen = ImageDraw.Draw(image)
    if rng.random() < 0.4:  # wallpaper
        for line in range(rng.randint(0, 20), width, rng.choice((18, 26))):
            pen.line((line, 0, line, height), fill=_darker(wall, 12), width=3)
    wood = _near(rng, rng.choice(((176, 132, 88), (150, 112, 84), (196, 164, 124), (160, 152, 146))), 10)
    margin = rng.choice((0, 0, 6))
    for shelf in range(1, rows):
        top = round(row * shelf) - 2
        pen.rectangle((margin, top, width - 1 - margin, top + 6), fill=wood)
        pen.rectangle((margin, top + 5, width - 1 - margin, top + 7), fill=_darker(wood, 45))
    table = height - round(row * rng.uniform(0.2, 0.34))
    pen.rectangle((0, table, width, height), fill=wood)
    pen.rectangle((0, table, width, table + 2), fill=_darker(wood, 40))
    for plank in range(table + rng.randint(6, 10), height, 11):
        pen.line((0, plank, width, plank), fill=_darker(wood, 14), width=1)
    return image


def _near(rng: random.Random, ink: _Ink, spread: int) -> _Ink:
    return cast("_Ink", tuple(max(0, min(255, value + rng.randint(-spread, spread))) for value in ink))


def _darker(ink: _Ink, step: int) -> _Ink:
    return cast("_Ink", tuple(max(0, value - step) for value in ink))


def _flat(ink: _Ink, width: int, height: int) -> Image.Image:
    return Image.new("RGB", (width, height), ink)


def _graded(top: _Ink, bottom: _Ink, width: int, height: int) -> Image.Image:
    """From one colour at the top to another at the bottom."""
    ramp = Image.linear_gradient("L").resize((width, height), Image.Resampling.BILINEAR)
    return Image.composite(_flat(bottom, width, height), _flat(top, width, height), ramp)
