"""Training stage 1: the vision tower alone, taught by dense labels what every patch shows and where its thing ends."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from transformers import LlavaForConditionalGeneration

from crop_core.tiny.checkpoint import Recipe
from crop_core.tiny.dense import DenseHeads, encode_patches
from crop_core.tiny.feed import Feed, patches_to_keep, stack
from crop_core.tiny.loop import Run, Stats


@dataclass(frozen=True)
class VisionPlan:
    """How long and how hard: `kept` patches a picture, all of them in the last `full` share of the steps."""

    steps: int
    batch: int = 16
    fresh: int = 6
    kept: int = 240
    full: float = 0.05
    rate: float = 2e-3


def train_vision(model: LlavaForConditionalGeneration, recipe: Recipe, plan: VisionPlan, file: Path) -> Stats:
    """Train the tower of `model` in place, resuming from `file` if it is there."""
    tower = model.model.vision_tower
    modules = nn.ModuleDict({"tower": tower, "heads": DenseHeads(recipe.vision["hidden_size"], recipe.bins)})
    run = Run(modules, file, plan.steps, plan.rate)
    feed = Feed(recipe, plan.batch, plan.fresh, memory=6000)

    def loss(step: int) -> tuple[Tensor, Stats]:
        squares, labels = stack(feed(step)[0])
        keep = patches_to_keep(labels, plan.kept if run.done < 1 - plan.full else recipe.grid**2)
        if keep is not None:
            labels = labels.gather(1, keep[..., None].expand(-1, -1, labels.shape[-1]))
        with torch.autocast("cpu", torch.bfloat16):
            features = encode_patches(tower, squares, keep)
            return modules["heads"](features, labels)

    tower.train()
    return run.train(loss)
