"""Style of a scene: sprites, filled or outlined, smooth or on paper, and artefacts of a camera or a file."""

from __future__ import annotations

import io
import math
import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from itertools import product

import numpy as np
from PIL import Image

from crop_core.train.world.drawing import SPRITE_SETS
from crop_core.train.world.vocabulary import Box, Scene, SceneObject

FINISHES = ("clean", "noisy", "jpeg", "tilted")
_FIELDS, _FIELD = 8, 512  # cached noise: how many fields, and pixels of their sides
_TILT, _PERSPECTIVE, _SHRINK = 4.0, 0.03, 0.93  # degrees, share of a side, scale


@dataclass(frozen=True)
class Style:
    """One style: a set of drawing.SPRITE_SETS, objects outlined or filled, paper or none, one of FINISHES."""

    sprites: str
    outlined: bool
    textured: bool
    finish: str


STYLES = tuple(Style(*mix) for mix in product(SPRITE_SETS, (False, True), (False, True), FINISHES))
# Never in training, which has each single value of them in most of the other styles.
HELD_OUT_STYLES = (
    Style("noto", False, True, "tilted"),
    Style("noto", True, False, "jpeg"),
    Style("noto", True, True, "noisy"),
    Style("fluent", False, False, "noisy"),
    Style("fluent", False, True, "jpeg"),
    Style("fluent", True, False, "tilted"),
)
_TRAINING_STYLES = tuple(style for style in STYLES if style not in HELD_OUT_STYLES)


def pick_style(rng: random.Random, held_out: bool = False) -> Style:
    """A training style, or a held-out one."""
    return rng.choice(HELD_OUT_STYLES if held_out else _TRAINING_STYLES)


def finish(rng: random.Random, scene: Scene, style: Style) -> Scene:
    """The scene on its style's paper, with the artefacts of its camera or file; boxes follow a tilt."""
    image = scene.image
    if style.textured:
        image = _on_paper(rng, image)
    if style.finish == "tilted":
        return _tilted(rng, replace(scene, image=image))
    if style.finish == "noisy":
        sigma = rng.uniform(4, 12)
        image = _add(image, _patch(rng, _noise, image.size) * sigma)
    elif style.finish == "jpeg":
        file = io.BytesIO()
        image.save(file, "JPEG", quality=rng.randint(30, 75))
        image = Image.open(file).convert("RGB")
    elif style.finish != "clean":
        raise ValueError(f"unknown finish {style.finish!r}: finish knows {', '.join(FINISHES)}")
    return replace(scene, image=image)


@cache
def _noise(index: int) -> np.ndarray:
    """A field of white noise, a value per pixel and channel, of mean 0 and deviation 1."""
    return np.random.RandomState(index).standard_normal((_FIELD, _FIELD, 3)).astype(np.float32)


@cache
def _paper(index: int) -> np.ndarray:
    """A field of fine grain and soft blotches, a value per pixel, of mean 0 and deviation 1."""
    random_state = np.random.RandomState(1000 + index)
    field = np.zeros((_FIELD, _FIELD), np.float32)
    for side, share in ((_FIELD, 0.7), (_FIELD // 3, 0.8), (_FIELD // 16, 0.6)):
        grain = random_state.standard_normal((side, side)).astype(np.float32)
        field += share * np.asarray(Image.fromarray(grain).resize((_FIELD, _FIELD), Image.Resampling.BICUBIC))
    return ((field - field.mean()) / field.std())[..., None]


def _patch(rng: random.Random, kind: Callable[[int], np.ndarray], size: tuple[int, int]) -> np.ndarray:
    """A random piece of a cached field, wrapped around where the image is larger."""
    field = kind(rng.randrange(_FIELDS))
    columns, rows = (rng.randrange(_FIELD) + np.arange(side) for side in size)
    return field.take(rows, 0, mode="wrap").take(columns, 1, mode="wrap")


def _add(image: Image.Image, noise: np.ndarray) -> Image.Image:
    return Image.fromarray(np.clip(np.asarray(image, np.float32) + noise, 0, 255).astype(np.uint8))


def _on_paper(rng: random.Random, image: Image.Image) -> Image.Image:
    """The image printed on paper: grain, blotches and a little of the paper's tone."""
    tone = np.array([rng.uniform(-6, 4), rng.uniform(-6, 2), rng.uniform(-14, 0)], np.float32)
    return _add(image, _patch(rng, _paper, image.size) * rng.uniform(4, 8) + tone)


def _tilted(rng: random.Random, scene: Scene) -> Scene:
    """The scene as a tilted photo: rotated, half of the time also in perspective, never cut off."""
    width, height = scene.image.size
    angle = math.radians(rng.uniform(-_TILT, _TILT))
    across, down = math.cos(angle), math.sin(angle)
    fits = 0.99 / (across + abs(down) * max(width / height, height / width))
    across, down = across * min(_SHRINK, fits), down * min(_SHRINK, fits)
    corners = np.array([(0, 0), (width, 0), (width, height), (0, height)], np.float64)
    middle = np.array([width / 2, height / 2])
    moved = (corners - middle) @ np.array([[across, down], [-down, across]]) + middle
    if rng.random() < 0.5:
        shifts = np.array([[rng.uniform(0, _PERSPECTIVE) * side for side in (width, height)] for _ in corners])
        moved += np.sign(middle - corners) * shifts
    coefficients = tuple(_homography(moved, corners).ravel()[:8])
    photo = scene.image.convert("RGBA").transform(
        scene.image.size, Image.Transform.PERSPECTIVE, coefficients, Image.Resampling.BILINEAR
    )
    image = _surroundings(rng, scene.image)
    image.paste(photo, (0, 0), photo)
    forward = _homography(corners, moved)
    objects = tuple(_move(thing, forward, scene.image.size) for thing in scene.objects)
    return replace(scene, image=image, objects=objects)


def _surroundings(rng: random.Random, image: Image.Image) -> Image.Image:
    """The surroundings of a tilted image: one dull colour, or the image itself, blurred and dull."""
    n, grey = rng.choice((1, 3)), rng.randint(60, 200)
    tiny = image.convert("RGB").resize((n, n), Image.Resampling.BOX)
    dull = Image.blend(tiny, Image.new("RGB", (n, n), (grey, grey, grey)), 0.5)
    return dull.resize(image.size, Image.Resampling.BICUBIC)


def _homography(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """The 3 x 3 matrix that maps four points to four others."""
    rows, values = [], []
    for (x, y), (u, v) in zip(source, target, strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
        values += [u, v]
    return np.append(np.linalg.solve(np.array(rows), np.array(values)), 1.0).reshape(3, 3)


def _move(thing: SceneObject, matrix: np.ndarray, size: tuple[int, int]) -> SceneObject:
    marks = tuple(replace(mark, box=_hull(mark.box, matrix, size)) for mark in thing.marks)
    return replace(thing, box=_hull(thing.box, matrix, size), marks=marks)


def _hull(box: Box, matrix: np.ndarray, size: tuple[int, int]) -> Box:
    """The upright box around a transformed box, inside the image and not empty."""
    left, top, right, bottom = box
    x, y, scale = matrix @ np.array([(left, right, right, left), (top, top, bottom, bottom), (1, 1, 1, 1)])
    x, y = x / scale, y / scale
    left, top = (min(max(0, math.floor(v.min())), side - 1) for v, side in zip((x, y), size, strict=True))
    right, bottom = (min(math.ceil(v.max()), side) for v, side in zip((x, y), size, strict=True))
    return left, top, max(left + 1, right), max(top + 1, bottom)
