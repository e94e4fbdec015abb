"""LLaVA-1.5 and everything that loads as LlavaForConditionalGeneration: a CLIP tower, a projector, a Llama-like LLM."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image

from crop_core.images import reduced
from crop_core.models.geometry import Framing, grid_layout
from crop_core.models.protocol import ModelError, PreparedInputs, TokenLayout
from crop_core.prune import DecoderStack

VISION_TYPES = ("clip_vision_model",)
TEXT_TYPES = ("llama", "mistral", "qwen2")
FALLBACK_PROMPT = "USER: {image}\n{question} ASSISTANT:"  # LLaVA-1.5, for checkpoints without a chat template


@dataclass(eq=False)
class LlavaAdapter:
    """One loaded LLaVA checkpoint. Arrays are batch 1; N visual tokens, width D, prompt length L.

    Source: Liu et al., Improved Baselines with Visual Instruction Tuning, arXiv 2310.03744.
    """

    name: str
    model: Any
    processor: Any

    @staticmethod
    def check(name: str, config: Any) -> None:
        """ModelError for a checkpoint whose parts are not supported; called before its weights are read."""
        vision, text = config.vision_config.model_type, config.text_config.model_type
        if vision not in VISION_TYPES or text not in TEXT_TYPES:
            raise ModelError(
                f"{name} is a LLaVA model of the vision tower {vision} and the language model {text}; "
                f"supported are {', '.join(VISION_TYPES)} with {', '.join(TEXT_TYPES)}."
            )

    def __post_init__(self) -> None:
        _fill_processor(self.processor, self.model.config)
        self.framing = Framing.of(self.processor.image_processor)

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
        return DecoderStack.of(self.model.model.language_model)

    def prompt(self, question: str) -> str:
        """The chat prompt of one image and one question; special tokens typed into the question become spaces."""
        question = _without(question, [*self.tokenizer.all_special_tokens, self.processor.image_token])
        if not self.processor.chat_template:
            return FALLBACK_PROMPT.format(image=self.processor.image_token, question=question)
        content = [{"type": "image"}, {"type": "text", "text": question}]
        return self.processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True)

    def prepare(self, image: Image.Image, question: str) -> PreparedInputs:
        """Input tensors of shape (1, L) and pixel_values (1, 3, H, W) from an RGB image, on the model's device."""
        pixels = _pixels(self.processor.image_processor, reduced(image))
        ids = self._ids(self.prompt(question), pixels.shape, self.layout(image.size).count).to(self.device)
        return PreparedInputs(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            visual=ids == self.image_token_id,
            vision={"pixel_values": pixels[None].to(self.device, self.dtype)},
            image_size=image.size,
        )

    def _ids(self, prompt: str, pixels: Sequence[int], tokens: int) -> torch.Tensor:
        """(1, L) ids of a prompt, its image token repeated for each visual token of pixels (3, H, W)."""
        patch = self.processor.patch_size
        placeholders = (pixels[1] // patch) * (pixels[2] // patch) + self.processor.num_additional_image_tokens
        placeholders -= self.processor.vision_feature_select_strategy == "default"  # the processor's own arithmetic
        if placeholders != tokens:
            raise ModelError(
                f"The processor of {self.name} makes {placeholders} placeholders for {tokens} visual tokens; "
                "correct patch_size and num_additional_image_tokens in processor_config.json."
            )
        ids = self.tokenizer(prompt)["input_ids"]
        if ids.count(self.image_token_id) != 1:
            raise ModelError(
                f"The prompt of {self.name} holds {ids.count(self.image_token_id)} images instead of one; correct its "
                "chat template, its tokenizer's image token or image_token_id in config.json."
            )
        at = ids.index(self.image_token_id)
        return torch.tensor([ids[:at] + [self.image_token_id] * tokens + ids[at + 1 :]])

    def layout(self, image_size: tuple[int, int]) -> TokenLayout:
        """Place of the N tokens of a (width, height) image: a row-major grid, after a class token where it is kept."""
        full = self.processor.vision_feature_select_strategy == "full"
        leading = self.processor.num_additional_image_tokens if full else 0
        return grid_layout(image_size, self.framing, self.processor.patch_size, leading)

    def encode(self, inputs: PreparedInputs) -> Any:
        """Vision tower and projector; pooler_output is a list of one (N, D) tensor."""
        with torch.no_grad():
            return self.model.model.get_image_features(**inputs.vision, return_dict=True)

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


def _pixels(processor: Any, image: Image.Image) -> torch.Tensor:
    """(3, H, W) float32 exactly as the image processor makes them; its slow last steps are done by torch."""
    told = processor(image, do_rescale=False, do_normalize=False)["pixel_values"][0]  # (3, H, W) uint8
    pixels = torch.from_numpy(np.ascontiguousarray(told)).double()  # often a view of (H, W, 3)
    if processor.do_rescale:
        pixels *= processor.rescale_factor
    pixels = pixels.float()
    if processor.do_normalize:
        mean, std = (torch.tensor(values).reshape(-1, 1, 1) for values in (processor.image_mean, processor.image_std))
        pixels.sub_(mean).div_(std)
    return pixels


def _fill_processor(processor: Any, config: Any) -> None:
    """Older checkpoints keep these three in the model's config alone; config.vision_feature_select_strategy rules."""
    processor.patch_size = processor.patch_size or config.vision_config.patch_size
    if processor.vision_feature_select_strategy is None:
        processor.vision_feature_select_strategy = config.vision_feature_select_strategy
        processor.num_additional_image_tokens = 1  # CLIP's class token
    if processor.vision_feature_select_strategy != config.vision_feature_select_strategy:
        raise ModelError(
            f"vision_feature_select_strategy is {processor.vision_feature_select_strategy!r} in the processor and "
            f"{config.vision_feature_select_strategy!r} in the model; correct processor_config.json."
        )


def _without(text: str, pieces: list[str]) -> str:
    """`text` with every piece replaced by a space: a question must not smuggle in an image placeholder."""
    for piece in pieces:
        text = text.replace(piece, " ")
    return text
