"""Drawing: emoji sprites, coloured shapes, signs and backgrounds. Everything comes from the given random generator."""

from __future__ import annotations

import math
import random
from functools import cache, lru_cache
from pathlib import Path
from typing import cast

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from crop_core.tiny.world import COLORS, EMOJI

SPRITES = Path(__file__).parents[2] / "assets" / "sprites"
SPRITE_SETS = ("noto", "fluent")  # folders of SPRITES, each with its licence
_SUPERSAMPLING = 3
_DARK_INK_ON = ("yellow", "white", "orange")


@cache
def font(size: int) -> ImageFont.FreeTypeFont:
    """Pillow's built-in typeface."""
    return cast("ImageFont.FreeTypeFont", ImageFont.load_default(size=size))


@cache
def _sprite(name: str, sprites: str = "noto") -> Image.Image:
    return Image.open(SPRITES / sprites / f"{name}.png").convert("RGBA")


@lru_cache(maxsize=20_000)
def _turned(name: str, size: int, degrees: int) -> Image.Image:
    sprite = _sprite(name).rotate(degrees, resample=Image.Resampling.BICUBIC, expand=True)
    sprite = sprite.crop(sprite.getbbox())
    scale = size / max(sprite.size)
    return sprite.resize(
        (max(1, round(sprite.width * scale)), max(1, round(sprite.height * scale))), Image.Resampling.BILINEAR
    )


def draw_emoji(name: str, size: int, degrees: float) -> Image.Image:
    """An RGBA sprite, its longer side about `size` px, turned by about `degrees` (both coarsened, to be cached)."""
    return _turned(name, 4 * round(size / 4), 6 * round(degrees / 6))


@lru_cache(maxsize=4_000)
def draw_shape(kind: str, color: str, size: int) -> Image.Image:
    """An RGBA picture of one flat shape, `size` px square, antialiased."""
    n = size * _SUPERSAMPLING
    image = Image.new("RGBA", (n, n), (0, 0, 0, 0))
    pen, ink = ImageDraw.Draw(image), (*COLORS[color], 255)
    if kind == "circle":
        pen.ellipse((0, 0, n - 1, n - 1), fill=ink)
    elif kind == "cross":
        third = n // 3
        pen.rectangle((third, 0, 2 * third, n - 1), fill=ink)
        pen.rectangle((0, third, n - 1, 2 * third), fill=ink)
    else:
        pen.polygon(_corners(kind, n), fill=ink)
    return image.resize((size, size), Image.Resampling.LANCZOS)


def _corners(kind: str, n: int) -> list[tuple[float, float]]:
    if kind == "triangle":
        return [(n / 2, 0), (n - 1, n - 1), (0, n - 1)]
    if kind == "diamond":
        return [(n / 2, 0), (n - 1, n / 2), (n / 2, n - 1), (0, n / 2)]
    if kind == "star":
        angles = [-math.pi / 2 + i * math.pi / 5 for i in range(10)]
        radii = [n / 2 * (1 if i % 2 == 0 else 0.42) for i in range(10)]
        return [(n / 2 + r * math.cos(a), n / 2 + r * math.sin(a)) for r, a in zip(radii, angles, strict=True)]
    raise ValueError(f"unknown shape {kind!r}: draw_shape knows circle, cross, triangle, diamond and star")


@lru_cache(maxsize=4_000)
def draw_sign(color: str, text: str, width: int) -> Image.Image:
    """An RGBA sign, `width` px wide, with a word or a number in Pillow's built-in typeface."""
    height = int(width * 0.72)
    ink = (0, 0, 0) if color in _DARK_INK_ON else (255, 255, 255)
    image = Image.new("RGBA", (width, height), (0, 0, 0, 0))
    pen = ImageDraw.Draw(image)
    pen.rounded_rectangle((0, 0, width - 1, height - 1), radius=5, fill=(*COLORS[color], 255), outline=ink, width=2)
    letters = font(int(height * 0.85) if len(text) == 1 else int(width * 0.34))
    left, top, right, bottom = pen.textbbox((0, 0), text, font=letters)
    corner = ((width - (right - left)) / 2 - left, (height - (bottom - top)) / 2 - top)
    pen.text(corner, text, font=letters, fill=ink, stroke_width=1, stroke_fill=ink)
    return image


def draw_background(rng: random.Random, width: int, height: int) -> Image.Image:
    """A plain, graded, cloudy or striped background, `width` x `height` px."""
    pixels = np.empty((height, width, 3), np.float32)
    pixels[:] = [rng.randint(120, 245) for _ in range(3)]
    style = rng.random()
    if style < 0.35:
        tilt = np.array([rng.randint(-60, 60) for _ in range(3)], np.float32)
        across = rng.random() < 0.5
        ramp = np.linspace(-1, 1, width if across else height)
        pixels += (ramp[None, :, None] if across else ramp[:, None, None]) * tilt
    elif style < 0.65:
        n = rng.choice([6, 12, 24])
        noise = np.random.RandomState(rng.randint(0, 2**31 - 1)).randint(0, 255, (n, n)).astype(np.uint8)
        clouds = np.asarray(Image.fromarray(noise).resize((width, height), Image.Resampling.BICUBIC), np.float32)
        pixels += (clouds[..., None] / 255 - 0.5) * rng.randint(20, 60)
    elif style < 0.8:
        period, depth, across = rng.randint(10, 50), rng.randint(10, 30), rng.random() < 0.5
        stripes = (np.arange(width if across else height) // period % 2) * depth
        pixels += stripes[None, :, None] if across else stripes[:, None, None]
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def render_sprites(font_file: str, size: int = 96) -> None:
    """Write assets/sprites/noto/*.png from a Noto Color Emoji font file: the one step that needs a font, run once."""
    emoji = ImageFont.truetype(font_file, 109)
    for name, character in EMOJI.items():
        canvas = Image.new("RGBA", (160, 160), (0, 0, 0, 0))
        ImageDraw.Draw(canvas).text((12, 12), character, font=emoji, embedded_color=True)
        sprite = canvas.crop(canvas.getbbox())
        sprite.thumbnail((size, size), Image.Resampling.LANCZOS)
        sprite.save(SPRITES / "noto" / f"{name}.png", optimize=True)
