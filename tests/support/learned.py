"""Random learned PLCs for random models: every part of them does something."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from crop_core.compress.plc_checkpoint import LowRank, save_plc
from crop_core.compress.query_resampler import RegionResampler
from crop_core.models import load


def random_queries(width, seed=0, heads=2, size=3):
    """Of which no part is nothing any more."""
    torch.manual_seed(seed)
    queries = RegionResampler(width, heads, size)
    for weight in queries.parameters():
        nn.init.normal_(weight, std=0.7)
    return queries.requires_grad_(False)


def random_changes(layers, seed=0, rank=2):
    """About as large as the weights of the tests' models."""
    torch.manual_seed(seed)
    changes = LowRank(layers, rank)
    for weight in changes.parameters():
        nn.init.normal_(weight, std=0.4)
    return changes.requires_grad_(False)


def add_plc(folder: Path | str) -> None:
    """A random one for the checkpoint in a folder, where `load` finds it."""
    adapter = load(folder)
    width = adapter.model.config.text_config.hidden_size
    save_plc(Path(folder), random_queries(width), random_changes(adapter.stack.layers), {"steps": 0})
