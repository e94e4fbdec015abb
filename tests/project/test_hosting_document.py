"""The memory in docs/hosting.md is what the check before loading would say of models in these dimensions."""

from __future__ import annotations

import re
from types import SimpleNamespace

import pytest
import torch

from benchmarks.full_size.models import MODELS, config_of, shape_of
from crop_core.models.families.registry import FAMILIES
from crop_core.models.loading.memory_check import ALLOWANCE, weights_bytes_needed
from crop_core.records import formatting
from tests.support import ROOT

DOCUMENT = (ROOT / "docs" / "hosting.md").read_text(encoding="utf-8")
TOLD = {
    name: cells.split(" | ") for name, cells in re.findall(r"^\| `([\w.-]+)` \| (.* GiB) \|$", DOCUMENT, re.MULTILINE)
}
WAYS = [(torch.float32, None), (torch.bfloat16, None), (torch.bfloat16, "8bit"), (torch.bfloat16, "4bit")]


def test_every_model_of_published_dimensions_is_there() -> None:
    assert set(TOLD) == set(MODELS)


@pytest.mark.parametrize("name", sorted(MODELS))
def test_the_memory_is_what_the_check_asks_for(name: str) -> None:
    row = shape_of(name)
    with torch.device("meta"):
        model = FAMILIES[row.family].model_class(config_of(row))
    tensors = {key: SimpleNamespace(dtype="BF16", shape=list(one.shape)) for key, one in model.named_parameters()}
    needed = [weights_bytes_needed(tensors, dtype, quantize) * (1 + ALLOWANCE) for dtype, quantize in WAYS]
    assert TOLD[name] == [formatting.format_bytes(each) for each in needed]
