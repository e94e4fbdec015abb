"""What the rest of crop_core may know of a vision-language model: an adapter, its inputs and where its tokens lie.

Knows nothing of regions, pruning or costs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from crop_core.models.decoder import DecoderStack

Images = Image.Image | Sequence[Image.Image]  # RGB, one or several
Turn = tuple[str, str]  # an earlier question about the same images and its answer


class ModelError(ValueError):
    """A model that cannot be loaded or used; the message is one sentence that says what is supported."""


@dataclass(frozen=True)
class TokenLayout:
    """Where every visual token lies, in placeholder order.

    image_size: (width, height) of the original image in pixels.
    boxes: (N, 4) float, left, top, right, bottom in original pixels; a NaN row has no place (a class token). A token
        over padding keeps its true box, which then lies outside the image.
    view, row, col: (N,) int, the grid a token belongs to and its place there; -1 for tokens with no place.
    visible: left, top, right, bottom in original pixels of the part of the image that reaches the model.
    """

    image_size: tuple[int, int]
    boxes: NDArray[np.float64]
    view: NDArray[np.int64]
    row: NDArray[np.int64]
    col: NDArray[np.int64]
    visible: tuple[float, float, float, float]

    @property
    def count(self) -> int:
        """N, the number of visual tokens."""
        return len(self.boxes)

    @property
    def in_sight(self) -> NDArray[np.bool_]:
        """(N,) bool: has the token a place, with its centre in the visible part of the image?"""
        x, y = (self.boxes[:, :2] + self.boxes[:, 2:]).T / 2
        left, top, right, bottom = self.visible
        return (x >= left) & (x < right) & (y >= top) & (y < bottom)  # False for NaN

    def scaled(self, image_size: tuple[int, int]) -> TokenLayout:
        """The same tokens on the image in another (width, height)."""
        if image_size == self.image_size:
            return self
        factors = np.array(image_size * 2) / np.array(self.image_size * 2)
        left, top, right, bottom = (np.array(self.visible) * factors).tolist()
        return replace(self, image_size=image_size, boxes=self.boxes * factors, visible=(left, top, right, bottom))


@dataclass(frozen=True)
class PreparedInputs:
    """One question about one image or several, ready for the model, on its device.

    input_ids, attention_mask: (1, L) long; visual: (1, L) bool, True on the N image placeholders, image by image.
    vision: the image tensors that `encode` needs (LLaVA: pixel_values (images, 3, H, W)).
    image_sizes: (width, height) of each original image in pixels.
    tokens: what else the model must know of every prompt token, such as token_type_ids (1, L).
    positions: (4, 1, L) for models with positions in the image (a count, then time, row and column), else None: the
        model counts.
    """

    input_ids: torch.Tensor
    attention_mask: torch.Tensor
    visual: torch.Tensor
    vision: dict[str, torch.Tensor]
    image_sizes: tuple[tuple[int, int], ...]
    tokens: dict[str, torch.Tensor] = field(default_factory=dict)
    positions: torch.Tensor | None = None


def as_list(images: Images) -> tuple[Image.Image, ...]:
    """One image or several as several."""
    return (images,) if isinstance(images, Image.Image) else tuple(images)


def keeps_history(
    adapter: Adapter, question: str = "?", images: int = 1, history: Sequence[Turn] = (("?", "?"),)
) -> bool:
    """Whether the model's prompt holds earlier turns; where it does not, each question is read by itself."""
    return adapter.prompt(question, images) != adapter.prompt(question, images, history)


@dataclass(frozen=True, eq=False)
class TowerAttention:
    """What the vision tower thinks of each visual token: attention (N,) float32, the class token's in the penultimate
    layer, mean over heads; keys (N, W) of that layer. NaN and zeros for tokens that are no patch.
    """

    attention: torch.Tensor
    keys: torch.Tensor


class Adapter(Protocol):
    """One loaded model of one family; the only place that knows the family's processor and module names."""

    name: str
    model: Any
    tokenizer: Any
    token_keys: ClassVar[tuple[str, ...]]  # of PreparedInputs.tokens
    written_type: int  # of those, token_type_ids, for what the model itself writes
    folder: Path | None  # the checkpoint's

    @property
    def device(self) -> torch.device:
        """Where inputs go; the weights may lie on more devices."""

    @property
    def dtype(self) -> torch.dtype:
        """The precision the model runs in."""

    @property
    def image_token_id(self) -> int:
        """The id of the image placeholder in `input_ids`."""

    @property
    def layers(self) -> int:
        """Number of decoder layers of the language model."""

    @property
    def stack(self) -> DecoderStack:
        """The decoder layers, as the pruning hooks see them."""

    def prompt(self, question: str, images: int = 1, history: Sequence[Turn] = ()) -> str:
        """The chat prompt of a question about so many images, after earlier turns where the model takes any."""

    def prepare(self, images: Images, question: str, history: Sequence[Turn] = ()) -> PreparedInputs:
        """Chat template, tokenizer and image processor of the checkpoint itself, and the images once, in full: before
        the first question of the history.
        """

    def layout(self, image_size: tuple[int, int], images: int = 1) -> TokenLayout:
        """Place of every visual token of an image of (width, height) pixels that is one of so many."""

    def input_size(self, image_size: tuple[int, int]) -> tuple[int, int]:
        """(width, height) in which the model reads an image of (width, height) pixels: what its text counts in."""

    def encode(self, inputs: PreparedInputs) -> Any:
        """Vision tower and projector: the ModelOutput that `mm_encoder_outputs` takes, pooler_output [(N, D)] with the
        tokens of all images.
        """

    def record_tower(self) -> Any:
        """Context manager around `encode` that records what `tower_attention` reads; ModelError for towers without a
        class token.
        """

    def tower_attention(self, watched: Any, inputs: PreparedInputs) -> list[TowerAttention]:
        """What the tower thinks of the tokens of every image."""

    def embed_question(self, question: str) -> torch.Tensor:
        """(T, D) embeddings of a question's own tokens, without the prompt around them."""

    def vision_flops(self, inputs: PreparedInputs) -> int:
        """Floating-point operations of `encode`; the first of its shapes takes as long as encoding."""

    def unknown_words(self, question: str) -> list[str]:
        """Words of the question that the tokenizer can only call unknown; empty for tokenizers that know all text."""

    def decode(self, ids: list[int]) -> str:
        """Text of generated token ids, special tokens left out."""

    def token_text(self, token_id: int) -> str:
        """How one generated token is shown."""

    def save(self, folder: Path) -> None:
        """Write model and processor as a checkpoint folder that `load` reads."""
