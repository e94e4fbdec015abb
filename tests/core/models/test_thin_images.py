"""Images of 1 and 3 pixels a side, where a processor that guesses takes rows for channels."""

from __future__ import annotations

import logging

import numpy as np
import pytest
import torch
from PIL import Image

from crop_core.models import load
from tests.support.families import FAMILIES, build

SIZES = [(99, 3), (3, 99), (99, 1), (1, 99), (3, 3), (1, 1), (3, 1), (1, 3), (300, 3), (3, 300)]
LEFT, RIGHT = (60, 120, 200), (190, 90, 70)  # far from 0 and 255, where a resize that overshoots is cut off


@pytest.fixture(scope="module", params=FAMILIES)
def adapter(request, tmp_path_factory):
    build(request.param, folder := tmp_path_factory.mktemp(request.param))
    return load(folder)


def two_halves(size):
    """Halves of two colours along the longer side."""
    image = Image.new("RGB", size, LEFT)
    image.paste(RIGHT, (size[0] // 2, 0, *size) if size[0] >= size[1] else (0, size[1] // 2, *size))
    return image


def channels(adapter, inputs):
    """(C, P) values of all processed pixels, 0..255."""
    images = adapter.processor.image_processor
    pixels = inputs.vision["pixel_values"].float()
    if hasattr(adapter, "_channels"):
        pixels = adapter._channels(pixels).transpose(0, 1).flatten(1)
    else:
        pixels = pixels.reshape(-1, *pixels.shape[-3:]).transpose(0, 1).flatten(1)
    mean, std = (torch.tensor(each)[:, None] for each in (images.image_mean, images.image_std))
    return (pixels * std + mean).numpy() * 255


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_colours_stay_colours(adapter, size, caplog, recwarn):
    """Every processed pixel lies on the line between the image's two colours, but for those of a padding."""
    with caplog.at_level(logging.WARNING, "transformers"):
        inputs = adapter.prepare(two_halves(size), "what is left?")
    assert not caplog.records
    assert not [each for each in recwarn if issubclass(each.category, RuntimeWarning)]
    seen, images = channels(adapter, inputs), adapter.processor.image_processor
    one, other = (np.array(each, dtype=float)[:, None] for each in (LEFT, RIGHT))
    share = ((seen - one) * (other - one)).sum(0) / ((other - one) ** 2).sum()
    drawn = np.abs(seen - (one + share * (other - one))).max(0) < 2
    paddings = (np.array(images.image_mean)[:, None] * 255, 0)  # 0 after the normalization, or before
    padded = np.any([np.abs(seen - each).max(0) < 1 for each in paddings], axis=0)
    assert (drawn | padded).all()
    if size == (1, 1):
        assert share[drawn] == pytest.approx(1, abs=0.05)
    elif not getattr(images, "do_center_crop", False):
        assert share[drawn].min() < 0.2 and share[drawn].max() > 0.8


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_each_placeholder_has_its_feature(adapter, size):
    inputs = adapter.prepare(two_halves(size), "what is left?")
    features = adapter.encode(inputs).pooler_output
    count = features[0].shape[0] if isinstance(features, list) else features.shape[1]
    assert count == int(inputs.visual.sum()) == adapter.layout(size).count > 0


def test_the_processor_is_told_the_layout(adapter, monkeypatch):
    images, told = adapter.processor.image_processor, []
    preprocess = images.preprocess
    monkeypatch.setattr(
        images, "preprocess", lambda *given, **how: told.append(how["input_data_format"]) or preprocess(*given, **how)
    )
    adapter.prepare(two_halves((99, 3)), "what is left?")
    assert told == ["channels_last"]
