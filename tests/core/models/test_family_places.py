"""Where the tokens of each family lie, by a colour ramp through its real processor.

LLaVA-1.5 is in test_geometry.py, LLaVA-NeXT and LLaVA-OneVision in test_anyres.py.
"""

import numpy as np
import pytest
import torch

from crop_core.models import load
from tests.support.families import FAMILIES, build
from tests.support.layouts import ramp

SIZES = [(400, 300), (300, 400), (337, 201), (90, 640), (640, 120), (64, 64), (50, 61), (2500, 1900)]
OTHERS = [name for name in FAMILIES if not name.startswith("llava")]


@pytest.fixture(scope="module", params=OTHERS)
def adapter(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    build(request.param, folder)
    return load(folder)


def seen(adapter, image):
    """(N, 3) mean colour of every visual token, 0..255, in placeholder order."""
    inputs, images = adapter.prepare(image, "what is left?"), adapter.processor.image_processor
    pixels = inputs.vision["pixel_values"].float()
    if "image_grid_thw" in inputs.vision:  # (patches, 3 * 2 * patch * patch), the four patches of a token in a row
        colour = pixels.reshape(-1, images.merge_size**2, 3, images.temporal_patch_size * images.patch_size**2).mean(
            (1, 3)
        )
    else:
        views = pixels.reshape(-1, *pixels.shape[-3:])  # (V, 3, S, S)
        side = int((int(inputs.visual.sum()) / len(views)) ** 0.5)
        colour = torch.nn.functional.adaptive_avg_pool2d(views, side).flatten(2).mT.reshape(-1, 3)
    return (colour.numpy() * np.array(images.image_std) + np.array(images.image_mean)) * 255


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_every_token_lies_where_its_pixels_came_from(adapter, size):
    colour, layout = seen(adapter, ramp(*size)), adapter.layout(size)
    assert layout.boxes.shape == (len(colour), 4)
    assert layout.visible == pytest.approx((0, 0, *size))
    extent = np.maximum(np.array(size) - 1, 1)
    centre, token = (layout.boxes[:, :2] + layout.boxes[:, 2:]) / 2, layout.boxes[:, 2:] - layout.boxes[:, :2]
    off = np.abs(colour[:, :2] - np.clip((centre - 0.5) / extent, 0, 1) * 255) / (token / extent * 255)
    assert off.max() <= 0.12


def test_tiles_are_one_grid_and_the_overview_another(adapter):
    layout = adapter.layout((400, 300))
    for view in set(layout.view.tolist()):
        rows, cols = layout.row[layout.view == view], layout.col[layout.view == view]
        assert sorted(zip(rows, cols, strict=True)) == [
            (r, c) for r in range(max(rows) + 1) for c in range(max(cols) + 1)
        ]
        left, top = layout.boxes[layout.view == view][:, :2].T
        assert np.allclose(left, cols * 400 / (max(cols) + 1)) and np.allclose(top, rows * 300 / (max(rows) + 1))
