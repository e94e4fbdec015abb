"""Images of any size reach the processor as they are, but for those that it would pad to a huge square."""

import pytest
import torch
from PIL import Image

from crop_core.engine.engine import CropEngine
from crop_core.models import load
from crop_core.models.families.llava import PADDED_SIDE
from crop_core.records.config import Budget, CropConfig
from tests.support import checkpoints, families

LARGE = [(1537, 2049), (1700, 2200), (4032, 3024), (6000, 120)]  # just above 2048, a page, a phone's photo, a panorama


def noise(size: tuple[int, int]) -> Image.Image:
    return Image.effect_noise(size, 80).convert("RGB")


@pytest.mark.parametrize("name", list(families.FAMILIES))
def test_a_large_image_has_the_processors_tokens_and_pixels(name, tmp_path):
    families.build(name, tmp_path)
    adapter = load(tmp_path, "cpu")
    for size in LARGE:
        image = noise(size)
        prepared = adapter.prepare(image, "what is left of the dog ?")
        prompt = adapter.prompt("what is left of the dog ?")
        expected = adapter.processor(images=[[image]], text=[prompt], return_tensors="pt")
        assert prepared.input_ids.tolist() == expected["input_ids"].tolist(), size
        assert torch.equal(prepared.vision["pixel_values"], expected["pixel_values"].to(adapter.dtype)), size
        assert adapter.layout(size).count == int(prepared.visual.sum()), size
        assert adapter.layout(size).image_size == size


def test_an_image_that_is_padded_to_a_square_is_resized_smoothly_and_the_user_reads_it(tmp_path):
    engine = CropEngine.from_pretrained(checkpoints.save(tmp_path, "pad"), None, warm_up=False)
    size = (PADDED_SIDE + 904, 200)
    config = CropConfig(budget=Budget(share=0.5), localizer="whole", max_new_tokens=2, repeats=1)
    assert engine.adapter.fitted_size(size) == (PADDED_SIDE, 164)
    assert engine.adapter.fitted_size((PADDED_SIDE, 200)) == (PADDED_SIDE, 200)
    notice = f"The image of 5000x200 pixels was resized to {PADDED_SIDE}x164, the most for {engine.adapter.name}."
    assert notice in engine.compare(noise(size), "what?", config).notices
    assert not any("resized" in each for each in engine.compare(noise((300, 200)), "what?", config).notices)
    gradient = Image.linear_gradient("L").resize(size).convert("RGB")
    assert engine.adapter.fitted(gradient).getpixel((2000, 82))[0] == pytest.approx(128, abs=2)
