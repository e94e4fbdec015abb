"""8- and 4-bit loading: what is asked of bitsandbytes, what is left whole, and, where it is installed, that it runs."""

import importlib.util

import pytest
import torch
from PIL import Image
from transformers import LlavaForConditionalGeneration
from transformers.quantizers.quantizers_utils import should_convert_module

from crop_core.engine.engine import CropEngine
from crop_core.measure.memory import weights_bytes
from crop_core.models import ModelError, load
from crop_core.models.loading.checkpoint import validate_checkpoint
from crop_core.models.loading.memory_check import weights_bytes_needed
from crop_core.models.loading.quantization import QUANTIZED, is_quantized, quantization
from crop_core.records.config import Budget, CropConfig
from crop_core.records.region import Region
from tests.support import ROOT
from tests.support.checkpoints import save
from tests.support.families import FAMILIES, build


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save(tmp_path_factory.mktemp("quantized"))


@pytest.fixture
def installed(monkeypatch):
    """bitsandbytes can be found, whether it is there or not."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())


def test_without_bitsandbytes_it_says_what_to_install(folder, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ModelError, match=r"^Loading in 4bit needs bitsandbytes.*'pip install bitsandbytes', or leave"):
        load(folder, quantize="4bit")


def test_another_quantization_is_refused(folder):
    with pytest.raises(
        ModelError, match=r"^The quantization '2bit' is not supported; use one of 8bit, 4bit, or none\.$"
    ):
        load(folder, quantize="2bit")


@pytest.mark.parametrize("quantize", [None, *QUANTIZED])
def test_what_reaches_transformers(quantize, folder, installed, monkeypatch):
    given = {}

    def stop(source, **how):
        given.update(how)
        raise ValueError("as far as this goes")

    monkeypatch.setattr(LlavaForConditionalGeneration, "from_pretrained", stop)
    with pytest.raises(ModelError, match="as far as this goes"):
        load(folder, device="cpu", dtype="bfloat16", quantize=quantize)
    how = given["quantization_config"]
    assert (given["dtype"], given["device_map"]) == (torch.bfloat16, {"": torch.device("cpu")})
    assert [how is not None and how.load_in_8bit, how is not None and how.load_in_4bit] == [
        quantize == "8bit",
        quantize == "4bit",
    ]
    if quantize == "4bit":
        assert (how.bnb_4bit_quant_type, how.bnb_4bit_compute_dtype) == ("nf4", torch.bfloat16)


@pytest.mark.parametrize("name", FAMILIES)
def test_the_decoder_layers_are_quantized_and_nothing_else(name, tmp_path, installed):
    """By the rule that transformers goes by, and by the one that the memory check goes by."""
    build(name, tmp_path)
    adapter = load(tmp_path)
    skipped = quantization("8bit", torch.float16).llm_int8_skip_modules
    modules = {path: part for path, part in adapter.model.named_modules() if isinstance(part, torch.nn.Linear)}
    converted = {path for path in modules if should_convert_module(path, skipped)}
    layers = {id(part) for part in adapter.language_model.layers.modules()}
    assert converted == {path for path, part in modules.items() if id(part) in layers}
    stored = validate_checkpoint(name, tmp_path)
    counted = [each.shape for path, each in stored.items() if is_quantized(path, each.shape)]
    assert sorted(counted) == sorted(list(modules[path].weight.shape) for path in converted)


@pytest.mark.parametrize("quantize", QUANTIZED)
def test_a_quantized_model_answers_and_takes_what_was_said(quantize):
    pytest.importorskip("bitsandbytes")
    engine = CropEngine.from_pretrained(device="cpu", dtype="float32", quantize=quantize)
    whole = load("crop-tiny", device="cpu")
    config = CropConfig(budget=Budget(share=0.25), repeats=1)
    found = engine.compare(Image.new("RGB", (200, 120), "red"), "what is it?", config, Region(2, 2, 5, 5, 200, 120))
    assert found.crop.trace.steps and found.crop.tokens
    said = weights_bytes_needed(validate_checkpoint("it", ROOT / "assets/models/crop-tiny"), torch.float32, quantize)
    assert weights_bytes(engine.adapter.model) == pytest.approx(said, rel=0.03)  # on the CPU its blocks are packed anew
    assert weights_bytes(engine.adapter.model) < weights_bytes(whole.model) / 2
