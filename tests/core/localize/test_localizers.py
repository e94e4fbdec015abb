"""Which localizer a checkpoint makes, and those that write their answers: real generation, whatever comes out."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image
from tokenizers import pre_tokenizers
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from crop_core.engine.engine import CropEngine
from crop_core.localize import GridVlmLocalizer, TextVlmLocalizer, localizer_for
from crop_core.localize import text_vlm as writing
from crop_core.localize.calibration import Calibration
from crop_core.localize.decoding.answer_formats import BOXES, BRACKETS
from crop_core.localize.decoding.answer_tokens import ConstrainedDecodingError
from crop_core.models import ModelError, load
from crop_core.models.families.llava import LlavaAdapter
from crop_core.records.config import Budget, CropConfig
from crop_core.records.region import Region
from tests.support.checkpoints import save
from tests.support.families import build

IMAGE = Image.effect_noise((200, 120), 90).convert("RGB")
QUESTION = "what is left of the dog?"
BOX = '```json\n[\n\t{"bbox_2d": [%s], "label": "it"}\n]\n```'


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save(tmp_path_factory.mktemp("model"), "pad")


@pytest.fixture(scope="module")
def qwen(tmp_path_factory):
    """Its tokenizer has no numbers of several digits, so it cannot be fed boxes."""
    folder = tmp_path_factory.mktemp("qwen")
    build("qwen2_5_vl", folder)
    return load(folder)


@pytest.fixture
def llava(folder):
    return load(folder)


def writes(adapter, form, tokens=2):
    """A written localizer that asks in words which the tokenizers know."""
    return TextVlmLocalizer(adapter, replace(form, prompt="{question}"), tokens)


def says(localizer, monkeypatch, text):
    """Make a written localizer read a text of ours."""
    monkeypatch.setattr(localizer.adapter.tokenizer, "decode", lambda ids: text)
    return localizer.localize(IMAGE, QUESTION)


def test_a_config_that_names_the_format_is_fed(llava):
    llava.model.config.crop_region = {"format": "brackets", "doubt": 0.1, "scale": 2.0, "shift": 0.5}
    localizer = localizer_for(llava)
    assert isinstance(localizer, GridVlmLocalizer)
    located = localizer.localize(IMAGE, QUESTION)
    assert located.region.source == "predicted" and located.notices == ()
    own, other = (GridVlmLocalizer(llava, BRACKETS, each) for each in (Calibration(0.1, 2.0, 0.5), Calibration()))
    assert own.localize_region(IMAGE, QUESTION) == located.region != other.localize_region(IMAGE, QUESTION)


def test_a_grounding_model_needs_no_config(qwen):
    localizer = localizer_for(qwen)
    assert isinstance(localizer, TextVlmLocalizer)
    assert localizer.form == BOXES["qwen2_5_vl"]


def test_what_is_no_localizer_is_told_what_is(folder):
    with pytest.raises(ModelError, match="qwen2_5_vl or qwen3_vl"):
        CropEngine.from_pretrained(folder, folder)


@pytest.mark.parametrize("settings", [{"format": "poem"}, {"format": ["brackets"]}, {"format": "brackets", "doubt": 7}])
def test_a_config_that_cannot_be_read_is_refused(llava, settings):
    llava.model.config.crop_region = settings
    with pytest.raises(ModelError, match="crop_region in the config of"):
        localizer_for(llava)


def test_a_model_that_reads_its_prompt_in_a_way_of_its_own_writes_long_numbers(llava, monkeypatch):
    monkeypatch.setattr(LlavaAdapter, "token_keys", ("token_type_ids",))
    llava.model.config.crop_region = {"format": "brackets"}
    assert isinstance(localizer_for(llava), GridVlmLocalizer)
    digits = [pre_tokenizers.Whitespace(), pre_tokenizers.Digits(individual_digits=True)]
    llava.tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(digits)
    with pytest.raises(
        ConstrainedDecodingError, match="prompt and generated tokens differently, and its numbers take several tokens"
    ):
        GridVlmLocalizer(llava, BOXES["qwen3_vl"])


@pytest.mark.parametrize("family", ["llava", "qwen2_5_vl", "gemma3"])
def test_what_is_written_is_counted(family, tmp_path):
    """Random weights write no box: the whole image, and the user is told; PyTorch counts the same work."""
    build(family, tmp_path)
    localizer = writes(load(tmp_path), BRACKETS, 5)
    localizer.adapter.model.generation_config.eos_token_id = None
    localizer.adapter.vision_flops(localizer.adapter.prepare(IMAGE, QUESTION))
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        finding = localizer.localize(IMAGE, QUESTION)
    assert finding.region == localizer.localize_region(IMAGE, QUESTION) == Region.whole(200, 120)
    assert finding.notices == [writing.NO_BOX]
    assert finding.flops == counter.get_total_flops()


@pytest.mark.parametrize("size", [(200, 120), (90, 160), (640, 480), (9000, 900)])
@pytest.mark.parametrize(("family", "patch"), [("qwen2_vl", 14), ("qwen2_5_vl", 14), ("qwen3_vl", 16)])
def test_the_size_that_a_model_reads_is_what_its_processor_makes(family, patch, size, tmp_path):
    build(family, tmp_path)
    adapter = load(tmp_path)
    _, rows, columns = adapter.prepare(Image.new("RGB", size), QUESTION).vision["image_grid_thw"][0].tolist()
    assert adapter.input_size(size) == (columns * patch, rows * patch)


@pytest.mark.parametrize(
    ("numbers", "grid"),
    [
        ("49, 0, 98, 56", (2, 0, 3, 3)),  # of the 196 x 112 pixels that the model reads
        ("0, 0, 196, 112", (0, 0, 7, 7)),
        ("100, 50, 100, 50", (4, 3, 4, 3)),
        ("-9, -9, 1, 1", (0, 0, 0, 0)),
        ("5000, 5000, 9000, 9000", (7, 7, 7, 7)),
    ],
)
def test_pixels_are_those_that_the_model_reads(qwen, monkeypatch, numbers, grid):
    assert qwen.input_size(IMAGE.size) == (196, 112)
    located = says(writes(qwen, BOXES["qwen2_5_vl"]), monkeypatch, BOX % numbers)
    assert located.region.grid == grid
    assert (located.region.source, located.region.confidence, located.notices) == ("predicted", None, [])


def test_the_other_units(llava, monkeypatch):
    brackets, thousandths = (writes(llava, form) for form in (BRACKETS, BOXES["qwen3_vl"]))
    marked = "<|box_start|>(130,260),(370,490)<|box_end|>"
    assert says(brackets, monkeypatch, "[1, 2, 5, 7]").region.grid == (1, 2, 5, 7)
    assert says(brackets, monkeypatch, marked).region.grid == (1, 2, 2, 3)
    assert says(thousandths, monkeypatch, BOX % "130, 260, 370, 490").region.grid == (1, 2, 2, 3)


def test_the_user_is_told_when_no_region_was_found(llava, monkeypatch):
    monkeypatch.setattr(
        llava.tokenizer, "decode", lambda ids, **_: "nothing here"
    )  # a random model may write any number
    engine = CropEngine(llava, TextVlmLocalizer(llava, BRACKETS, 4), warm_up=False)
    result = engine.compare(IMAGE, QUESTION, CropConfig(budget=Budget(mean_tokens=24), max_new_tokens=2, repeats=1))
    assert result.region.source == "whole"
    assert writing.NO_BOX in result.notices
    assert torch.is_inference_mode_enabled() is False


@pytest.mark.parametrize("name", ["magic", "./nowhere", "a/b/c", ""])
def test_a_localizer_that_is_unknown_is_told_before_the_model_loads(monkeypatch, name):
    monkeypatch.setattr("crop_core.engine.engine.load", None)
    with pytest.raises(ModelError, match=r"^There is no localizer '.*'; choose one of auto, self, text, none, whole, "):
        CropEngine.from_pretrained(localizer=Path(name) if name else " ", device="cpu", warm_up=False)
