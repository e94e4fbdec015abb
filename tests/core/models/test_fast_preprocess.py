"""Prompts and pixels prepared the fast way are the processor's own, to the last bit."""

import pytest
import torch
from PIL import Image

from crop_core.models import load
from crop_core.models.fast_preprocess import FastPreprocessAdapter, normalized
from tests.support import families

SIZES = [(96, 64), (64, 130), (120, 120)]
NAMES = ["llava_next", "llava_onevision", "qwen2_vl", "qwen2_5_vl", "qwen3_vl"]


@pytest.fixture(scope="module", params=NAMES)
def adapter(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    families.build(request.param, folder)
    return load(folder, "cpu")


@pytest.mark.parametrize("images", [SIZES[:1], SIZES[1:2], SIZES[2:], [SIZES[0]] * 2, [(1537, 2049)], [(4032, 3024)]])
def test_prepared_inputs_are_the_processors(adapter, images):
    assert isinstance(adapter, FastPreprocessAdapter)
    pictures = [Image.effect_noise(size, 80).convert("RGB") for size in images]
    found = adapter.prepare(pictures, "what is left of the dog ?")
    prompt = adapter.prompt("what is left of the dog ?", len(pictures))
    told = adapter.processor(images=[pictures], text=[prompt], return_tensors="pt")
    assert found.input_ids.tolist() == told["input_ids"].tolist()
    assert set(found.vision) == set(adapter.vision_keys)
    for key, tensor in found.vision.items():
        assert tensor.dtype == told[key].dtype
        assert torch.equal(tensor, told[key]), key


@pytest.mark.parametrize(("rescale", "normalize"), [(True, True), (True, False), (False, True), (False, False)])
@pytest.mark.parametrize(("dtype", "parts"), [(torch.float32, 1), (torch.bfloat16, 2), (torch.float32, 1000)])
def test_every_byte_of_every_channel(rescale, normalize, dtype, parts):
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    processor = CLIPImageProcessorPil(
        do_rescale=rescale, do_normalize=normalize, do_resize=False, do_center_crop=False, image_mean=[0.1, 0.5, 0.4]
    )
    pixels = torch.arange(3 * 256).reshape(3, 16, 16).remainder(251).to(torch.uint8)
    wanted = torch.as_tensor(
        processor(pixels.numpy(), return_tensors="np", input_data_format="channels_first")["pixel_values"][0]
    )
    told = normalized(pixels.flatten(1).repeat(parts, 1, 1), processor, dtype)
    assert torch.equal(told, wanted.flatten(1).to(dtype).repeat(parts, 1, 1))
