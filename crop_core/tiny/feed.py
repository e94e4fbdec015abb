"""Training batches: fresh scenes mixed with recent ones. The step decides the batch, so a resumed run sees the same."""

from __future__ import annotations

import random
from collections import OrderedDict
from collections.abc import Callable

import torch
from torch import Tensor

from crop_core.tiny.checkpoint import Recipe
from crop_core.tiny.dense import Sample, patch_labels, to_square
from crop_core.tiny.scenes import make_scene

TRAINING_SEEDS = 1_000_000  # scenes from this seed on are for training; those below are held out


class Feed:
    """Batches of samples; `encode` turns stacked squares (B, side, side, 3) into what a sample keeps of its picture."""

    def __init__(
        self, recipe: Recipe, batch: int, fresh: int, memory: int, encode: Callable[[Tensor], Tensor] | None = None
    ):
        self.recipe, self.batch, self.fresh, self.memory, self.encode = recipe, batch, fresh, memory, encode
        self._samples: OrderedDict[int, Sample] = OrderedDict()

    def __call__(self, step: int) -> tuple[list[Sample], random.Random]:
        """The samples of a step, and the generator for everything else that is random in it."""
        rng = random.Random(f"{self.recipe.name} {step}")
        newest = self.batch + step * self.fresh
        oldest = max(0, newest - self.memory)
        seeds = range(newest - self.fresh, newest) if step else range(self.batch)
        picked = [*seeds, *(rng.randrange(oldest, newest) for _ in range(self.batch - len(seeds)))]
        return self._get(picked), rng

    def _get(self, seeds: list[int]) -> list[Sample]:
        missing = [seed for seed in dict.fromkeys(seeds) if seed not in self._samples]
        scenes = [make_scene(TRAINING_SEEDS + seed) for seed in missing]
        if scenes:
            views = torch.stack([torch.tensor(to_square(scene.image, self.recipe)) for scene in scenes])
            if self.encode is not None:
                views = self.encode(views)
            for seed, scene, view in zip(missing, scenes, views, strict=True):
                labels = torch.from_numpy(patch_labels(scene, self.recipe))
                self._samples[seed] = Sample(scene, view.clone(), labels)
        found = [self._samples[seed] for seed in seeds]
        while len(self._samples) > self.memory + self.batch:
            self._samples.popitem(last=False)
        return found


def stack(samples: list[Sample]) -> tuple[Tensor, Tensor]:
    """Views (B, ...) and labels (B, N, 7)."""
    return torch.stack([sample.view for sample in samples]), torch.stack([sample.labels for sample in samples])


def patches_to_keep(labels: Tensor, kept: int) -> Tensor | None:
    """Sorted indices (B, kept): the patches of things first, then background at random; None where all are kept."""
    if kept >= labels.shape[1]:
        return None
    order = torch.rand(labels.shape[:2]) + 2.0 * (labels[..., 0] > 0)
    return order.topk(kept, 1).indices.sort(1).values
