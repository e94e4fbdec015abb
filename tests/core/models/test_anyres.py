"""Token boxes of images of any resolution against the real processors and the models' own packing, by a colour ramp."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from transformers.models.llava_next.image_processing_pil_llava_next import LlavaNextImageProcessorPil
from transformers.models.llava_next.modeling_llava_next import LlavaNextModel
from transformers.models.llava_onevision.image_processing_pil_llava_onevision import LlavaOnevisionImageProcessorPil
from transformers.models.llava_onevision.modeling_llava_onevision import LlavaOnevisionModel

from crop_core.models.families.llava_next import AnyRes
from tests.support.layouts import ramp

SIZES = [(112, 112), (400, 300), (300, 400), (337, 201), (90, 640), (1000, 999), (61, 50), (640, 120)]
PINPOINTS = [[112, 224], [224, 112], [224, 224], [336, 112], [112, 336]]
MANY = [[100 * high, 100 * wide] for high in range(1, 5) for wide in range(1, 5)]
ENDS = -1.0  # the colour that stands for the end of a row


def next_tokens(image):
    """(N, 3) mean colours of LLaVA-NeXT's tokens, packed as its model does; 0..255, ENDS for ends of rows."""
    square = {"height": 112, "width": 112}
    images = LlavaNextImageProcessorPil(
        size={"shortest_edge": 112}, crop_size=square, do_normalize=False, image_grid_pinpoints=PINPOINTS
    )
    made = images(image, return_tensors="pt")
    config = SimpleNamespace(
        vision_config=SimpleNamespace(image_size=112, patch_size=14), image_grid_pinpoints=PINPOINTS
    )
    features = means(made["pixel_values"][0], 14)
    end = torch.full((3,), ENDS)
    packed, _ = LlavaNextModel.pack_image_features(
        SimpleNamespace(config=config), [features], made["image_sizes"], "default", image_newline=end
    )
    return packed[0].numpy()


def onevision_tokens(image):
    """The same of LLaVA-OneVision: tiles of 100 px hold seven patches of 14, and large canvases are shrunk."""
    square = {"height": 100, "width": 100}
    images = LlavaOnevisionImageProcessorPil(size=square, do_normalize=False, image_grid_pinpoints=MANY)
    made = images(image, return_tensors="pt")
    config = SimpleNamespace(vision_config=SimpleNamespace(image_size=100, patch_size=14), image_grid_pinpoints=MANY)
    end = torch.full((3,), ENDS)
    packed, _ = LlavaOnevisionModel.pack_image_features(
        SimpleNamespace(config=config), [means(made["pixel_values"][0], 14)], made["image_sizes"], end, "anyres_max_4"
    )
    return packed[0].numpy()


def means(views, patch):
    """(V, N, 3) mean colours of the whole patches of (V, 3, H, W) pixels."""
    count = views.shape[-1] // patch
    cut = views[..., : count * patch, : count * patch].unflatten(3, (count, patch)).unflatten(2, (count, patch))
    return cut.mean((3, 5)).flatten(2).mT * 255


KINDS = {
    "LLaVA-NeXT": (next_tokens, AnyRes(112, 14, tuple(map(tuple, PINPOINTS)))),
    "LLaVA-OneVision": (onevision_tokens, AnyRes(100, 14, tuple(map(tuple, MANY)), max_tiles=4)),
}


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_every_token_lies_where_its_pixels_came_from(kind, size):
    tokens, how = KINDS[kind]
    colour, layout = tokens(ramp(*size)), how.layout(size)
    assert layout.boxes.shape == (len(colour), 4)
    assert (np.isnan(layout.boxes).all(1) == (colour == ENDS).all(1)).all()
    assert ((layout.view == -1) == (colour == ENDS).all(1)).all()
    assert set(layout.view.tolist()) == {-1, 0, 1}
    extent = np.maximum(np.array(size) - 1, 1)
    for view in (0, 1):
        of_view = layout.view == view
        boxes, seen = layout.boxes[of_view], colour[of_view]
        token = np.median(boxes[:, 2:] - boxes[:, :2], axis=0)
        whole = (boxes[:, :2] >= -1e-6).all(1) & (boxes[:, 2:] <= np.array(size) + 1e-6).all(1)  # no padding in it
        for axis in (0, 1):
            first, last = boxes[:, axis], boxes[:, axis + 2]
            edge = 0.2 * token[axis]  # where a resize blends, and the ramp is flat
            inside = whole & (first >= edge) & (last <= size[axis] - edge)
            assert inside.any()
            expected = ((first + last)[inside] / 2 - 0.5) / extent[axis] * 255
            off = np.abs(seen[inside, axis] - expected) / (token[axis] / extent[axis] * 255)
            assert off.max() <= 0.1
