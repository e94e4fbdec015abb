"""Cut-out images: nothing is left but what one question needs, so that its answer rests on that alone."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
from PIL import Image

from crop_core.train.world.questions import all_questions
from crop_core.train.world.vocabulary import Box, Scene


def cut_out(image: Image.Image, boxes: tuple[Box, ...], grey: int | None = None) -> Image.Image:
    """The content of the boxes where it was, on plain grey, or, for None, on the median color of the image."""
    ground = _median(image) if grey is None else (grey, grey, grey)
    alone = Image.new("RGB", image.size, ground)
    for box in boxes:
        alone.paste(image.crop(box), box[:2])
    return alone


def _median(image: Image.Image) -> tuple[int, ...]:
    return tuple(map(int, np.median(np.asarray(image).reshape(-1, 3), axis=0)))


def cut_out_scene(rng: random.Random, scene: Scene) -> Scene:
    """The scene with nothing left but what a question picked at random needs; unchanged where each needs everything."""
    kinds = [[q for q in found if not q.needs_everything] for found in all_questions(rng, scene).values()]
    kinds = [found for found in kinds if found]
    if not kinds:
        return scene
    question = rng.choice(rng.choice(kinds))
    shown = question.reference + question.target
    grey = rng.choice((None, rng.randint(60, 220)))
    return replace(scene, image=cut_out(scene.image, shown, grey), shown=shown)
