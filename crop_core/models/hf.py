"""What every adapter shares: a transformers model and its processor, its chat prompt, its tokens as text.

A family is one file beside this one: what it can load, its pixels, its placeholders and where its tokens lie.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import torch
from PIL import Image

from crop_core.images import reduced, reduced_size
from crop_core.measure.flops import counted
from crop_core.models.protocol import ModelError, PreparedInputs, TokenLayout
from crop_core.prune import DecoderStack


@dataclass(eq=False)
class HfAdapter:
    """One loaded checkpoint of transformers. Arrays are batch 1; N visual tokens, width D, prompt length L."""

    name: str
    model: Any
    processor: Any
    _vision_flops: dict[tuple[tuple[int, ...], ...], int] = field(default_factory=dict, init=False, repr=False)

    fallback_prompt = "{image}\n{question}"  # for checkpoints without a chat template
    vision_keys: ClassVar[tuple[str, ...]] = ("pixel_values",)  # what the processor makes for `encode`
    token_keys: ClassVar[tuple[str, ...]] = ()  # what it makes for every prompt token beside its id
    vision_types: ClassVar[tuple[str, ...]] = ()  # config.model_type of the towers that are supported, empty for all
    text_types: ClassVar[tuple[str, ...]] = ("llama", "mistral", "qwen2")  # and of the language models
    written_type = 0  # the token_type_ids of what the model itself writes
    first_prunable = 1  # the layer from which on nothing is added to visual tokens

    def __post_init__(self) -> None:
        """Where a family reads what it needs of processor and config; ModelError for what it cannot use."""

    @classmethod
    def check(cls, name: str, config: Any) -> None:
        """ModelError for a checkpoint whose parts are not supported; called before its weights are read."""
        vision, text = config.vision_config.model_type, config.text_config.model_type
        if (cls.vision_types and vision not in cls.vision_types) or text not in cls.text_types:
            known = f"{', '.join(cls.vision_types)} with {', '.join(cls.text_types)}".removeprefix(" with ")
            raise ModelError(
                f"{name} is a {config.model_type} model of the vision tower {vision} and the language model {text}; "
                f"supported are {known}."
            )

    @property
    def tokenizer(self) -> Any:
        """The checkpoint's own tokenizer."""
        return self.processor.tokenizer

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.model.device

    @property
    def dtype(self) -> torch.dtype:
        """The precision the model runs in."""
        return self.model.dtype

    @property
    def image_token_id(self) -> int:
        """The id of the image placeholder in `input_ids`."""
        return self.model.config.image_token_id

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

    @cached_property
    def _special(self) -> list[str]:
        """What no question may hold."""
        added = [str(token) for token in self.tokenizer.added_tokens_decoder.values() if token.special]
        return [*self.tokenizer.all_special_tokens, *added, self.processor.image_token]

    def prompt(self, question: str) -> str:
        """The chat prompt of one image and one question; special tokens typed into the question become spaces."""
        question = _without(question, self._special)
        if not self.processor.chat_template:
            return self.fallback_prompt.format(image=self.processor.image_token, question=question)
        content = [{"type": "image"}, {"type": "text", "text": question}]
        return self.processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True)

    def prepare(self, image: Image.Image, question: str) -> PreparedInputs:
        """Input tensors (1, L) and what the tower reads, as the checkpoint's own processor makes them."""
        told = self.processor(images=[reduced(image)], text=[self.prompt(question)], return_tensors="pt")
        ids = told["input_ids"].to(self.device)
        visual = ids == self.image_token_id
        found, wanted = int(visual.sum()), self.layout(image.size).count
        if found != wanted:
            raise ModelError(
                f"The processor of {self.name} makes {found} placeholders for {wanted} visual tokens of one image; "
                "correct its processor_config.json and its chat template."
            )
        vision = {key: self._on_device(told[key]) for key in self.vision_keys}
        tokens = {key: told[key].to(self.device) for key in self.token_keys}
        positions = self._positions(ids, vision)
        return PreparedInputs(ids, torch.ones_like(ids), visual, vision, image.size, tokens, positions)

    def _positions(self, ids: torch.Tensor, vision: dict[str, torch.Tensor]) -> torch.Tensor | None:
        """(4, 1, L) positions of a prompt; None where they are a plain count."""
        return None

    def layout(self, image_size: tuple[int, int]) -> TokenLayout:
        """Where every visual token of a (width, height) image lies."""
        return self._layout(reduced_size(image_size)).scaled(image_size)

    def input_size(self, image_size: tuple[int, int]) -> tuple[int, int]:
        """(width, height) of a (width, height) image as the processor gets it, or as the family resizes it."""
        return reduced_size(image_size)

    def _layout(self, size: tuple[int, int]) -> TokenLayout:
        """The same of an image that the processor gets in this size."""
        raise NotImplementedError

    def encode(self, inputs: PreparedInputs) -> Any:
        """Vision tower and projector; pooler_output is a list of one (N, D) tensor, or (1, N, D)."""
        with torch.no_grad():
            out = self.model.model.get_image_features(**inputs.vision, return_dict=True)
        found = out.pooler_output  # of a tensor the rows may be tiles
        out.pooler_output = found.reshape(1, -1, found.shape[-1]) if torch.is_tensor(found) else list(found)
        return out

    def vision_flops(self, inputs: PreparedInputs) -> int:
        """Floating-point operations of `encode`, counted once for tensors of these shapes."""
        shapes = tuple(tuple(each.shape) for each in inputs.vision.values())
        if shapes not in self._vision_flops:
            self._vision_flops[shapes] = counted(lambda: self.encode(inputs))
        return self._vision_flops[shapes]

    def _on_device(self, tensor: torch.Tensor) -> torch.Tensor:
        return tensor.to(self.device, self.dtype if tensor.is_floating_point() else None)

    def placed(self, prompt: str, tokens: int) -> torch.Tensor:
        """(1, L) ids of a prompt, its one image token repeated for each of `tokens` visual tokens."""
        ids = self.tokenizer(prompt)["input_ids"]
        if ids.count(self.image_token_id) != 1:
            raise ModelError(
                f"The prompt of {self.name} holds {ids.count(self.image_token_id)} images instead of one; correct its "
                "chat template, its tokenizer's image token or image_token_id in config.json."
            )
        at = ids.index(self.image_token_id)
        return torch.tensor([ids[:at] + [self.image_token_id] * tokens + ids[at + 1 :]])

    def unknown_words(self, question: str) -> list[str]:
        """Words that the tokenizer maps to its unknown token, in order, each once."""
        unknown = self.tokenizer.unk_token_id
        if unknown is None:
            return []
        words = dict.fromkeys(re.findall(r"\w+", question))
        return [word for word in words if unknown in self.tokenizer.encode(word, add_special_tokens=False)]

    def decode(self, ids: list[int]) -> str:
        """Text of generated ids (T,), special tokens left out, stripped."""
        return self.tokenizer.decode(ids, skip_special_tokens=True).strip()

    def token_text(self, token_id: int) -> str:
        """One generated token as text; special tokens show their own name."""
        return self.tokenizer.decode([token_id]) or str(self.tokenizer.convert_ids_to_tokens(token_id))

    def save(self, folder: Path) -> None:
        """Model and processor as a checkpoint folder, the weights in safetensors."""
        self.model.save_pretrained(folder)
        self.processor.save_pretrained(folder)


def _without(text: str, pieces: list[str]) -> str:
    """`text` with every piece replaced by a space: a question must not smuggle in an image placeholder."""
    for piece in pieces:
        text = text.replace(piece, " ")
    return text
