"""Images, token layouts and compression inputs made by hand."""

from types import SimpleNamespace

import numpy as np
import torch
from PIL import Image

from crop_core.compress.protocol import CompressionInput
from crop_core.models.adapter import TokenLayout
from crop_core.records.region import Region

IMAGE = Image.effect_noise((200, 120), 90).convert("RGB")
QUESTION = "what is left of the dog?"
REGION = Region(2, 2, 4, 4, 200, 120)


def ramp(width: int, height: int) -> Image.Image:
    """Red rises with x, green with y, from 0 to 255 between the outer pixels' centres; blue marks the image."""
    pixels = np.zeros((height, width, 3), dtype=np.uint8)
    pixels[..., 0] = np.linspace(0, 255, width).round()[None]
    pixels[..., 1] = np.linspace(0, 255, height).round()[:, None]
    pixels[..., 2] = 255
    return Image.fromarray(pixels)


def grid(side=24, size=(480, 480), pad=0.0, leading=0):
    """A row-major grid over the image, or over the padded square whose padding takes the share `pad` above and
    below.
    """
    row, col = (index.reshape(-1) for index in np.indices((side, side)))
    width, height = size
    top = -pad * height
    down = height * (1 + 2 * pad) / side
    boxes = np.stack([col * width / side, top + row * down, (col + 1) * width / side, top + (row + 1) * down], axis=1)
    lead = lambda array, value: np.concatenate([np.full((leading, *array.shape[1:]), value, array.dtype), array])  # noqa: E731
    return TokenLayout(
        image_size=size,
        boxes=lead(boxes, np.nan),
        view=lead(row * 0, -1),
        row=lead(row, -1),
        col=lead(col, -1),
        visible=(0.0, 0.0, float(width), float(height)),
    )


def random_image(seed, count=30, width=40):
    """Tokens on a diagonal, the first out of sight; more dimensions than tokens, so that no kernel is singular."""
    rng = np.random.default_rng(seed)
    row = np.arange(count)
    boxes = np.stack([row * 3.0, row * 2.0, row * 3.0 + 3, row * 2.0 + 2], 1)
    layout = TokenLayout((90, 90), boxes, row * 0, row, row, (3.0, 0.0, 90.0, 90.0))
    features, keys = (torch.from_numpy(rng.normal(size=(count, width)).astype("f")) for _ in range(2))
    tower = SimpleNamespace(attention=torch.from_numpy(rng.random(count).astype("f")), keys=keys)
    question = torch.from_numpy(rng.normal(size=(5, width)).astype("f"))
    return CompressionInput(layout, Region(1, 1, 3, 3, 90, 90), lambda: features, lambda: tower, lambda: question)


def seen(features=None, attention=None, keys=(), question=()):
    """An image of as many tokens as there are features or attentions."""
    count = len(attention if features is None else features)
    return CompressionInput(
        SimpleNamespace(row=np.zeros(count)),
        None,
        lambda: torch.tensor(features),
        lambda: SimpleNamespace(attention=torch.tensor(attention), keys=torch.tensor(keys)),
        lambda: torch.tensor(question),
    )


def left(plan):
    """Places of the tokens that enter the LLM, alone or pooled."""
    return np.flatnonzero(plan.group >= 0).tolist()


def groups(plan):
    return {frozenset(np.flatnonzero(plan.group == number).tolist()) for number in range(plan.count)}


def cosine(one, other):
    one, other = np.asarray(one, dtype=float), np.asarray(other, dtype=float)
    return float(one @ other) / (np.sqrt(one @ one) * np.sqrt(other @ other))
