"""Token boxes against the real PIL image processors, by a colour ramp that says where each pixel came from."""

import numpy as np
import pytest
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.llava.image_processing_pil_llava import LlavaImageProcessorPil

from crop_core.models.adapter import ModelError
from crop_core.models.geometry import Framing, grid_layout
from tests.support.layouts import ramp

SQUARE = {"height": 112, "width": 112}
PATCH = 14
SIZES = [(112, 112), (400, 300), (300, 400), (337, 201), (90, 640), (1000, 999), (61, 50), (1, 1), (3, 2)]
PROCESSORS = {
    "crop": lambda: CLIPImageProcessorPil(size={"shortest_edge": 112}, crop_size=SQUARE),
    "crop smaller": lambda: CLIPImageProcessorPil(size={"shortest_edge": 140}, crop_size=SQUARE),
    "crop larger": lambda: CLIPImageProcessorPil(size={"shortest_edge": 98}, crop_size=SQUARE),
    "crop odd": lambda: CLIPImageProcessorPil(size={"shortest_edge": 113}, crop_size={"height": 120, "width": 120}),
    "pad": lambda: LlavaImageProcessorPil(size={"shortest_edge": 112}, crop_size=SQUARE, do_pad=True),
    "pad, no crop": lambda: LlavaImageProcessorPil(size=SQUARE, do_center_crop=False, do_pad=True),
    "squash": lambda: LlavaImageProcessorPil(size=SQUARE, do_center_crop=False),
}


def seen(processor, image):
    """Mean colour of each patch (N, 3) as the model gets it, 0..255."""
    pixels = processor(image, return_tensors="np", do_normalize=False)["pixel_values"][0] * 255  # (3, H, W)
    rows, cols = pixels.shape[1] // PATCH, pixels.shape[2] // PATCH
    patches = pixels[:, : rows * PATCH, : cols * PATCH].reshape(3, rows, PATCH, cols, PATCH)
    return patches.mean((2, 4)).reshape(3, -1).T


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("mode", PROCESSORS)
def test_every_token_lies_where_its_pixels_came_from(mode, size):
    processor = PROCESSORS[mode]()
    if mode == "pad" and size[0] != size[1]:
        processor.image_mean = [0.0, 0.0, 0.0]  # padding is black, so that blue tells image from padding
    layout = grid_layout(size, Framing.of(processor), PATCH)
    colour = seen(processor, ramp(*size))
    assert layout.boxes.shape == (len(colour), 4)
    token = layout.boxes[0, 2:] - layout.boxes[0, :2]
    # a resize blends over half a token around an edge of the image, and the ramp is flat beyond the outer pixel centres
    edge = np.maximum(token, 1.0)
    inside = (layout.boxes[:, :2] >= edge).all(1) & (layout.boxes[:, 2:] <= np.array(size) - edge).all(1)
    centre = (layout.boxes[:, :2] + layout.boxes[:, 2:])[inside] / 2
    expected = (centre - 0.5) / np.maximum(np.array(size) - 1, 1) * 255
    per_token = token / np.maximum(np.array(size) - 1, 1) * 255
    assert (np.abs(colour[inside, :2] - expected) <= 0.05 * per_token + 0.6).all()
    outside = (layout.boxes[:, 0] >= size[0]) | (layout.boxes[:, 1] >= size[1]) | (layout.boxes[:, 2:] <= 0).any(1)
    assert (colour[outside, 2] < 128).all() or mode == "pad, no crop"
    assert (colour[inside, 2] > 250).all()


@pytest.mark.parametrize(
    ("mode", "size", "visible"),
    [
        ("crop", (450, 300), (75, 0, 375, 300)),
        ("crop", (300, 450), (0, 75, 300, 375)),
        ("pad", (400, 300), (0, 0, 400, 300)),
        ("squash", (90, 640), (0, 0, 90, 640)),
        ("crop larger", (98, 98), (0, 0, 98, 98)),
        ("crop smaller", (140, 140), (14, 14, 126, 126)),
    ],
)
def test_the_visible_part(mode, size, visible):
    layout = grid_layout(size, Framing.of(PROCESSORS[mode]()), PATCH)
    assert layout.visible == pytest.approx(visible, abs=1e-9)


def test_rows_columns_and_tokens_without_a_place():
    layout = grid_layout((200, 100), Framing.of(PROCESSORS["squash"]()), PATCH, leading=1)
    assert layout.count == 65 and np.isnan(layout.boxes[0]).all()
    assert (layout.view[0], layout.row[0], layout.col[0]) == (-1, -1, -1)
    assert layout.row[1:].tolist() == [index // 8 for index in range(64)]
    assert layout.col[1:].tolist() == [index % 8 for index in range(64)]
    assert layout.boxes[-1].tolist() == [175.0, 87.5, 200.0, 100.0]


def test_steps_that_are_not_understood_are_refused():
    with pytest.raises(ModelError, match="pads after the resize"):
        Framing.of(CLIPImageProcessorPil(do_pad=True))
    with pytest.raises(ModelError, match="not supported"):
        Framing.of(CLIPImageProcessorPil(do_resize=False))
