"""Warm start of a model from a trained one: from an earlier checkpoint, or the answerer from the localizer.

The localizer has learned to find what a question is about. Its embeddings and decoder layers become the answerer's
first ones, the layers after them start as identities, and the answerer's projector is trained to match the localizer's
projector at the same place.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import AutoTokenizer, LlavaForConditionalGeneration
from transformers import PreTrainedTokenizerFast as Tokenizer

from crop_core.train.bundled.checkpoint import Recipe
from crop_core.train.bundled.dense import encode_patches, to_frame, to_square
from crop_core.train.world.vocabulary import Scene


@torch.no_grad()
def grow(model: LlavaForConditionalGeneration, teacher: LlavaForConditionalGeneration) -> None:
    """Copy the teacher's embeddings, layers and norm into `model`; layers beyond the teacher's start as identities.

    Both must have the same vocabulary, width, heads and feed-forward size.
    """
    model.get_input_embeddings().load_state_dict(teacher.get_input_embeddings().state_dict())
    _copy_layers(model, teacher)


@torch.no_grad()
def start_from(model: LlavaForConditionalGeneration, tokenizer: Tokenizer, folder: Path) -> None:
    """Copy a checkpoint of the same widths: the words of both vocabularies, and as many layers as fit."""
    earlier = LlavaForConditionalGeneration.from_pretrained(folder, dtype=torch.float32)
    theirs = AutoTokenizer.from_pretrained(folder).get_vocab()
    shared = [(index, theirs[word]) for word, index in tokenizer.get_vocab().items() if word in theirs]
    ours, old = (torch.tensor(ids) for ids in zip(*shared, strict=True))
    model.get_input_embeddings().weight[ours] = earlier.get_input_embeddings().weight[old]
    model.model.vision_tower.load_state_dict(earlier.model.vision_tower.state_dict())
    model.model.multi_modal_projector.load_state_dict(earlier.model.multi_modal_projector.state_dict())
    _copy_layers(model, earlier)


def _copy_layers(model: LlavaForConditionalGeneration, teacher: LlavaForConditionalGeneration) -> None:
    ours, theirs = model.model.language_model, teacher.model.language_model
    ours.norm.load_state_dict(theirs.norm.state_dict())
    for index, layer in enumerate(ours.layers):
        if index < len(theirs.layers):
            layer.load_state_dict(theirs.layers[index].state_dict())
        else:
            layer.self_attn.o_proj.weight.zero_()
            layer.mlp.down_proj.weight.zero_()


class Imitation:
    """Loss towards the teacher's projected token at the place of each of the answerer's patches."""

    def __init__(self, teacher: LlavaForConditionalGeneration, theirs: Recipe, ours: Recipe) -> None:
        self.teacher, self.theirs, self.ours = teacher, theirs, ours

    @torch.no_grad()
    def targets(self, scenes: list[Scene]) -> tuple[Tensor, Tensor]:
        """Projected tokens (B, N, d), and which patches lie in the image (B, N)."""
        squares = torch.stack([torch.tensor(to_square(scene.image, self.theirs)) for scene in scenes])
        features = encode_patches(self.teacher.model.vision_tower, squares.to(self.teacher.device))
        tokens = self.teacher.model.multi_modal_projector(features).float()
        places = torch.stack([torch.from_numpy(self._places(scene)) for scene in scenes]).to(tokens.device)
        index = places.clamp(min=0)[..., None].expand(-1, -1, tokens.shape[-1])
        return tokens.gather(1, index), places >= 0

    def _places(self, scene: Scene) -> np.ndarray:
        """Int (N,): the teacher's patch at the centre of each of ours, -1 in the padding."""
        left, top, right, bottom = to_frame((0, 0, *scene.image.size), scene, self.ours)
        centres = (np.arange(self.ours.grid) + 0.5) / self.ours.grid
        column = np.floor((centres - left) / (right - left) * self.theirs.grid)
        row = np.floor((centres - top) / (bottom - top) * self.theirs.grid)
        place = row[:, None] * self.theirs.grid + column[None]
        inside = [(x >= 0) & (x < self.theirs.grid) for x in (row, column)]
        return np.where(inside[0][:, None] & inside[1][None], place, -1).astype(np.int64).reshape(-1)

    def loss(self, visual: Tensor, labels: Tensor, scenes: list[Scene]) -> Tensor:
        """Squared error in units of the teacher's variance, on objects and background; visual (B, N, d)."""
        target, inside = self.targets(scenes)
        scale = target.var()
        thing = labels[..., 0] > 0
        parts = [F.mse_loss(visual.float()[where], target[where]) for where in (thing, inside & ~thing)]
        return (parts[0] + 0.3 * parts[1]) / scale
