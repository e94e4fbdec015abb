"""The interface to a vision-language model: the Adapter protocol, its prepared inputs and its token layout.

Knows nothing of regions, pruning or costs.
"""

from __future__ import annotations

import copy
import math
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
SMALL_IMAGE = (336, 336)  # (width, height)
SOME_WORDS = 16  # tokens of the shortest question


class ModelError(ValueError):
    """A model that cannot be loaded or used; the message is one sentence that says what is supported."""


@dataclass(frozen=True)
class TokenLayout:
    """Position of every visual token in the image, in placeholder order.

    image_size: (width, height) of the original image in pixels.
    boxes: (N, 4) float, left, top, right, bottom in original pixels; NaN rows have no position (a class token). A token
        over padding keeps its true box, which then lies outside the image.
    view, row, col: (N,) int, the grid a token belongs to and its cell there; -1 for tokens without a position.
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
    tokens: further inputs per prompt token, such as token_type_ids (1, L).
    positions: (4, 1, L) for models with multimodal positions (sequence index, then time, row and column), else None:
        the model numbers the tokens itself.
    """

    input_ids: torch.Tensor
    attention_mask: torch.Tensor
    visual: torch.Tensor
    vision: dict[str, torch.Tensor]
    image_sizes: tuple[tuple[int, int], ...]
    tokens: dict[str, torch.Tensor] = field(default_factory=dict)
    positions: torch.Tensor | None = None

    def kwargs(self, encoded: Any) -> dict[str, Any]:
        """Arguments for one model.generate or forward with the encoded images; new ones each time, since generate
        modifies them.
        """
        places = {} if self.positions is None else {"position_ids": self.positions}
        prompt = {"input_ids": self.input_ids, "attention_mask": self.attention_mask, **self.tokens, **places}
        return {**prompt, "mm_encoder_outputs": {"image": copy.copy(encoded)}}


def as_list(images: Images) -> tuple[Image.Image, ...]:
    """One image or several as a tuple."""
    return (images,) if isinstance(images, Image.Image) else tuple(images)


def keeps_history(
    adapter: Adapter, question: str = "?", images: int = 1, history: Sequence[Turn] = (("?", "?"),)
) -> bool:
    """Whether the model's prompt includes earlier turns; otherwise each question is independent."""
    return adapter.prompt(question, images) != adapter.prompt(question, images, history)


def reads_several(adapter: Adapter) -> bool:
    """Whether two small images fit into the model's context, with some words about them."""
    context = getattr(adapter.model.config.text_config, "max_position_embeddings", None) or math.inf
    return 2 * adapter.layout(SMALL_IMAGE, 2).count + SOME_WORDS < context


@dataclass(frozen=True, eq=False)
class TowerAttention:
    """Vision-tower statistics of each of the N visual tokens, from the layer whose output the projector reads.

    attention: (N,) float32, mean over heads: what a trained class token pays to it, else the mean of what all patches
    pay to it, as VisionZip and VisPruner have it for towers without one. keys: (N, W). published: (N,) what the class
    token pays, trained or not, wherever there is one. Of tokens that are not patches the keys are zero, and the
    attention is NaN for a class token and 0 for a newline.
    """

    attention: torch.Tensor
    keys: torch.Tensor
    published: torch.Tensor


class Adapter(Protocol):
    """One loaded model of one family; the only place that knows the family's processor and module names."""

    name: str
    model: Any
    tokenizer: Any
    token_keys: ClassVar[tuple[str, ...]]  # of PreparedInputs.tokens
    written_type: int  # token_type_ids of generated tokens
    folder: Path | None  # the checkpoint's
    notices: Sequence[str]  # for the user, about the checkpoint

    @property
    def device(self) -> torch.device:
        """Device of the inputs; the weights may be on more devices."""

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
    def max_new_tokens(self) -> int:
        """Longest answer where a request names none."""

    @property
    def short_answer_request(self) -> str:
        """The sentence below a question that asks for a short answer; "" where nothing has to."""

    def ends(self, ids: Sequence[int]) -> bool:
        """Whether generated ids (T,) end with an end token, and not at a limit."""

    @property
    def stack(self) -> DecoderStack:
        """The decoder layers, as the pruning hooks see them."""

    def prompt(self, question: str, images: int = 1, history: Sequence[Turn] = ()) -> str:
        """The chat prompt of a question about `images` images, after earlier turns if the model supports them."""

    def prepare(self, images: Images, question: str, history: Sequence[Turn] = ()) -> PreparedInputs:
        """Inputs from the checkpoint's own chat template, tokenizer and image processor; the images come once, before
        the first question of the history.
        """

    def layout(self, image_size: tuple[int, int], images: int = 1) -> TokenLayout:
        """Layout of the visual tokens of one of `images` images, of (width, height) pixels."""

    def unfamiliar(self, images: Images) -> str:
        """What the model knows instead, in the plural, where an image is unlike those of its training; else ""."""

    def fitted_size(self, size: tuple[int, int]) -> tuple[int, int]:
        """(width, height) at which a (width, height) image is passed to the processor."""

    def input_size(self, image_size: tuple[int, int]) -> tuple[int, int]:
        """(width, height) to which the model resizes an image: the space of the pixel coordinates that it writes."""

    def encode(self, inputs: PreparedInputs) -> Any:
        """Run vision tower and projector: the ModelOutput for `mm_encoder_outputs`, pooler_output [(N, D)] with the
        tokens of all images.
        """

    def record_tower(self) -> Any:
        """Context manager around `encode` that records what `tower_attention` reads; ModelError for towers whose
        patches are merged into tokens.
        """

    def tower_attention(self, recorder: Any, inputs: PreparedInputs) -> list[TowerAttention]:
        """Attention and keys of every image's tokens, from the recorder of `record_tower`."""

    def embed_question(self, question: str) -> torch.Tensor:
        """(T, D) embeddings of the question's tokens, without the chat prompt."""

    def vision_flops(self, inputs: PreparedInputs) -> int:
        """Floating-point operations of `encode`; cached by input shapes, the first call takes as long as encoding."""

    def unknown_words(self, question: str) -> list[str]:
        """Words of the question that map to the unknown token; empty for tokenizers without one."""

    def decode(self, ids: list[int]) -> str:
        """Text of generated token ids, special tokens left out."""

    def token_text(self, token_id: int) -> str:
        """One generated token as displayed text."""

    def save(self, folder: Path) -> None:
        """Write model and processor as a checkpoint folder that `load` reads."""


def dtype_name(adapter: Adapter) -> str:
    """ "float32" and the like."""
    return str(adapter.dtype).removeprefix("torch.")
