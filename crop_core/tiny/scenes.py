"""Scenes: four to nine things on a loose layout of 3 or 4 rows and columns. Same seed, same scene."""

from __future__ import annotations

import random

from PIL import Image

from crop_core.tiny import draw
from crop_core.tiny.world import COLORS, EMOJI, NUMBERS, SHAPES, WORDS, Scene, SceneObject

PLACE = 84  # pixels of one place of the layout: 4 x 4 places are 336 px
LAYOUTS = ((4, 4), (4, 4), (4, 4), (3, 4), (4, 3))  # (rows, columns)
_MOST_SIGNS = _MOST_SHAPES = 3

_Thing = tuple[str, str, "str | None", "str | None"]  # kind, name, color, text


def make_scene(seed: int) -> Scene:
    """The scene of this seed: its picture (252 or 336 px a side) and everything in it."""
    rng = random.Random(seed)
    rows, columns = rng.choice(LAYOUTS)
    image = draw.draw_background(rng, columns * PLACE, rows * PLACE)
    things = _things(rng, rng.randint(4, 9))
    places = rng.sample([(row, column) for row in range(rows) for column in range(columns)], len(things))
    objects = [_put(rng, image, thing, place) for thing, place in zip(things, places, strict=True)]
    return Scene(image, tuple(objects), rows, columns)


def _things(rng: random.Random, n: int) -> list[_Thing]:
    """What is in the scene; in two of five scenes one emoji occurs two to four times."""
    names, shapes, colors = (
        rng.sample(list(EMOJI), n + 1),
        rng.sample(SHAPES, _MOST_SHAPES),
        rng.sample(list(COLORS), 8),
    )
    copies = rng.randint(2, 4) if rng.random() < 0.4 else 0
    things: list[_Thing] = [("emoji", names.pop(), None, None)] * min(copies, n)
    signs = drawn = 0
    while len(things) < n:
        pick = rng.random()
        if pick < 0.30 and signs < _MOST_SIGNS:
            things.append(("sign", "sign", colors[signs], rng.choice(NUMBERS if rng.random() < 0.5 else WORDS)))
            signs += 1
        elif pick < 0.50 and drawn < _MOST_SHAPES:
            things.append(("shape", shapes[drawn], colors[_MOST_SIGNS + drawn], None))
            drawn += 1
        else:
            things.append(("emoji", names.pop(), None, None))
    return things


def _put(rng: random.Random, image: Image.Image, thing: _Thing, place: tuple[int, int]) -> SceneObject:
    kind, name, color, text = thing
    if kind == "emoji":
        picture = draw.draw_emoji(name, rng.randint(48, 80), rng.uniform(-18, 18))
    elif kind == "shape":
        picture = draw.draw_shape(name, color or "", rng.randint(44, 74))
    else:
        picture = draw.draw_sign(color or "", text or "", 4 * rng.randint(15, 20))
    left, top = (_jitter(rng, index, extent) for index, extent in zip(place[::-1], picture.size, strict=True))
    image.paste(picture, (left, top), picture)
    box = (left, top, left + picture.width, top + picture.height)
    return SceneObject(kind, name, color, text, *place, box)


def _jitter(rng: random.Random, index: int, extent: int) -> int:
    """Anywhere inside the place, whole."""
    return index * PLACE + int(rng.uniform(0, max(0, PLACE - extent)))
