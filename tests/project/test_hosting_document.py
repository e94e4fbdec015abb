"""The memory in docs/hosting.md is what the check before loading would say of models in these dimensions."""

from __future__ import annotations

import re
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from benchmarks.full_size.models import MODELS, FullSize, config_of, shape_of
from crop_core.models.families.registry import FAMILIES
from crop_core.models.loading.memory_check import ALLOWANCE, weights_bytes_needed
from crop_core.records import formatting
from tests.support import ROOT

DOCUMENT = (ROOT / "docs" / "hosting.md").read_text(encoding="utf-8")
TOLD = {
    name: cells.split(" | ") for name, cells in re.findall(r"^\| `([\w.-]+)` \| (.* GiB) \|$", DOCUMENT, re.MULTILINE)
}
QWEN_3B = {  # https://huggingface.co/Qwen/Qwen2.5-VL-3B-Instruct/blob/main/config.json
    "hidden_size": 2048, "intermediate_size": 11008, "num_hidden_layers": 36, "num_attention_heads": 16,
    "num_key_value_heads": 2, "vocab_size": 151936, "tie_word_embeddings": True,
}  # fmt: skip
WAYS = [(torch.float32, None), (torch.bfloat16, None), (torch.bfloat16, "8bit"), (torch.bfloat16, "4bit")]


def test_every_model_of_published_dimensions_is_there() -> None:
    assert set(TOLD) == set(MODELS)


def needed_by(row: FullSize) -> list[str]:
    """Memory for each of WAYS."""
    with torch.device("meta"):
        model = FAMILIES[row.family].model_class(config_of(row))
    tensors = {key: SimpleNamespace(dtype="BF16", shape=list(one.shape)) for key, one in model.named_parameters()}
    needed = [weights_bytes_needed(tensors, dtype, quantize) * (1 + ALLOWANCE) for dtype, quantize in WAYS]
    return [formatting.format_bytes(each) for each in needed]


@pytest.mark.parametrize("name", sorted(MODELS))
def test_the_memory_is_what_the_check_asks_for(name: str) -> None:
    assert TOLD[name] == needed_by(shape_of(name))


def test_the_smaller_default_of_a_space_fits_as_it_says() -> None:
    larger = shape_of("qwen2.5-vl-7b")
    vision = {**larger.vision, "out_hidden_size": 2048}
    (told,) = re.findall(r"Qwen2\.5-VL-3B takes (.* GiB) in 16 bits", DOCUMENT)
    assert told == needed_by(replace(larger, text={**larger.text, **QWEN_3B}, vision=vision))[1]
