"""Tiny random LLaVA checkpoints on disk, as `load` reads them: all kinds of image processing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
from transformers import (
    CLIPVisionConfig,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    PreTrainedTokenizerFast,
)
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.llava.image_processing_pil_llava import LlavaImageProcessorPil

from tests.support.cache import copy_of

SPECIAL = ["<pad>", "<s>", "</s>", "<unk>", "<image>"]
WORDS = [
    *"0123456789:?", "user", "assistant", "what", "is", "left", "of", "the", "dog", "where", "red", "cat"
]  # fmt: skip
TEMPLATE = (
    "{% for message in messages %}USER: {% for part in message['content'] %}{% if part['type'] == 'image' %}<image>\n"
    "{% else %}{{ part['text'] }}{% endif %}{% endfor %} {% endfor %}"
    "{% if add_generation_prompt %}ASSISTANT:{% endif %}"
)
VOCABULARY = 96


def tokenizer(**names: str) -> PreTrainedTokenizerFast:
    """Whole words in lower case; everything else is unknown. Spare ids have words, so that all can be decoded.

    names: more tokens that have a name, such as boi_token.
    """
    words = [*SPECIAL, *WORDS]
    ids = {word: number for number, word in enumerate([*words, *(f"w{k}" for k in range(len(words), VOCABULARY))])}
    rules = Tokenizer(models.WordLevel(ids, unk_token="<unk>"))
    rules.normalizer = normalizers.Lowercase()
    rules.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(
        tokenizer_object=rules, bos_token="<s>", eos_token="</s>", unk_token="<unk>", pad_token="<pad>",
        extra_special_tokens={"image_token": "<image>", **names}, padding_side="left",
    )  # fmt: skip


def image_processor(mode: str, side: int) -> Any:
    """mode: "crop" (CLIP, as llava-1.5), "pad" (to a square, as the answering model), "squash" (as the locator)."""
    square = {"height": side, "width": side}
    if mode == "crop":
        return CLIPImageProcessorPil(size={"shortest_edge": side}, crop_size=square)
    if mode == "pad":
        return LlavaImageProcessorPil(size=square, crop_size=square, do_center_crop=False, do_pad=True)
    return LlavaImageProcessorPil(size=square, do_center_crop=False)


def processor(mode: str, side: int, strategy: str = "default", template: bool = True) -> LlavaProcessor:
    """The whole processor; without a template as old llava-1.5 checkpoints are."""
    return LlavaProcessor(
        image_processor(mode, side), tokenizer(), patch_size=14, vision_feature_select_strategy=strategy,
        num_additional_image_tokens=1, chat_template=TEMPLATE if template else None,
    )  # fmt: skip


def model(side: int, layers: int = 4, feature_layer: Any = -2, strategy: str = "default", seed: int = 0) -> Any:
    """Random weights large enough that logits depend on the image and the question."""
    small = {"hidden_size": 32, "intermediate_size": 64}
    config = LlavaConfig(
        vision_config=CLIPVisionConfig(
            **small, num_hidden_layers=3, num_attention_heads=2, image_size=side, patch_size=14
        ),
        text_config=LlamaConfig(
            **small, num_hidden_layers=layers, num_attention_heads=4, num_key_value_heads=2, vocab_size=VOCABULARY,
            max_position_embeddings=1024, bos_token_id=1, eos_token_id=2, pad_token_id=0,
        ),
        image_token_index=4, vision_feature_layer=feature_layer, vision_feature_select_strategy=strategy,
    )  # fmt: skip
    torch.manual_seed(seed)
    built = LlavaForConditionalGeneration(config).eval()
    for weight in built.parameters():
        if weight.dim() >= 2:
            torch.nn.init.normal_(weight, std=0.25)
    built.generation_config.max_new_tokens = 32  # they seldom write an end token
    return built


def save(
    folder: Path, mode: str = "crop", side: int = 112, template: bool = True, strategy: str = "default", **shape: Any
) -> str:
    """A checkpoint folder; side 112 gives 8x8 visual tokens."""

    def build(folder: Path) -> None:
        built = model(side, strategy=strategy, **shape)
        if mode == "squash":
            built.config.crop_region = {"format": "digits"}  # a locator
        built.save_pretrained(folder)
        processor(mode, side, strategy, template).save_pretrained(folder)

    copy_of(folder, ("llava", mode, side, template, strategy, sorted(shape.items()), WORDS), build)
    return str(folder)


def sharded(folder: Path) -> Path:
    """The same in three files of weights, with an index."""

    def build(folder: Path) -> None:
        save(folder)
        built = LlavaForConditionalGeneration.from_pretrained(folder)
        (folder / "model.safetensors").unlink()
        built.save_pretrained(folder, max_shard_size="150KB")

    copy_of(folder, ("sharded", WORDS), build)
    assert (folder / "model-00003-of-00003.safetensors").is_file()
    return folder
