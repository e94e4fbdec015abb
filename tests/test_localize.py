"""Localizers: only valid regions come out, with the probability that the locator gave them."""

import itertools
from pathlib import Path

import pytest
import torch
from checkpoints import save
from PIL import Image
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from crop_core.localize import GridLocalizer, KnownRegion, ManualBox, WholeImage
from crop_core.models import ModelError, load
from crop_core.region import Region

IMAGE = Image.effect_noise((200, 120), 90).convert("RGB")
QUESTION = "what is left of the dog?"


@pytest.fixture(scope="module")
def localizer(tmp_path_factory):
    return GridLocalizer(load(save(tmp_path_factory.mktemp("locator"), "squash")))


def wish(localizer, monkeypatch, wanted):
    """Make the locator want four tokens in turn, whatever it reads."""
    model, calls = localizer.adapter.model, itertools.count()
    real = model.forward

    def forward(**kwargs):
        out = real(**kwargs)
        out.logits[..., wanted[next(calls) % 4]] += 100
        return out

    monkeypatch.setattr(model, "forward", forward)


def token(localizer, text):
    return localizer.adapter.tokenizer.convert_tokens_to_ids(text)


def test_the_region_is_greedy_decoding_among_valid_numbers(localizer):
    """Against whole forwards without a cache, with the probabilities written out."""
    adapter = localizer.adapter
    inputs = adapter.prepare(IMAGE, QUESTION)
    numbers, ids, confidence = [], inputs.input_ids, 1.0
    for index in range(4):
        with torch.no_grad():
            logits = adapter.model(input_ids=ids, **inputs.vision).logits[0, -1]
        valid = [n for n in range(8) if index < 2 or n >= numbers[index - 2]]
        scores = {n: float(logits[token(localizer, str(n))].exp()) for n in valid}
        numbers.append(max(scores, key=scores.get))
        confidence *= scores[numbers[-1]] / sum(scores.values())
        ids = torch.cat([ids, torch.tensor([[token(localizer, str(numbers[-1]))]])], 1)
    region = localizer.locate(IMAGE, QUESTION)
    assert list(region.grid) == numbers
    assert region.confidence == pytest.approx(confidence, rel=1e-4)
    assert (region.source, region.width, region.height) == ("predicted", 200, 120)


@pytest.mark.parametrize("wanted", ["2 3 5 6", "5 6 2 3", "7 7 0 0", "0 0 7 7"])
def test_only_valid_regions_come_out(localizer, monkeypatch, wanted):
    x0, y0, x1, y1 = (int(number) for number in wanted.split())
    wish(localizer, monkeypatch, [token(localizer, number) for number in wanted.split()])
    region = localizer.locate(IMAGE, QUESTION)
    assert region.grid[:2] == (x0, y0)
    assert region.x1 >= x0 and region.y1 >= y0
    if x1 >= x0:
        assert region.grid == (x0, y0, x1, y1)
        assert region.confidence == pytest.approx(1)


def test_words_and_numbers_off_the_grid_are_not_heard(localizer, monkeypatch):
    wish(localizer, monkeypatch, [token(localizer, word) for word in ("dog", "8", "</s>", "9")])
    Region(*localizer.locate(IMAGE, QUESTION).grid, width=200, height=120)


def test_the_question_and_the_picture_matter(localizer):
    """Otherwise the tests above would pass for a locator that reads neither."""
    other = IMAGE.transpose(Image.Transpose.ROTATE_180)
    found = {
        localizer.locate(*pair).confidence
        for pair in [(IMAGE, QUESTION), (other, QUESTION), (IMAGE, "where is the cat?")]
    }
    assert len(found) == 3


def test_flops_and_weights(localizer):
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        finding = localizer.find(IMAGE, QUESTION)
    assert finding.flops == counter.get_total_flops()
    saved = Path(localizer.adapter.name, "model.safetensors").stat().st_size
    assert 0 < saved - localizer.weights_bytes < 0.2 * saved  # the file has a header besides


def test_a_question_with_braces(localizer):
    assert localizer.locate(IMAGE, "what {0} is {question} {nothing}?").source == "predicted"


def test_a_tokenizer_without_the_numbers_is_refused(localizer, monkeypatch):
    monkeypatch.setattr(localizer.adapter.tokenizer, "encode", lambda text, **_: [3])
    with pytest.raises(ModelError, match="no token for 0"):
        GridLocalizer(localizer.adapter)


def test_regions_without_a_model():
    drawn = ManualBox((30, 20, 80, 50))
    assert drawn.locate(IMAGE, "").grid == (1, 1, 3, 3)
    assert drawn.locate(IMAGE, "").source == "drawn"
    assert WholeImage().locate(IMAGE, "") == Region.whole(200, 120)
    known = Region(1, 2, 3, 4, 200, 120)
    assert KnownRegion(known).locate(IMAGE, "") == known
    for localizer in (drawn, WholeImage(), KnownRegion(known)):
        assert (localizer.find(IMAGE, "").flops, localizer.weights_bytes) == (0, 0)
    with pytest.raises(ValueError, match="outside the image"):
        ManualBox((30, 20, 300, 50)).locate(IMAGE, "")
