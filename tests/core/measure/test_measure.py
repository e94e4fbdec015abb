"""Costs: exact bytes on hand-made examples, and the FLOP formula against PyTorch's own counter."""

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode
from transformers import DynamicCache

from crop_core.measure.flops import counted, decode_flops, prefill_flops
from crop_core.measure.memory import CpuPeak, kv_bytes, peak_meter, weights_bytes
from crop_core.measure.timing import StageTimer
from crop_core.records import environment
from tests.support import checkpoints

KIB = 1024


def block(kib):
    return torch.zeros(kib * KIB // 4)


def test_the_peak_counts_what_is_alive_at_once():
    before = block(100)
    with CpuPeak() as memory:
        first = block(4)
        second = block(8)
        del first
        third = block(2)
        view = third[3:]
        third.add_(1)
        before.mul_(2)
        del third
        fourth = block(1)
    assert memory.peak == 12 * KIB
    assert memory.current == (8 + 2 + 1) * KIB
    del second, view, fourth
    assert memory.current == 0


def test_the_peak_sees_the_temporaries_of_a_module():
    layer = torch.nn.Sequential(torch.nn.Linear(16, 64, bias=False), torch.nn.Linear(64, 16, bias=False))
    inputs = torch.zeros(8, 16)
    with torch.no_grad(), CpuPeak() as memory:
        layer(inputs)
    assert memory.peak == 8 * (64 + 16) * 4
    assert memory.current == 0


def test_weights_count_shared_storage_once():
    embedding = torch.nn.Embedding(10, 4)
    head = torch.nn.Linear(4, 10, bias=True)
    head.weight = embedding.weight
    assert weights_bytes(torch.nn.ModuleList([embedding, head])) == (40 + 10) * 4


def test_weights_that_lie_elsewhere_count_and_tied_ones_once():
    with torch.device("meta"):
        model = torch.nn.ModuleList([torch.nn.Embedding(10, 4), torch.nn.Linear(4, 10), torch.nn.Linear(4, 4)])
    model.all_tied_weights_keys = {"1.weight": "0.weight"}
    assert weights_bytes(model) == (40 + 10 + 16 + 4) * 4


def test_the_peak_of_several_gpus_is_added_up(monkeypatch):
    for name in ("synchronize", "reset_peak_memory_stats"):
        monkeypatch.setattr(torch.cuda, name, lambda device: None)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda device: (100, 1000)[device])
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda device: (130, 1500)[device])
    meter, _ = peak_meter(torch.device("cuda"))
    with meter:
        pass
    assert meter.peak == 30 + 500


def test_the_cache_is_summed_layer_by_layer():
    cache = DynamicCache()
    cache.update(torch.zeros(1, 2, 7, 4), torch.zeros(1, 2, 7, 4), 0)
    cache.update(torch.zeros(1, 2, 3, 4), torch.zeros(1, 2, 3, 4), 1)
    assert kv_bytes(cache) == 2 * 2 * (7 + 3) * 4 * 4


def test_stages_add_up_and_default_to_zero():
    timer = StageTimer(torch.device("cpu"))
    for _ in range(2):
        with timer.stage("a"):
            pass
    assert timer.seconds["a"] > 0
    assert timer.seconds["b"] == 0
    with pytest.raises(KeyError), timer.stage("c"):
        raise KeyError
    assert timer.seconds["c"] > 0


def by_math(work):
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        out = work()
    return counter.get_total_flops(), out


@pytest.mark.parametrize(("feature_layer", "strategy"), [(-2, "default"), (-1, "full"), ([-2, -1], "default")])
def test_the_flop_formula_of_vision_and_prefill(feature_layer, strategy):
    model = checkpoints.model(112, feature_layer=feature_layer, strategy=strategy)
    pixels = torch.zeros(1, 3, 112, 112)
    vision, encoded = by_math(lambda: model.model.get_image_features(pixel_values=pixels, return_dict=True))
    assert vision == counted(lambda: model.model.get_image_features(pixel_values=pixels, return_dict=True)) > 0
    count = len(encoded.pooler_output[0])
    ids = torch.tensor([[1, *[4] * count, 9, 9, 9]])
    prefill, out = by_math(lambda: model(input_ids=ids, mm_encoder_outputs={"image": encoded}, logits_to_keep=1))
    assert prefill == prefill_flops(model.config, [ids.shape[1]] * 4)
    decode, _ = by_math(lambda: model(input_ids=ids[:, :1], past_key_values=out.past_key_values))
    assert decode == decode_flops(model.config, [ids.shape[1]] * 4, 1)


def test_the_environment_says_how_to_do_it_again(monkeypatch):
    monkeypatch.setattr("sys.argv", ["a.py", "--per-kind", "3"])
    record = environment.benchmark_environment("python -m benchmarks.plc_study", "cpu, one thread")
    assert list(record) == ["command", "date", "device", "dtype", "versions"]
    assert record["command"] == "python -m benchmarks.plc_study --per-kind 3" and record["dtype"] == "float32"
    assert list(record["versions"]) == ["python", "torch", "transformers"]
    assert environment.benchmark_environment("x.py --y", "cpu", arguments=())["command"] == "x.py --y"
    assert list(environment.run_environment()) == ["date", "crop-explorer", "python", "torch", "transformers"]
