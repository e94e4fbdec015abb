"""Localizers: only valid regions come out, with the probability that the locator gave them."""

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from crop_core.localize import DrawnBox, GridVlmLocalizer, KnownRegion, WholeImage
from crop_core.localize.calibration import Calibration
from crop_core.localize.decoding.region_decoding import decode_region
from crop_core.localize.grid_vlm import SLOTS
from crop_core.models import ModelError, load
from crop_core.records.region import Region
from tests.support.checkpoints import save

IMAGE = Image.effect_noise((200, 120), 90).convert("RGB")
QUESTION = "what is left of the dog?"


QUESTIONS = [f"where is the {a} {b} of the {c}?" for a, b, c in itertools.product(("red", "cat", "dog"), repeat=3)]


@pytest.fixture(scope="module")
def localizer(tmp_path_factory):
    return GridVlmLocalizer(load(save(tmp_path_factory.mktemp("locator"), "squash")))


@pytest.fixture(scope="module")
def slotted(tmp_path_factory):
    """The same checkpoint, with a prompt that ends with the four slots and a calibration in its config."""
    folder = tmp_path_factory.mktemp("slotted")
    adapter = load(save(folder, "squash"))
    adapter.tokenizer.add_tokens(list(SLOTS), special_tokens=True)
    torch.manual_seed(1)
    adapter.model.resize_token_embeddings(len(adapter.tokenizer), mean_resizing=False)
    adapter.processor.chat_template = adapter.processor.chat_template.replace("ASSISTANT:", "REGION:" + "".join(SLOTS))
    adapter.model.config.crop_region = Calibration(0.1, 1.3, -0.2).to_json()
    adapter.model.save_pretrained(folder)
    adapter.processor.save_pretrained(folder)
    return GridVlmLocalizer(load(folder))


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


def number_ids(localizer):
    return [token(localizer, str(number)) for number in range(8)]


def test_the_region_is_greedy_decoding_among_valid_numbers(localizer):
    """Against whole forwards without a cache, with the probabilities written out."""
    adapter = localizer.adapter
    inputs = adapter.prepare(IMAGE, QUESTION)
    numbers, ids, thought = [], inputs.input_ids, np.zeros((4, 8))
    for index in range(4):
        with torch.no_grad():
            logits = adapter.model(input_ids=ids, **inputs.vision).logits[0, -1]
        valid = [n for n in range(8) if index < 2 or n >= numbers[index - 2]]
        scores = {n: float(logits[token(localizer, str(n))].exp()) for n in valid}
        numbers.append(max(scores, key=scores.get))
        thought[index, valid] = [scores[n] / sum(scores.values()) for n in valid]
        ids = torch.cat([ids, torch.tensor([[token(localizer, str(numbers[-1]))]])], 1)
    region = localizer.localize_region(IMAGE, QUESTION)
    assert list(region.grid) == numbers
    assert localizer.probabilities(IMAGE, QUESTION) == pytest.approx(thought, rel=1e-4)
    assert region.confidence == pytest.approx(covered(thought, numbers), rel=1e-4)
    assert (region.source, region.width, region.height) == ("predicted", 200, 120)


def covered(thought, box):
    """The mass of all valid true boxes that lie inside `box`, written out."""
    inside = total = 0.0
    for x0, y0, x1, y1 in itertools.product(range(8), repeat=4):
        mass = thought[0, x0] * thought[1, y0] * thought[2, x1] * thought[3, y1] * (x0 <= x1) * (y0 <= y1)
        total += mass
        inside += mass * (x0 >= box[0] and y0 >= box[1] and x1 <= box[2] and y1 <= box[3])
    return inside / total


def test_slots_are_read_where_they_stand_in_one_forward(slotted, monkeypatch):
    """Against one whole forward over the prompt as it is written."""
    adapter, runs = slotted.adapter, []
    inputs = adapter.prepare(IMAGE, QUESTION)
    assert adapter.tokenizer.convert_ids_to_tokens(inputs.input_ids[0, -4:].tolist()) == list(SLOTS)
    with torch.no_grad():
        logits = adapter.model(input_ids=inputs.input_ids, **inputs.vision).logits[0, -4:]
    thought = logits[:, number_ids(slotted)].double().softmax(-1).numpy()
    handle = adapter.model.register_forward_pre_hook(lambda *_: runs.append(1))
    result = slotted.localize_region(IMAGE, QUESTION)
    handle.remove()
    assert len(runs) == 1
    assert slotted.probabilities(IMAGE, QUESTION) == pytest.approx(thought, rel=1e-4)
    p = covered(thought, result.grid)
    assert result.grid == decode_region(thought, 0.1).numbers
    assert result.confidence == pytest.approx(1 / (1 + np.exp(0.2) * ((1 - p) / p) ** 1.3), rel=1e-4)


def test_slots_in_a_question_do_not_count(slotted, localizer):
    assert slotted.localize_region(IMAGE, QUESTION) == slotted.localize_region(IMAGE, QUESTION + "".join(SLOTS))
    assert localizer.localize_region(IMAGE, "what " + " ".join(SLOTS)).source == "predicted"


@pytest.mark.parametrize("doubt", [None, 0.0, 0.1, 0.3, 0.5])
@pytest.mark.parametrize("kind", ["localizer", "slotted"])
def test_every_region_is_valid(kind, doubt, request):
    base = request.getfixturevalue(kind)
    finder = GridVlmLocalizer(base.adapter, calibration=Calibration(doubt))
    result = [finder.localize_region(IMAGE, question) for question in QUESTIONS]  # Region refuses what is not valid
    assert all(0 <= region.confidence <= 1 for region in result)
    assert len({region.confidence for region in result}) > 1 or doubt == 0


@pytest.mark.parametrize("wanted", ["2 3 5 6", "5 6 2 3", "7 7 0 0", "0 0 7 7"])
def test_only_valid_regions_come_out(localizer, monkeypatch, wanted):
    x0, y0, x1, y1 = (int(number) for number in wanted.split())
    wish(localizer, monkeypatch, [token(localizer, number) for number in wanted.split()])
    region = localizer.localize_region(IMAGE, QUESTION)
    assert region.grid[:2] == (x0, y0)
    assert region.x1 >= x0 and region.y1 >= y0
    if x1 >= x0:
        assert region.grid == (x0, y0, x1, y1)
        assert region.confidence == pytest.approx(1)


def test_words_and_numbers_off_the_grid_are_not_heard(localizer, monkeypatch):
    wish(localizer, monkeypatch, [token(localizer, word) for word in ("dog", "8", "</s>", "9")])
    Region(*localizer.localize_region(IMAGE, QUESTION).grid, width=200, height=120)


def test_the_question_and_the_image_matter(localizer):
    """Otherwise the tests above would pass for a locator that reads neither."""
    other = IMAGE.transpose(Image.Transpose.ROTATE_180)
    result = {
        localizer.localize_region(*pair).confidence
        for pair in [(IMAGE, QUESTION), (other, QUESTION), (IMAGE, "where is the cat?")]
    }
    assert len(result) == 3


@pytest.mark.parametrize("kind", ["localizer", "slotted"])
def test_flops_and_weights(kind, request):
    localizer = request.getfixturevalue(kind)
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        finding = localizer.localize(IMAGE, QUESTION)
    assert finding.flops == counter.get_total_flops()
    saved = Path(localizer.adapter.model.name_or_path, "model.safetensors").stat().st_size
    assert 0 < saved - localizer.weights_bytes < 0.2 * saved  # the file has a header besides


def test_a_question_with_braces(localizer):
    assert localizer.localize_region(IMAGE, "what {0} is {question} {nothing}?").source == "predicted"


def test_the_calibration_of_the_checkpoint_and_none(slotted, localizer):
    assert Calibration.of(slotted.adapter.model.config, "x") == Calibration(0.1, 1.3, -0.2)
    assert Calibration.of(localizer.adapter.model.config, "x") == Calibration(None, 1, 0)


@pytest.mark.parametrize(
    "settings", [{"doubt": 0.7}, {"scale": -1}, {"words": 1}, [1], {"shift": "low"}, {"doubt": "x"}]
)
def test_a_calibration_that_cannot_be_is_refused(localizer, monkeypatch, settings):
    monkeypatch.setattr(localizer.adapter.model.config, "crop_region", settings, raising=False)
    with pytest.raises(ModelError, match="crop_region"):
        GridVlmLocalizer(localizer.adapter)


def test_a_tokenizer_without_the_numbers_is_refused(localizer, monkeypatch):
    monkeypatch.setattr(localizer.adapter.tokenizer, "encode", lambda text, **_: [3])
    with pytest.raises(ModelError, match="no token for 0"):
        GridVlmLocalizer(localizer.adapter)


def test_regions_without_a_model():
    drawn = DrawnBox((30, 20, 80, 50))
    assert drawn.localize_region(IMAGE, "").grid == (1, 1, 3, 3)
    assert drawn.localize_region(IMAGE, "").source == "drawn"
    assert WholeImage().localize_region(IMAGE, "") == Region.whole(200, 120)
    known = Region(1, 2, 3, 4, 200, 120)
    assert KnownRegion(known).localize_region(IMAGE, "") == known
    for localizer in (drawn, WholeImage(), KnownRegion(known)):
        assert (localizer.localize(IMAGE, "").flops, localizer.weights_bytes) == (0, 0)
    with pytest.raises(ValueError, match="outside the image"):
        DrawnBox((30, 20, 300, 50)).localize_region(IMAGE, "")
