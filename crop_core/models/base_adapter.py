"""Base class of all adapters: transformers model and processor, chat prompt, tokens as text.

A family is one file in `families/`: supported checkpoints, preprocessing, placeholders and token layout.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, cast

import torch
from PIL import Image

from crop_core.measure.flops import counted
from crop_core.models.adapter import (
    Adapter,
    Images,
    ModelError,
    PreparedInputs,
    TokenLayout,
    TowerAttention,
    Turn,
    as_list,
)
from crop_core.models.chat_template import PublishedChat
from crop_core.models.decoder import DecoderStack
from crop_core.models.finite import check_features
from crop_core.models.text_adapter import TextAdapter
from crop_core.records.formatting import first_line

LAYOUT = {"input_data_format": "channels_last"}  # of every image; at 1 or 3 px a side a processor would have to guess


@dataclass(eq=False)
class BaseAdapter(TextAdapter):
    """One loaded checkpoint of transformers. Arrays are batch 1; N visual tokens, width D, prompt length L."""

    folder: Path | None = None
    notices: Sequence[str] = ()  # for the user, about the checkpoint
    _vision_flops: dict[tuple[tuple[int, ...], ...], int] = field(default_factory=dict, init=False, repr=False)

    vision_keys: ClassVar[tuple[str, ...]] = ("pixel_values",)  # outputs of the processor for `encode`
    token_keys: ClassVar[tuple[str, ...]] = ()  # its outputs per prompt token besides the ids
    vision_types: ClassVar[tuple[str, ...]] = ()  # config.model_type of supported towers, empty for all
    text_types: ClassVar[tuple[str, ...]] = ("llama", "mistral", "qwen2")  # and of the language models
    causal: ClassVar[bool] = True  # no prompt token attends to a later one; required by FlashAttention
    written_type = 0  # token_type_ids of generated tokens
    max_side: float = math.inf  # pixels of an image's longer side that the processor can be given
    first_prunable = 1  # first decoder layer from which visual tokens can be pruned

    def __post_init__(self) -> None:
        """Hook for a family to read its processor and config; ModelError for unsupported values."""

    @classmethod
    def check(cls, name: str, config: Any) -> None:
        """ModelError for a checkpoint whose parts are not supported; called before its weights are read."""
        vision, text = config.vision_config.model_type, config.text_config.model_type
        if (cls.vision_types and vision not in cls.vision_types) or text not in cls.text_types:
            supported = f"{', '.join(cls.vision_types)} with {', '.join(cls.text_types)}".removeprefix(" with ")
            raise ModelError(
                f"{name} is a {config.model_type} model of the vision tower {vision} and the language model {text}; "
                f"supported are {supported}."
            )

    @classmethod
    def published_chat(cls, config: Any, tokenizer: Any) -> PublishedChat | None:
        """The family's chat prompt, for checkpoints without a chat template; None for a prompt that is none."""
        raise NotImplementedError

    @property
    def device(self) -> torch.device:
        """Device of the inputs: the embedding's, or its execution device when its weights are offloaded."""
        embedding = self.model.get_input_embeddings()
        execution = getattr(getattr(embedding, "_hf_hook", None), "execution_device", None)  # of accelerate
        return embedding.weight.device if execution is None else torch.device(execution)

    @property
    def dtype(self) -> torch.dtype:
        """The precision the model runs in."""
        return self.model.dtype

    @property
    def layers(self) -> int:
        """Number of decoder layers of the language model."""
        return self.model.config.text_config.num_hidden_layers

    @property
    def stack(self) -> DecoderStack:
        """The decoder layers, as the pruning hooks see them."""
        return DecoderStack.of(self.language_model, self.first_prunable)

    @property
    def language_model(self) -> Any:
        """The decoder: its `layers` and its config."""
        return self.model.model.language_model

    def prepare(self, images: Images, question: str, history: Sequence[Turn] = ()) -> PreparedInputs:
        """Input tensors (1, L) and pixel tensors, as made by the checkpoint's own processor."""
        images = as_list(images)
        prompt = self.prompt(question, len(images), history)
        given = [[self.fitted(each) for each in images]]
        output = self.processor(images=given, text=[prompt], return_tensors="pt", **LAYOUT, **self._specials(prompt))
        vision = {key: self._on_device(output[key]) for key in self.vision_keys}
        tokens = {key: output[key].to(self.device) for key in self.token_keys}
        return self._prepared(output["input_ids"], vision, images, tokens)

    def _prepared(
        self, ids: torch.Tensor, vision: dict[str, torch.Tensor], images: Sequence[Any], tokens: dict[str, torch.Tensor]
    ) -> PreparedInputs:
        """Checked inputs: as many placeholders in ids (1, L), on the host, as visual tokens, and no more tokens
        than the model reads.
        """
        visual, sizes = ids == self.image_token_id, tuple(image.size for image in images)
        placeholders, expected = int(visual.sum()), sum(self.layout(size, len(sizes)).count for size in sizes)
        if placeholders != expected:
            raise ModelError(
                f"The processor of {self.name} makes {placeholders} placeholders for {expected} visual tokens of "
                f"{len(images)} image(s); correct its processor_config.json, or image_token_id in its config.json."
            )
        self._check_rows(ids, visual)
        max_length = getattr(self.model.config.text_config, "max_position_embeddings", None)
        if max_length and ids.shape[1] > max_length:
            raise ModelError(
                f"The question and its {len(images)} image(s) take {ids.shape[1]} tokens, and {self.name} reads at "
                f"most {max_length}; ask about fewer or smaller images, or with fewer earlier turns."
            )
        positions = self._positions(ids, vision)
        ids, mask, visual = (each.to(self.device) for each in (ids, torch.ones_like(ids), visual))
        positions = None if positions is None else positions.to(self.device)
        return PreparedInputs(ids, mask, visual, vision, sizes, tokens, positions)

    def _check_rows(self, ids: torch.Tensor, visual: torch.Tensor) -> None:
        """ModelError for a token (1, L) that the model has no embedding of: a tokenizer that was given more tokens."""
        rows, highest = self.model.get_input_embeddings().num_embeddings, int(ids.masked_fill(visual, 0).max())
        if highest >= rows:
            raise ModelError(
                f"The tokenizer of {self.name} knows the token {self.tokenizer.convert_ids_to_tokens(highest)!r} "
                f"({highest}), and the model's embedding ends before it ({rows} rows); resize the embedding "
                "(resize_token_embeddings) and train it, or take the tokenizer of the model that it was made from."
            )

    def _positions(self, ids: torch.Tensor, vision: dict[str, torch.Tensor]) -> torch.Tensor | None:
        """(4, 1, L) positions of a prompt, on the host; None where they are sequence indices."""
        return None

    def layout(self, image_size: tuple[int, int], images: int = 1) -> TokenLayout:
        """Layout of the visual tokens of one of `images` images, of (width, height) pixels."""
        own = self._layout if images == 1 else self._layout_of_several
        return own(self.fitted_size(image_size)).scaled(image_size)

    def input_size(self, image_size: tuple[int, int]) -> tuple[int, int]:
        """(width, height) of a (width, height) image as passed to the processor, or as resized by the family."""
        return self.fitted_size(image_size)

    def fitted(self, image: Image.Image) -> Image.Image:
        """The image as passed to the processor: itself, or resized to `max_side`."""
        size = self.fitted_size(image.size)
        return image if size == image.size else image.resize(size, Image.Resampling.BICUBIC)

    def fitted_size(self, size: tuple[int, int]) -> tuple[int, int]:
        """The size after `fitted` of an image of this (width, height)."""
        factor = min(1.0, self.max_side / max(size))
        return max(1, round(factor * size[0])), max(1, round(factor * size[1]))

    def _layout(self, size: tuple[int, int]) -> TokenLayout:
        """Layout of a single image of this size at the processor."""
        raise NotImplementedError

    def _layout_of_several(self, size: tuple[int, int]) -> TokenLayout:
        """Layout of one of several images; the same for most families."""
        return self._layout(size)

    def encode(self, inputs: PreparedInputs) -> Any:
        """Run vision tower and projector; pooler_output is a list of one (N, D) tensor, or (1, N, D), of all images.
        NotFiniteError for features that are no numbers.
        """
        try:
            with torch.no_grad():
                out = self.model.model.get_image_features(**inputs.vision, return_dict=True)
        except (ValueError, IndexError) as error:  # of transformers: another size of images, a layer that is not there
            raise ModelError(
                f"The vision tower of {self.name} does not take what its processor makes ({first_line(error)}); take "
                "config.json, processor_config.json and preprocessor_config.json from the same model."
            ) from error
        features = out.pooler_output  # the rows of a tensor may be tiles
        out.pooler_output = (
            features.reshape(1, -1, features.shape[-1]) if torch.is_tensor(features) else [_one(features)]
        )
        self._check_count(sum(map(len, out.pooler_output)), inputs)
        check_features(cast(Adapter, self), out.pooler_output)
        levels = getattr(out, "deepstack_features", None)
        if levels is not None:
            out.deepstack_features = [[_one(level)] for level in levels]
        return out

    def _check_count(self, features: int, inputs: PreparedInputs) -> None:
        placeholders = int(inputs.visual.sum())
        if features != placeholders:
            raise ModelError(
                f"{self.name} computes {features} features for the {placeholders} placeholders of its processor; take "
                "processor_config.json and preprocessor_config.json from the same model."
            )

    def unfamiliar(self, images: Images) -> str:
        """What the model knows instead, for a family and checkpoint that can tell an unfamiliar image."""
        return ""

    def record_tower(self) -> Any:
        """ModelError, unless a family whose visual tokens are single patches overrides it."""
        raise ModelError(
            f"{self.name} is a {self.model.config.model_type} model, which merges several patches into each visual "
            "token, so that its tower has no attention of single tokens; choose a method that does not read the tower."
        )

    def tower_attention(self, recorder: Any, inputs: PreparedInputs) -> list[TowerAttention]:
        """Per image, from the recorder of `record_tower`."""
        raise NotImplementedError

    @torch.no_grad()
    def embed_question(self, question: str) -> torch.Tensor:
        """(T, D) embeddings of the question's tokens, without special tokens."""
        ids = self.question_ids(question)
        return self.model.get_input_embeddings()(torch.tensor(ids, dtype=torch.long, device=self.device))

    def vision_flops(self, inputs: PreparedInputs) -> int:
        """Floating-point operations of `encode`, counted once for tensors of these shapes."""
        shapes = tuple(tuple(each.shape) for each in inputs.vision.values())
        if shapes not in self._vision_flops:
            self._vision_flops[shapes] = counted(lambda: self.encode(inputs))
        return self._vision_flops[shapes]

    def _on_device(self, tensor: torch.Tensor) -> torch.Tensor:
        return tensor.to(self.device, self.dtype if tensor.is_floating_point() else None)

    def save(self, folder: Path) -> None:
        """Model, processor and own generation settings as a checkpoint folder, the weights in safetensors."""
        self.model.save_pretrained(folder)
        self.processor.save_pretrained(folder)
        own = self.folder and self.folder / "generation_config.json"
        if own and own.is_file():
            shutil.copy(own, folder)


def _one(features: Sequence[torch.Tensor]) -> torch.Tensor:
    """(N, D) of the features (N_i, D) of several images."""
    return features[0] if len(features) == 1 else torch.cat(list(features))
