"""Grounds of the settings, and the light and grain over a finished image. Integer arithmetic: the same everywhere."""

from __future__ import annotations

import random

import numpy as np
from PIL import Image, ImageDraw

from crop_core.evaluate.datasets.independent.tiles import Ink
from crop_core.train.world.vocabulary import Box

_PAPERS: tuple[Ink, ...] = ((250, 246, 232), (238, 226, 198), (214, 190, 150), (232, 238, 240))
_NIGHTS: tuple[Ink, ...] = ((14, 18, 44), (28, 16, 52), (10, 34, 52), (36, 38, 48))
_LANDS: tuple[Ink, ...] = ((236, 232, 214), (226, 236, 216), (240, 226, 206))
_WINDOWS: tuple[Ink, ...] = ((244, 246, 250), (228, 232, 238), (250, 244, 236))


def bar_height(size: tuple[int, int]) -> int:
    """Height of a screen's title bar, in pixels."""
    return max(size) // 18


def margins(setting: str, size: tuple[int, int]) -> Box:
    """The box in which the things of a setting may lie."""
    (width, height), edge = size, max(size) // 40
    top = 2 * bar_height(size) + edge if setting == "screen" else edge
    return (edge, top, width - edge, height - edge)


def draw_ground(setting: str, seed: int, size: tuple[int, int], lines: tuple[int, ...]) -> Image.Image:
    """The ground of a setting, RGB. lines: y of its ruled lines, of a table or chart."""
    rng = random.Random(f"ground {seed}")
    if setting == "night":
        return _night(rng, size)
    if setting == "map":
        return _map(rng, size)
    if setting == "screen":
        return _screen(rng, size)
    image = _graded(rng.choice(_PAPERS), rng.choice(_PAPERS), size)
    pen, faint = ImageDraw.Draw(image), (188, 190, 204)
    if setting == "sketch":
        pitch, squared = rng.randint(16, 30), rng.random() < 0.5
        for y in range(pitch, size[1], pitch):
            pen.line((0, y, size[0], y), faint)
        for x in range(pitch, size[0] if squared else 0, pitch):
            pen.line((x, 0, x, size[1]), faint)
    for y in lines:
        pen.line((0, y, size[0], y), (160, 156, 150), 1 + (setting == "table"))
    return image


def _graded(start: Ink, end: Ink, size: tuple[int, int]) -> Image.Image:
    """From one color at the top left to another at the bottom right."""
    width, height = size
    share = (np.arange(height)[:, None] * width + np.arange(width)[None] * height) * 256 // (2 * width * height)
    mixed = np.array(start) * (256 - share[..., None]) + np.array(end) * share[..., None]
    return Image.fromarray((mixed // 256).astype(np.uint8))


def _night(rng: random.Random, size: tuple[int, int]) -> Image.Image:
    """A dark sky with small stars, and hills."""
    (width, height), top = size, rng.choice(_NIGHTS)
    image = _graded(top, rng.choice(_NIGHTS), size)
    pen = ImageDraw.Draw(image)
    for _ in range(width * height // 2500):
        x, y, level = rng.randrange(width), rng.randrange(height), rng.randint(90, 170)
        pen.rectangle((x, y, x + rng.randint(0, 1), y + 1), (level, level, level))
    for _ in range(3):
        x, wide, high = rng.randrange(width), rng.randint(width // 3, width), rng.randint(height // 8, height // 3)
        hill: Ink = (top[0] // 2 + 12, top[1] // 2 + 20, top[2] // 2 + 8)
        pen.polygon(((x - wide, height), (x, height - high), (x + wide, height)), hill)
    return image


def _map(rng: random.Random, size: tuple[int, int]) -> Image.Image:
    """Land with parks, a river and roads."""
    width, height = size
    image = Image.new("RGB", size, rng.choice(_LANDS))
    pen, unit = ImageDraw.Draw(image), max(size) // 50
    for _ in range(rng.randint(1, 3)):
        x, y = rng.randrange(width), rng.randrange(height)
        corners = [(x + rng.randint(-9, 9) * unit, y + rng.randint(-9, 9) * unit) for _ in range(4)]
        pen.polygon(corners, (196, 222, 176))
    ends = ((0, rng.randrange(height)), (width // 2, rng.randrange(height)), (width, rng.randrange(height)))
    pen.line(ends, (168, 202, 226), 2 * unit, "curve")
    for _ in range(rng.randint(3, 5)):
        x, y, wide = rng.randrange(width), rng.randrange(height), rng.randint(unit // 2, unit)
        road = (
            ((x, 0), (rng.randrange(width), height)) if rng.random() < 0.5 else ((0, y), (width, rng.randrange(height)))
        )
        pen.line(road, (200, 192, 180), wide + 4)
        pen.line(road, (255, 253, 246), wide)
    return image


def _screen(rng: random.Random, size: tuple[int, int]) -> Image.Image:
    """A window with a title bar, a menu bar and empty panels."""
    (width, height), bar = size, bar_height(size)
    image = Image.new("RGB", size, rng.choice(_WINDOWS))
    pen, title = ImageDraw.Draw(image), rng.choice(((58, 66, 84), (92, 98, 112), (168, 176, 190)))
    for _ in range(rng.randint(1, 3)):
        x, y = rng.randrange(width), rng.randint(2 * bar, height)
        panel = (x, y, x + rng.randint(width // 6, width // 2), y + rng.randint(height // 6, height // 2))
        pen.rectangle(panel, (218, 222, 230), (200, 204, 212))
    pen.rectangle((0, bar, width, 2 * bar), (206, 210, 218))
    pen.rectangle((0, 0, width, bar), title)
    for place, ink in enumerate(((236, 106, 94), (244, 190, 80), (98, 196, 84))):
        x = bar // 2 + place * bar
        pen.ellipse((x, bar // 3, x + bar // 3, bar * 2 // 3), ink)
    return image


def finish(image: Image.Image, seed: int) -> Image.Image:
    """The image in uneven light and with grain, which do not depend on what is drawn."""
    rng = random.Random(f"finish {seed}")
    width, height = image.size
    light = rng.randint(-24, 24) * (np.arange(width) - width // 2) // width
    grain = np.random.RandomState(rng.randrange(2**31)).randint(-5, 6, (height, width, 1)) * rng.randint(0, 2)
    pixels = np.asarray(image, np.int64) + light[None, :, None] + grain
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
