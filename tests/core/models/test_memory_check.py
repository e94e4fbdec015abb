"""Whether a model fits is told before it is read: what its weights take, and what is free."""

import pytest
import torch
from safetensors.torch import load_file

from crop_core.models import ModelError, load
from crop_core.models.loading import memory_check
from crop_core.models.loading.checkpoint import validate_checkpoint
from crop_core.models.loading.memory_check import weights_bytes_needed
from crop_core.models.loading.placement import Placement
from crop_core.records import formatting
from tests.support.checkpoints import sharded


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return sharded(tmp_path_factory.mktemp("whole"))


def test_what_the_weights_need_is_what_they_take(whole):
    tensors = validate_checkpoint("it", whole)
    adapter = load(whole)
    parameters = sum(weight.numel() for weight in adapter.model.parameters())
    assert weights_bytes_needed(tensors, torch.float32) == 4 * parameters
    assert weights_bytes_needed(tensors, torch.bfloat16) == 2 * parameters
    stored = sum(
        each.numel() * each.element_size() for file in whole.glob("*.safetensors") for each in load_file(file).values()
    )
    assert weights_bytes_needed(tensors, torch.float32) == stored


def test_quantized_weights_need_less_by_their_own_count(whole):
    tensors = validate_checkpoint("it", whole)
    layers = load(whole).language_model.layers
    linear = sum(part.weight.numel() for part in layers.modules() if isinstance(part, torch.nn.Linear))
    full = weights_bytes_needed(tensors, torch.bfloat16)
    assert weights_bytes_needed(tensors, torch.bfloat16, "8bit") == full - linear
    assert weights_bytes_needed(tensors, torch.bfloat16, "4bit") == full - 2 * linear + linear * 9 // 16


@pytest.mark.parametrize(
    ("how", "ways"),
    [
        ({}, "load it in bfloat16 or quantize it or spread it with the device 'auto' or use a smaller model"),
        ({"dtype": "bfloat16"}, "quantize it or spread it with the device 'auto' or use a smaller model"),
    ],
)
def test_a_model_too_large_says_how_much_it_needs(how, ways, whole, tmp_path, monkeypatch):
    needed = weights_bytes_needed(validate_checkpoint("it", whole), Placement.of("cpu", **how).dtype) * 1.1
    monkeypatch.setattr(memory_check, "_MEMORY", tmp_path / "meminfo")
    (tmp_path / "meminfo").write_text(f"MemTotal: 9 kB\nMemAvailable:   {int(needed / 1024)} kB\n")
    with pytest.raises(
        ModelError, match=f"needs about {formatting.format_bytes(int(needed))} of memory on cpu"
    ) as caught:
        load(whole, device="cpu", **how)
    assert str(caught.value).endswith(f"are free; {ways}.")
    (tmp_path / "meminfo").write_text(f"MemAvailable: {int(needed / 1024) + 1} kB\n")
    assert load(whole, device="cpu", **how)


@pytest.mark.parametrize("known", ["", "MemFree: 3 kB\n", None])
def test_where_free_memory_is_not_known_nothing_is_refused(known, whole, tmp_path, monkeypatch):
    monkeypatch.setattr(memory_check, "_MEMORY", tmp_path / "meminfo")
    if known is not None:
        (tmp_path / "meminfo").write_text(known)
    assert memory_check.free_bytes(Placement.of("cpu")) is None
    assert load(whole, device="cpu")


def test_free_memory_of_gpus(monkeypatch):
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (1000, 5000))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: 300)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda device: 100)
    cuda = torch.device("cuda")
    assert memory_check.free_bytes(Placement(cuda, {"": cuda}, torch.bfloat16)) == 1200
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert memory_check.free_bytes(Placement(None, "auto", torch.bfloat16)) is None
    assert memory_check.free_bytes(Placement(None, "auto", torch.bfloat16, "4bit")) == 2400
