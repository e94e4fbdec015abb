"""Training stage 1: the vision tower alone, on dense labels of every patch's content and its object's edges."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from transformers import LlavaForConditionalGeneration

from crop_core.train.bundled.batches import TrainingBatches, stack
from crop_core.train.bundled.checkpoint import Recipe
from crop_core.train.bundled.dense import DenseHeads, encode_patches
from crop_core.train.bundled.token_selection import patches_to_keep
from crop_core.train.bundled.training_loop import Stats, TrainingRun
from crop_core.train.bundled.workers import Workers


@dataclass(frozen=True)
class VisionPlan:
    """Schedule of stage 1: `kept` patches an image, all of them in the last `full` share of the steps; `signs` is the
    share of pages full of signs.
    """

    steps: int
    batch: int = 16
    fresh: int = 6
    kept: int = 240
    full: float = 0.05
    signs: float = 0.3
    rate: float = 2e-3


def train_vision(
    model: LlavaForConditionalGeneration, recipe: Recipe, plan: VisionPlan, file: Path, workers: Workers
) -> Stats:
    """Train the tower of `model` in place and on its device, resuming from `file` if it exists."""
    tower, device = model.model.vision_tower, model.device
    modules = nn.ModuleDict({"tower": tower, "heads": DenseHeads(recipe.vision["hidden_size"], recipe.bins)}).to(device)
    run = TrainingRun(modules, file, plan.steps, plan.rate)
    batches = TrainingBatches(recipe, plan.batch, plan.fresh, memory=6000, workers=workers, signs=plan.signs)

    def loss(step: int) -> tuple[Tensor, Stats]:
        squares, labels = stack(batches(step)[0])
        keep = patches_to_keep(labels, plan.kept if run.done < 1 - plan.full else recipe.grid**2)
        if keep is not None:
            labels = labels.gather(1, keep[..., None].expand(-1, -1, labels.shape[-1]))
            keep = keep.to(device)
        with torch.autocast(device.type, torch.bfloat16):
            features = encode_patches(tower, squares.to(device), keep)
            return modules["heads"](features, labels.to(device))

    tower.train()
    return run.train(loss)
