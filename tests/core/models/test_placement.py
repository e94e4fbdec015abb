"""A model over several devices answers as on one: disk offload by accelerate, and a second device without hardware."""

import pytest
import torch
from PIL import Image
from torch.utils._pytree import tree_map_only

from crop_core.engine.engine import CropEngine
from crop_core.localize import SelfLocalizer
from crop_core.localize.self_attention.attention_rule import AttentionRule, AttentionTerm
from crop_core.measure.memory import weights_bytes
from crop_core.models import DEFAULT_LOCALIZER, load
from crop_core.records.config import Budget, CropConfig
from crop_core.records.region import Region
from tests.support.families import build
from tests.support.other_device import OTHER, OtherDevice

IMAGE = Image.effect_mandelbrot((200, 120), (-2, -1, 1, 1), 50).convert("RGB")
QUESTION = "what is left of the dog?"
REGION = Region(2, 2, 5, 5, 200, 120)
RULE = AttentionRule(
    (AttentionTerm(1, 0, "last", 1.0), AttentionTerm(3, 1, "mean", 1.0))
)  # of layers here and elsewhere
SPREAD = ["llava", "qwen2_5_vl", "internvl"]


@pytest.fixture(scope="module", params=SPREAD)
def folder(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    build(request.param, folder)
    return folder


@pytest.fixture(scope="module")
def whole(folder):
    return load(folder)


def spread(adapter, tower="cpu", late="disk"):
    """A device map: the tower, and the decoder layers from the third on, elsewhere than the rest."""
    parts = [name for name, _ in adapter.model.model.named_children() if name != "language_model"]
    rest = [name for name, _ in adapter.language_model.named_children() if name != "layers"]
    places = {f"model.{part}": tower for part in parts}
    places |= {f"model.language_model.{part}": "cpu" for part in rest}
    places |= {f"model.language_model.layers.{n}": late if n >= 2 else "cpu" for n in range(adapter.layers)}
    return {**places, "lm_head": "cpu"}


def compared(adapter, method):
    config = CropConfig(method=method, budget=Budget(share=0.5), max_new_tokens=4, repeats=1)
    return CropEngine(adapter, warm_up=False).compare(IMAGE, QUESTION, config, REGION, memory=False)


def answers(adapter, method):
    found = compared(adapter, method)
    return found.baseline.tokens, found.crop.tokens, found.crop.trace.to_json(), found.kl_first


@pytest.mark.parametrize("tower", ["cpu", "disk"])
def test_layers_on_the_disk_change_nothing(folder, whole, tower):
    offloaded = load(folder, device=spread(whole, tower))
    layer = offloaded.stack.layers[3]
    assert {weight.device.type for weight in layer.parameters()} == {"meta"}
    assert (offloaded.device, offloaded.dtype) == (torch.device("cpu"), torch.float32)
    for method in ("crop", "fastv"):
        assert answers(offloaded, method) == answers(whole, method)
    own = [SelfLocalizer(adapter, RULE).localize_region(IMAGE, QUESTION) for adapter in (offloaded, whole)]
    assert own[0] == own[1]
    assert not layer._forward_pre_hooks
    assert {weight.device.type for weight in layer.parameters()} == {"meta"}


def test_weights_on_the_disk_weigh_as_much(folder, whole):
    assert weights_bytes(load(folder, device=spread(whole, "disk")).model) == weights_bytes(whole.model)


def test_a_map_is_about_the_answering_model(folder, whole):
    engine = CropEngine.from_pretrained(folder, DEFAULT_LOCALIZER, device=spread(whole))
    assert {weight.device.type for weight in engine.localizer.adapter.model.parameters()} == {"cpu"}
    config = CropConfig(budget=Budget(share=0.5), max_new_tokens=2, repeats=1)
    found = engine.compare(IMAGE, QUESTION, config, memory=False)
    assert found.region.source == "predicted"


def test_auto_without_a_gpu_is_the_cpu(folder, whole):
    adapter = load(folder, device="auto")
    assert (adapter.device, adapter.dtype) == (torch.device("cpu"), torch.float32)
    assert answers(adapter, "crop") == answers(whole, "crop")


def elsewhere(module, device):
    """What accelerate does to a module on a device of its own: its inputs come along."""
    module.to(device)
    forward = module.forward

    def moved(*args, past_key_values=None, **kwargs):
        args, kwargs = tree_map_only(torch.Tensor, lambda each: each.to(device), (args, kwargs))
        return forward(*args, **kwargs, **({} if past_key_values is None else {"past_key_values": past_key_values}))

    module.forward = moved


@pytest.mark.parametrize(("first", "attn"), [(1, "eager"), (2, "sdpa")])
def test_a_second_device(folder, first, attn, monkeypatch):
    adapter = load(folder, attn=attn)
    told, own = compared(adapter, "crop"), SelfLocalizer(adapter, RULE).localize_region(IMAGE, QUESTION)
    with OtherDevice(monkeypatch):
        for layer in adapter.stack.layers[first:]:
            for part in [each for each in layer.modules() if not list(each.children())]:
                elsewhere(part, OTHER)
            elsewhere(layer, OTHER)
        elsewhere(adapter.language_model.norm, torch.device("cpu"))
        assert_same(told, compared(adapter, "crop"))
        assert SelfLocalizer(adapter, RULE).localize_region(IMAGE, QUESTION) == own


def assert_same(one, other):
    """But for rounding, since the other device has other kernels."""
    for mine, yours in ((one.baseline, other.baseline), (one.crop, other.crop)):
        assert mine.text == yours.text
        assert [each.logprob for each in mine.tokens] == pytest.approx(
            [each.logprob for each in yours.tokens], abs=1e-3
        )
    steps = zip(one.crop.trace.steps, other.crop.trace.steps, strict=True)
    assert all(mine.kept.tolist() == yours.kept.tolist() for mine, yours in steps)
    assert one.crop.trace.steps
