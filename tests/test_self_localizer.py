"""The self-localizer in every family: a glimpse that misses nothing, attention that is the model's own, a region."""

import numpy as np
import pytest
from families import FAMILIES, VARIANTS, build
from PIL import Image

from crop_core.compress import compress_inputs
from crop_core.localize.early import early_attention
from crop_core.localize.glimpse import Glimpse
from crop_core.models import load

EXACT = 1e-5
QUESTION = "what is left of the dog?"


@pytest.fixture(scope="module", params=[*FAMILIES, *VARIANTS])
def folder(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    build(request.param, folder)
    return folder


@pytest.fixture(scope="module")
def eager(folder):
    return load(folder, attn="eager")


def picture(size=(200, 120)):
    rng = np.random.default_rng(size[0])
    return Image.fromarray(rng.integers(0, 255, (*size[::-1], 3), dtype=np.uint8))


def glimpsed(adapter, size=(200, 120), side=8):
    """The inputs of a glimpse, and the glimpse."""
    prepared = adapter.prepare(picture(size), QUESTION)
    glimpse = Glimpse.of(adapter.layout(size), side)
    return compress_inputs(adapter.model, prepared, adapter.encode(prepared), [glimpse.plan]), glimpse


@pytest.mark.parametrize("size", [(200, 120), (90, 160)], ids=str)
def test_attention_is_the_model_s_own(eager, folder, size):
    """Against the whole model as it answers, with output_attentions under eager; sdpa gives the same."""
    inputs, _ = glimpsed(eager, size)
    how = {"max_new_tokens": 1, "do_sample": False, "output_attentions": True, "return_dict_in_generate": True}
    own = eager.model.generate(**inputs.kwargs, **how).attentions[0]
    for adapter in (eager, load(folder)):
        found = early_attention(adapter, inputs, [0, 2])
        assert set(found) == {0, 2}
        for layer, weights in found.items():
            rows = own[layer][0, :, -weights.shape[1] :][..., inputs.visual[0]]
            assert weights == pytest.approx(rows.numpy(), abs=EXACT)
