"""Cut-out pictures: nothing is left but what one question needs, so that its answer rests on that alone."""

from __future__ import annotations

import random
from dataclasses import replace

from PIL import Image

from crop_core.tiny.questions import all_questions
from crop_core.tiny.world import Box, Scene


def cut_out(image: Image.Image, boxes: tuple[Box, ...], grey: int = 150) -> Image.Image:
    """The content of the boxes where it was, on plain grey."""
    alone = Image.new("RGB", image.size, (grey, grey, grey))
    for box in boxes:
        alone.paste(image.crop(box), box[:2])
    return alone


def cut_out_scene(rng: random.Random, scene: Scene) -> Scene:
    """The scene with nothing left but what a question picked at random needs; unchanged where each needs everything."""
    kinds = [[q for q in found if not q.needs_everything] for found in all_questions(rng, scene).values()]
    kinds = [found for found in kinds if found]
    if not kinds:
        return scene
    question = rng.choice(rng.choice(kinds))
    shown = question.reference + question.target
    return replace(scene, image=cut_out(scene.image, shown, rng.randint(60, 220)), shown=shown)
