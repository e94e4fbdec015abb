"""Fed answers: the table of probabilities is that of whole teacher-forced forward passes, in four passes of its own."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from checkpoints import WORDS
from families import build
from PIL import Image
from tokenizers import pre_tokenizers
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from crop_core.localize import GridLocalizer
from crop_core.localize.formats import BOXES, BRACKETS
from crop_core.localize.formats import QUESTION as QUESTION_PLACE
from crop_core.models import load

QUESTION = "what is left of the dog?"
SIZE = (200, 120)
FORMS = {  # with prompts of words that the tokenizers know
    name: replace(form, prompt=QUESTION_PLACE)
    for name, form in [("brackets", BRACKETS), ("pixels", BOXES["qwen2_5_vl"]), ("thousandths", BOXES["qwen3_vl"])]
}
FED = ["llava", "qwen2_5_vl", "qwen3_vl", "smolvlm"]


@pytest.fixture(scope="module", params=FED)
def folder(request, tmp_path_factory):
    """A checkpoint whose tokenizer knows brackets and commas."""
    folder = tmp_path_factory.mktemp(request.param)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("checkpoints.WORDS", [*WORDS, "[", "]", ",", "],"])
        build(request.param, folder)
    return folder


@pytest.fixture(scope="module", params=[None, "eager"])
def adapter(folder, request):
    """Its numbers are written digit by digit, as Qwen's are."""
    adapter = load(folder, attn=request.param)
    digits = [pre_tokenizers.Whitespace(), pre_tokenizers.Digits(individual_digits=True)]
    adapter.tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(digits)
    return adapter


def picture(seed=0):
    return Image.fromarray(np.random.default_rng(seed).integers(0, 255, (*SIZE[::-1], 3), dtype=np.uint8))


def written(adapter, inputs, answer):
    """(T,) log-probabilities of the tokens of an answer, from one plain forward over prompt and answer."""
    answer = adapter.tokenizer.encode(answer, add_special_tokens=False)
    ids = torch.cat([inputs.input_ids, torch.tensor([answer])], 1)
    kinds = {} if inputs.positions is None else {"mm_token_type_ids": (ids == adapter.image_token_id).int()}
    with torch.no_grad():
        logits = adapter.model(input_ids=ids, attention_mask=torch.ones_like(ids), **inputs.vision, **kinds).logits[0]
    table = logits[-len(answer) - 1 : -1].double().log_softmax(-1)
    return table[range(len(answer)), answer].tolist()


def expected(localizer, form, image):
    """(4, 8), every candidate written out behind the best ones before it."""
    adapter = localizer.adapter
    inputs = adapter.prepare(image, form.ask(QUESTION))
    options = form.candidates(adapter.input_size(image.size))
    several = any(len(text) > 1 for row in options for text in row)
    best, table = [0, 0, 0, 0], torch.zeros(4, 8, dtype=torch.float64)
    for index in range(4):
        for cell in range(8):
            numbers = [options[i][cell if i == index else best[i]] for i in range(4)]
            logprobs = written(adapter, inputs, form.say(numbers))
            start = len(adapter.tokenizer.encode(head(form, numbers, index), add_special_tokens=False))
            table[index, cell] = sum(logprobs[start : start + len(numbers[index]) + several])
        if index >= 2:
            table[index, : best[index - 2]] = -torch.inf
        best[index] = int(table[index].argmax())
    return table.softmax(-1).numpy()


def head(form, numbers, index):
    """The text of an answer in front of one of its numbers."""
    return "".join(form.pieces[i] + numbers[i] for i in range(index)) + form.pieces[index]


@pytest.mark.parametrize("name", FORMS)
def test_the_table_is_that_of_whole_forward_passes(adapter, name):
    localizer = GridLocalizer(adapter, FORMS[name])
    found = localizer.probabilities(picture(), QUESTION)
    assert found == pytest.approx(expected(localizer, FORMS[name], picture()), abs=1e-5)
    assert found.max(1).min() < 0.999  # else anything that picks the same numbers would be equal


@pytest.mark.parametrize("name", FORMS)
def test_four_forward_passes_and_what_they_cost(adapter, name):
    localizer, passes = GridLocalizer(adapter, FORMS[name]), []
    adapter.vision_flops(adapter.prepare(picture(), QUESTION))  # which counts by encoding, the first time
    handle = adapter.language_model.register_forward_pre_hook(lambda *_: passes.append(1))
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        finding = localizer.find(picture(), QUESTION)
    handle.remove()
    assert len(passes) == 4
    assert finding.flops == counter.get_total_flops()
    assert finding.region.source == "predicted" and 0 <= finding.region.confidence <= 1


def test_the_picture_and_the_question_matter(adapter):
    localizer = GridLocalizer(adapter, FORMS["brackets"])
    found = [localizer.probabilities(*pair) for pair in [(picture(), "red"), (picture(1), "red"), (picture(), "cat")]]
    assert min(abs(found[0] - other).max() for other in found[1:]) > 1e-3
