"""The looks of the tiny world: every style draws, boxes follow a tilt, held-out styles are never trained on."""

import random
from dataclasses import fields, replace
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image

from crop_core.train.world import drawing
from crop_core.train.world.style import HELD_OUT_STYLES, STYLES, Style, finish, pick_style
from crop_core.train.world.vocabulary import BACKGROUNDS, COLORS, EMOJI, SHAPES, Mark, Scene, SceneObject

TILTED = Style("noto", False, False, "tilted")


def scene_with_square(box, width=336, height=252):
    """A red square on grey, whose right half is its one mark."""
    image = Image.new("RGB", (width, height), (128, 128, 128))
    image.paste((230, 20, 20), box)
    left, top, right, bottom = box
    half = Mark(((left + right) // 2, top, right, bottom), color="red")
    return Scene(image, (SceneObject("shape", "square", "red", None, 0, 0, box, (half,)),), 3, 4)


def ink_box(image):
    """The box of all clearly red pixels."""
    pixels = np.asarray(image, int)
    rows, columns = np.nonzero(pixels[..., 0] - pixels[..., 1] > 90)
    return columns.min(), rows.min(), columns.max() + 1, rows.max() + 1


@pytest.mark.parametrize("style", STYLES, ids=str)
def test_every_style_renders_the_same_image_for_the_same_seed(style):
    scene = scene_with_square((40, 60, 110, 140))
    first, second = (finish(random.Random(5), scene, style) for _ in range(2))
    assert first.image.size == scene.image.size and first.image.mode == "RGB"
    assert np.array_equal(np.asarray(first.image), np.asarray(second.image)) and first.objects == second.objects
    changed = style.textured or style.finish != "clean"
    assert np.array_equal(np.asarray(first.image), np.asarray(scene.image)) != changed
    assert (first.objects == scene.objects) == (style.finish != "tilted")


@pytest.mark.parametrize("box", [(40, 60, 110, 140), (0, 0, 60, 60), (276, 192, 336, 252), (150, 0, 210, 50)])
def test_boxes_follow_a_tilt(box):
    for seed in range(25):
        tilted = finish(random.Random(seed), scene_with_square(box), TILTED)
        (thing,), seen = tilted.objects, ink_box(tilted.image)
        assert thing.box[0] - 1 <= seen[0] and thing.box[1] - 1 <= seen[1]
        assert seen[2] <= thing.box[2] + 1 and seen[3] <= thing.box[3] + 1
        assert max(abs(a - b) for a, b in zip(thing.box, seen, strict=True)) <= 3
        mark = thing.marks[0].box
        assert mark[0] > thing.box[0] + 15 and mark[2] == thing.box[2]  # still its right half
        for left, top, right, bottom in (thing.box, mark):
            assert 0 <= left < right <= 336 and 0 <= top < bottom <= 252
            assert all(isinstance(edge, int) for edge in (left, top, right, bottom))


def test_nothing_leaves_the_image_when_tilted():
    red = scene_with_square((0, 0, 336, 252))
    for seed in range(25):
        left, top, right, bottom = finish(random.Random(seed), red, TILTED).objects[0].box
        assert left > 0 and top > 0 and right < 336 and bottom < 252


def test_held_out_styles_are_new_mixes_of_known_values():
    rng = random.Random(1)
    trained = {pick_style(rng) for _ in range(2000)}
    assert trained.isdisjoint(HELD_OUT_STYLES) and trained.union(HELD_OUT_STYLES) == set(STYLES)
    assert {pick_style(rng, held_out=True) for _ in range(500)} == set(HELD_OUT_STYLES)
    assert 0.15 <= len(HELD_OUT_STYLES) / len(STYLES) <= 0.25
    for field in fields(Style):
        for value in {getattr(style, field.name) for style in STYLES}:
            of_value = [style for style in STYLES if getattr(style, field.name) == value]
            assert sum(style in trained for style in of_value) >= 0.7 * len(of_value)


def test_an_unknown_finish_is_refused():
    with pytest.raises(ValueError, match="unknown finish"):
        finish(random.Random(0), scene_with_square((0, 0, 9, 9)), replace(TILTED, finish="burnt"))


@pytest.mark.parametrize("sprites", drawing.SPRITE_SETS)
def test_every_set_has_every_sprite_and_a_licence(sprites):
    folder = drawing.SPRITES / sprites
    assert {path.stem for path in folder.glob("*.png")} == set(EMOJI)
    assert "Copyright" in (folder / "LICENSE").read_text(encoding="utf-8")
    for name in EMOJI:
        assert max(Image.open(folder / f"{name}.png").size) == 96
        for outlined in (False, True):
            image = drawing.draw_emoji(name, sprites, 64, 12, outlined)
            assert image.mode == "RGBA" and max(image.size) == 64


@pytest.mark.parametrize("kind", SHAPES)
@pytest.mark.parametrize("size", [44, 74])
def test_an_outlined_shape_is_hollow_and_as_large(kind, size):
    filled, outlined = (drawing.draw_shape(kind, "blue", size, outlined) for outlined in (False, True))
    assert filled.size == outlined.size == (size, size) and filled.getbbox() == outlined.getbbox()
    middle = (size // 2, round(size * (0.69 if kind == "triangle" else 0.5)))
    assert filled.getpixel(middle)[3] == 255 and outlined.getpixel(middle)[3] == 0


@pytest.mark.parametrize("text", ["7", "20", "salad", "fresh bread", "free juice today"])
@pytest.mark.parametrize("color", COLORS)
def test_a_sign_knows_where_its_words_are(text, color):
    for outlined in (False, True):
        sign, boxes = drawing.draw_sign(color, text, 72, outlined)
        lines = text.split()
        assert sign.width == 72 and len(boxes) == len(lines)
        for left, top, right, bottom in boxes:
            assert 0 < left < right < sign.width and 0 < top < bottom < sign.height
            assert np.asarray(sign.convert("L").crop((left, top, right, bottom)), int).std() > 30  # readable
        assert all(above[3] <= below[1] for above, below in pairwise(boxes))


@pytest.mark.parametrize("kind", BACKGROUNDS)
@pytest.mark.parametrize("rows", [3, 4])
def test_backgrounds(kind, rows):
    first, second = (drawing.draw_background(random.Random(3), kind, 336, 84 * rows, rows) for _ in range(2))
    assert first.size == (336, 84 * rows) and first.mode == "RGB"
    assert np.array_equal(np.asarray(first), np.asarray(second))
