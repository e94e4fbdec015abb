"""Training batches: fresh scenes mixed with recent ones. The step decides the batch, so a resumed run sees the same."""

from __future__ import annotations

import random
from collections import OrderedDict
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from crop_core.train.bundled.checkpoint import Recipe
from crop_core.train.bundled.dense import Sample, patch_labels, to_square
from crop_core.train.bundled.workers import PendingResult, Workers
from crop_core.train.world import splits
from crop_core.train.world.questions import cut_out_scene
from crop_core.train.world.scenes import make_scene
from crop_core.train.world.vocabulary import Scene

Drawn = tuple[Scene, np.ndarray, np.ndarray]
_CUT_OUT = 0.15  # share of scenes that are cut out


class TrainingBatches:
    """Batches of samples; `encode` turns stacked squares (B, side, side, 3) into the stored views.

    Images of scenes are kept in the first `images` steps only. `signs` is the share of scenes that are pages full
    of signs. Workers draw the scenes of the next `2 * count` steps ahead of time.
    """

    def __init__(
        self,
        recipe: Recipe,
        batch: int,
        fresh: int,
        memory: int,
        encode: Callable[[Tensor], Tensor] | None = None,
        images: int = 0,
        workers: Workers | None = None,
        signs: float = 0.0,
    ):
        self.recipe, self.batch, self.fresh, self.memory, self.signs = recipe, batch, fresh, memory, signs
        self.encode, self.images, self.workers = encode, images, workers or Workers()
        self._samples: OrderedDict[int, Sample] = OrderedDict()
        self._drawn: dict[int, PendingResult[Drawn]] = {}

    def __call__(self, step: int) -> tuple[list[Sample], random.Random]:
        """The samples of a step, and the generator for its other random choices."""
        for later in range(step, step + 2 * self.workers.count + 1):
            self._order(later)
        seeds, rng = self._pick(step)
        missing = [seed for seed in dict.fromkeys(seeds) if seed not in self._samples]
        if missing:
            drawn = [self._drawn.pop(seed).result() for seed in missing]
            views = torch.stack([torch.tensor(square) for _, square, _ in drawn])
            if self.encode is not None:
                views = self.encode(views)
            for seed, (scene, _, labels), view in zip(missing, drawn, views, strict=True):
                self._samples[seed] = Sample(scene, view.clone(), torch.from_numpy(labels))
        samples = [self._samples[seed] for seed in seeds]
        while len(self._samples) > self.memory + self.batch:
            self._samples.popitem(last=False)
        return samples, rng

    def scenes(self, step: int) -> tuple[list[Scene], random.Random]:
        """The scenes of a step, which may be ahead, without images."""
        self._order(step)
        seeds, rng = self._pick(step)
        return [self._scene(seed).without_image() for seed in seeds], rng

    def _scene(self, seed: int) -> Scene:
        return self._samples[seed].scene if seed in self._samples else self._drawn[seed].result()[0]

    def _pick(self, step: int) -> tuple[list[int], random.Random]:
        """The seeds of a step's scenes."""
        rng = random.Random(f"{self.recipe.name} {step}")
        newest = self.batch + step * self.fresh
        oldest = max(0, newest - self.memory)
        seeds = range(newest - self.fresh, newest) if step else range(self.batch)
        return [*seeds, *(rng.randrange(oldest, newest) for _ in range(self.batch - len(seeds)))], rng

    def _order(self, step: int) -> None:
        """Start drawing the scenes of a step that are not drawn yet."""
        for seed in self._pick(step)[0]:
            if seed not in self._samples and seed not in self._drawn:
                self._drawn[seed] = self.workers.start(draw, self.recipe, seed, step < self.images, self.signs)


def draw(recipe: Recipe, seed: int, with_image: bool, signs: float = 0.0) -> Drawn:
    """A training scene with or without its image, the image as the tower sees it, and its patches' labels.

    seed: counted from the first of splits.TRAINING.
    """
    rng = random.Random(f"what to draw {seed}")
    scene = make_scene(splits.TRAINING.start + seed, setting="signs" if rng.random() < signs else None)
    if rng.random() < _CUT_OUT:
        scene = cut_out_scene(rng, scene)
    square, labels = to_square(scene.image, recipe), patch_labels(scene, recipe)
    return scene if with_image else scene.without_image(), square, labels


def stack(samples: list[Sample]) -> tuple[Tensor, Tensor]:
    """Views (B, ...) and labels (B, N, LABELS)."""
    return torch.stack([sample.view for sample in samples]), torch.stack([sample.labels for sample in samples])
