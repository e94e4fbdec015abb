"""Dense supervision: labels of every patch, and the auxiliary heads that train the vision tower on them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from crop_core.train.bundled.checkpoint import IMAGE_MEAN, IMAGE_STD, PATCH, Recipe
from crop_core.train.world.vocabulary import (
    BACKGROUNDS,
    CATEGORIES,
    COLORS,
    NUMBERS,
    TEXTS,
    Box,
    Mark,
    Scene,
    SceneObject,
)

_PAD_VALUE = int(IMAGE_MEAN * 255)
_WORD = 1 + len(CATEGORIES)  # the label of a patch that shows only a word or a number
LABELS = 9  # columns of patch_labels
CATEGORY, COLOR, TEXT, BACKGROUND, MIDDLE = 0, 1, 2, 7, 8
EDGES = slice(3, 7)


def to_square(image: Image.Image, recipe: Recipe) -> np.ndarray:
    """The (side, side, 3) uint8 image that the recipe's processor passes to the vision tower, before normalizing."""
    if recipe.pad:
        longest = max(image.size)
        square = Image.new("RGB", (longest, longest), (_PAD_VALUE,) * 3)
        square.paste(image, ((longest - image.width) // 2, (longest - image.height) // 2))
        image = square
    if image.size != (recipe.side, recipe.side):
        image = image.resize((recipe.side, recipe.side), Image.Resampling.BICUBIC)
    return np.asarray(image)


def to_frame(box: Box, scene: Scene, recipe: Recipe) -> tuple[float, float, float, float]:
    """A box of the scene in shares (0 to 1) of the square that the vision tower sees."""
    width, height = scene.image.size
    if recipe.pad:
        longest = max(width, height)
        dx, dy, width, height = (longest - width) // 2, (longest - height) // 2, longest, longest
        box = (box[0] + dx, box[1] + dy, box[2] + dx, box[3] + dy)
    return box[0] / width, box[1] / height, box[2] / width, box[3] / height


def cells(box: Box, scene: Scene, recipe: Recipe, n: int) -> tuple[int, int, int, int]:
    """Inclusive cells (left, top, right, bottom) that a box touches on an n x n grid over the tower's square."""
    left, top, right, bottom = to_frame(box, scene, recipe)
    pixel = 0.5 / recipe.side
    return int(left * n), int(top * n), min(n - 1, int((right - pixel) * n)), min(n - 1, int((bottom - pixel) * n))


def patches_of(boxes: tuple[Box, ...], scene: Scene, recipe: Recipe) -> np.ndarray:
    """Bool (grid**2,): patches whose centre lies in one of the boxes."""
    n = recipe.grid
    centres = (np.arange(n) + 0.5) / n
    mask = np.zeros((n, n), bool)
    for box in boxes:
        left, top, right, bottom = to_frame(box, scene, recipe)
        mask |= ((centres >= top) & (centres < bottom))[:, None] & ((centres >= left) & (centres < right))[None]
    return mask.reshape(-1)


def middles_of(boxes: tuple[Box, ...], scene: Scene, recipe: Recipe) -> np.ndarray:
    """Bool (grid**2,): the one patch in the middle of each box."""
    mask = np.zeros(recipe.grid**2, bool)
    for box in boxes:
        left, top, right, bottom = cells(box, scene, recipe, 2 * recipe.grid)
        mask[(top + bottom + 1) // 4 * recipe.grid + (left + right + 1) // 4] = True
    return mask


def patch_labels(scene: Scene, recipe: Recipe) -> np.ndarray:
    """Int (grid**2, LABELS): category, color and text (0 = none, else 1 + index), the object's edges in bins, the
    image's background (0 on objects), and 1 in the middle patch of an object.

    A patch of a word has the category of its background object, or else its own category.
    """
    labels = np.zeros((recipe.grid**2, LABELS), np.int64)
    for thing in scene.objects:
        edges = cells(thing.box, scene, recipe, recipe.bins)
        marks = _visible(thing, scene)
        for mark in marks:
            own = patches_of((mark.box,), scene, recipe)
            if mark.category:
                labels[own, CATEGORY] = 1 + CATEGORIES.index(mark.category)
            if mark.color:
                labels[own, COLOR] = 1 + list(COLORS).index(mark.color)
            if mark.text:
                labels[own, TEXT] = 1 + TEXTS.index(mark.text)
                labels[own & (labels[:, CATEGORY] == 0), CATEGORY] = _WORD
            labels[own, EDGES] = edges
        if marks:
            labels[middles_of((marks[0].box,), scene, recipe), MIDDLE] = 1
    if scene.background and scene.shown is None:
        empty = patches_of(((0, 0, *scene.image.size),), scene, recipe) & (labels[:, CATEGORY] == 0)
        labels[empty, BACKGROUND] = 1 + BACKGROUNDS.index(scene.background)
    return labels


def _visible(thing: SceneObject, scene: Scene) -> tuple[Mark, ...]:
    """The pieces of an object that the image shows, the main one first."""
    marks = thing.marks or (Mark(thing.box, thing.name, thing.color),)
    if scene.shown is None or thing.box in scene.shown:
        return marks
    return tuple(mark for mark in marks if mark.box in scene.shown)


class QuantityHead(nn.Module):
    """Auxiliary linear heads: the edges of the object under a patch, whether this is its middle (for counting), and the
    amount of a number on it (for comparing). Not part of the model.
    """

    def __init__(self, width: int, bins: int) -> None:
        super().__init__()
        self.bins = bins
        self.edges = nn.Linear(width, 4 * bins)
        self.middle = nn.Linear(width, 1)
        self.amount = nn.Linear(width, 1)

    def forward(self, features: Tensor, labels: Tensor) -> tuple[Tensor, dict[str, float]]:
        """The loss, and the accuracies on objects; features (..., d), labels (..., LABELS)."""
        on = labels[..., CATEGORY] > 0
        logits = self.edges(features[on]).float().view(-1, self.bins)
        target = labels[on][:, EDGES].reshape(-1)
        middle, is_middle = self.middle(features[on]).float()[:, 0], labels[on][:, MIDDLE]
        accuracy = {
            "edges": (logits.argmax(-1) == target).float().mean().item(),
            "middle": (middle > 0)[is_middle == 1].float().mean().item(),
        }
        loss = F.cross_entropy(logits, target) + 2 * F.binary_cross_entropy_with_logits(middle, is_middle.float())
        number = (labels[..., TEXT] > 0) & (labels[..., TEXT] <= len(NUMBERS))
        if number.any():
            amount = self.amount(features[number]).float()[:, 0]
            loss = loss + F.smooth_l1_loss(amount, (labels[number][:, TEXT] - 1) / 5 - 2)
            accuracy["amount"] = ((amount + 2) * 5 - labels[number][:, TEXT] + 1).abs().mean().item()
        return loss, accuracy


class DenseHeads(nn.Module):
    """Auxiliary linear heads for `patch_labels` on features (..., d). Not part of the model."""

    KINDS = ((COLOR, "color", 0.3), (TEXT, "text", 1.0), (BACKGROUND, "background", 0.3))  # with the share of the loss

    def __init__(self, width: int, bins: int) -> None:
        super().__init__()
        self.category = nn.Linear(width, 1 + _WORD)
        self.color = nn.Linear(width, 1 + len(COLORS))
        self.text = nn.Linear(width, 1 + len(TEXTS))
        self.background = nn.Linear(width, 1 + len(BACKGROUNDS))
        self.quantities = QuantityHead(width, bins)

    def forward(self, features: Tensor, labels: Tensor) -> tuple[Tensor, dict[str, float]]:
        """The loss, and the accuracies on objects; features (B, K, d), labels (B, K, LABELS)."""
        on = labels[..., CATEGORY] > 0
        weight = torch.where(on, 1.0, 0.15)
        category = self.category(features).float()
        loss = F.cross_entropy(category.flatten(0, 1), labels[..., CATEGORY].flatten(), reduction="none")
        total = (loss * weight.flatten()).sum() / weight.sum()
        accuracy = {"category": (category.argmax(-1) == labels[..., CATEGORY])[on].float().mean().item()}
        for column, name, share in self.KINDS:
            has = labels[..., column] > 0
            where = {COLOR: on, BACKGROUND: has}.get(column, on & (has | (torch.rand(on.shape) < 0.1).to(on.device)))
            if has.any():
                logits = getattr(self, name)(features[where]).float()
                total = total + share * F.cross_entropy(logits, labels[where][:, column])
                hit = logits.argmax(-1) == labels[where][:, column]
                accuracy[name] = hit[labels[where][:, column] > 0].float().mean().item()
        quantities, own = self.quantities(features, labels)
        return total + 0.3 * quantities, accuracy | own


def encode_patches(tower: Any, squares: Tensor, keep: Tensor | None = None) -> Tensor:
    """The tower's output (B, K, d) for uint8 squares (B, side, side, 3); `keep` (B, K): indices of the patches to
    encode.

    With `keep=None` this is the tower's own forward pass without its class token.
    """
    embeddings = tower.embeddings
    batch, side = squares.shape[:2]
    n = side // PATCH
    patches = squares.view(batch, n, PATCH, n, PATCH, 3).permute(0, 1, 3, 5, 2, 4).reshape(batch, n * n, -1)
    if keep is not None:
        patches = patches.gather(1, keep[..., None].expand(-1, -1, patches.shape[-1]))
    pixels = (patches.float() / 255 - IMAGE_MEAN) / IMAGE_STD
    places = embeddings.position_embedding.weight
    hidden = F.linear(pixels, embeddings.patch_embedding.weight.flatten(1))
    hidden = hidden + (places[1:] if keep is None else places[1:][keep])
    first = (embeddings.class_embedding + places[0]).expand(batch, 1, -1).to(hidden.dtype)
    hidden = tower.pre_layrnorm(torch.cat([first, hidden], 1))
    return tower.encoder(inputs_embeds=hidden).last_hidden_state[:, 1:]


@dataclass
class Sample:
    """One scene ready for training: uint8 square or tower features, and the labels of its patches."""

    scene: Scene
    view: Tensor
    labels: Tensor
