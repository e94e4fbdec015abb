"""Fed answers: the table of probabilities is that of whole teacher-forced forward passes, in four passes of its own."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from tokenizers import pre_tokenizers
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from crop_core.localize import GridVlmLocalizer
from crop_core.localize.decoding.answer_formats import BOXES, BRACKETS
from crop_core.models import load
from tests.support.checkpoints import WORDS
from tests.support.families import build

QUESTION = "what is left of the dog?"
SIZE = (200, 120)
FED = ["llava", "qwen2_5_vl", "qwen3_vl", "smolvlm"]


@pytest.fixture(scope="module", params=FED)
def folder(request, tmp_path_factory):
    """A checkpoint whose tokenizer knows brackets and commas."""
    folder = tmp_path_factory.mktemp(request.param)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tests.support.checkpoints.WORDS", [*WORDS, "[", "]", ",", "],"])
        build(request.param, folder)
    return folder


@pytest.fixture(scope="module", params=[(None, "brackets"), (None, "boxes"), ("eager", "brackets")], ids=str)
def case(folder, request):
    """An adapter whose numbers are written digit by digit, as Qwen's are, and the form of its answers: the paper's, or
    that of grounding models, asked for in words that the tokenizers know.
    """
    attn, kind = request.param
    adapter = load(folder, attn=attn)
    adapter.processor.video_token_id = 90  # else a video's is the unknown token, which the template's w91 is here
    digits = [pre_tokenizers.Whitespace(), pre_tokenizers.Digits(individual_digits=True)]
    adapter.tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(digits)
    boxes = BOXES.get(adapter.model.config.model_type, BOXES["qwen2_5_vl"])
    return adapter, replace(BRACKETS if kind == "brackets" else boxes, prompt="{question}")


@pytest.fixture
def adapter(case):
    return case[0]


@pytest.fixture
def form(case):
    return case[1]


def sample_image(seed=0):
    return Image.fromarray(np.random.default_rng(seed).integers(0, 255, (*SIZE[::-1], 3), dtype=np.uint8))


def following(adapter, inputs, text):
    """(V,) log-probabilities behind a prompt and a text, from one plain forward over both."""
    spelled = adapter.tokenizer.encode(text, add_special_tokens=False)
    ids = torch.cat([inputs.input_ids, torch.tensor([spelled], dtype=torch.long)], 1)
    kinds = {} if inputs.positions is None else {"mm_token_type_ids": (ids == adapter.image_token_id).int()}
    with torch.no_grad():
        out = adapter.model(input_ids=ids, attention_mask=torch.ones_like(ids), **inputs.vision, **kinds)
    return out.logits[0, -1].double().log_softmax(-1)


def scores(adapter, inputs, before, numbers, behind):
    """Log-probability of each number between two texts, token by token; of what ends it where it could go on."""
    begun = {text[:length] for text in numbers for length in range(len(text))}
    after = {text: following(adapter, inputs, before + text) for text in begun}
    end = adapter.tokenizer.encode(behind, add_special_tokens=False)[0]
    ids = dict(zip("0123456789", adapter.tokenizer.convert_tokens_to_ids(list("0123456789")), strict=True))
    result = []
    for text in numbers:
        digits = sum(after[text[:place]][ids[digit]] for place, digit in enumerate(text))
        result.append(digits + (after[text][end] if text in begun else 0))
    return torch.stack(result)


def expected(adapter, form, image):
    """(4, 8): what the model thinks of every number that can be written behind the best ones before it."""
    inputs, written = adapter.prepare(image, form.ask(QUESTION)), ""
    table = torch.full((4, 8), -torch.inf, dtype=torch.float64)
    for index, cells in enumerate(form.cells(adapter.input_size(image.size))):
        numbers = [str(number) for number in range(len(cells))]
        written += form.pieces[index]
        thought = scores(adapter, inputs, written, numbers, form.pieces[index + 1])
        for cell in range(0 if index < 2 else int(table[index - 2].argmax()), 8):
            table[index, cell] = thought[torch.tensor(cells) == cell].logsumexp(0)
        best = torch.tensor(cells) == table[index].argmax()
        written += numbers[int(thought.where(best, -torch.inf).argmax())]
    return table.softmax(-1).numpy()


def test_the_table_is_that_of_whole_forward_passes(adapter, form):
    result = GridVlmLocalizer(adapter, form).probabilities(sample_image(), QUESTION)
    assert result == pytest.approx(expected(adapter, form, sample_image()), abs=1e-5)
    assert result.max(1).min() < 0.999  # else anything that picks the same numbers would be equal


def test_four_forward_passes_and_what_they_cost(adapter, form):
    localizer, passes = GridVlmLocalizer(adapter, form), []
    adapter.vision_flops(adapter.prepare(sample_image(), QUESTION))  # which counts by encoding, the first time
    handle = adapter.language_model.register_forward_pre_hook(lambda *_: passes.append(1))
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        finding = localizer.localize(sample_image(), QUESTION)
    handle.remove()
    assert len(passes) == 4
    assert finding.flops == counter.get_total_flops()
    assert finding.region.source == "predicted" and 0 <= finding.region.confidence <= 1


def test_the_image_and_the_question_matter(adapter, form):
    localizer = GridVlmLocalizer(adapter, form)
    result = [
        localizer.probabilities(*pair)
        for pair in [(sample_image(), "red"), (sample_image(1), "red"), (sample_image(), "cat")]
    ]
    assert min(abs(result[0] - other).max() for other in result[1:]) > 1e-3
