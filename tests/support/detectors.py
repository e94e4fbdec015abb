"""Tiny random open-vocabulary detectors on disk: transformers' own classes with their image processors of PIL."""

from __future__ import annotations

import string
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from transformers import (
    BertConfig,
    BertTokenizer,
    CLIPSegConfig,
    CLIPSegForImageSegmentation,
    CLIPSegProcessor,
    CLIPTokenizer,
    GroundingDinoConfig,
    GroundingDinoForObjectDetection,
    GroundingDinoProcessor,
    MMGroundingDinoConfig,
    MMGroundingDinoForObjectDetection,
    Owlv2Config,
    Owlv2ForObjectDetection,
    Owlv2Processor,
    OwlViTConfig,
    OwlViTForObjectDetection,
    OwlViTProcessor,
    SwinConfig,
)
from transformers.models.grounding_dino.image_processing_pil_grounding_dino import GroundingDinoImageProcessorPil
from transformers.models.owlv2.image_processing_pil_owlv2 import Owlv2ImageProcessorPil
from transformers.models.owlvit.image_processing_pil_owlvit import OwlViTImageProcessorPil
from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

from tests.support.cache import copy_of

SMALL = {"hidden_size": 16, "intermediate_size": 16, "num_attention_heads": 2}
SQUARE = {"height": 64, "width": 64}
VISION = {**SMALL, "num_hidden_layers": 2, "image_size": 64, "patch_size": 16}


def _saved(folder: Path, model: Any, processor: Any) -> None:
    model.eval().save_pretrained(folder)
    processor.save_pretrained(folder)


def _dino(config_class: Any, model_class: Any) -> Callable[[Path], None]:
    def build(folder: Path) -> None:
        special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "."]
        words = [*special, "cat", "dog", "red", "sign", "man", "in", "shirt", "table"]
        parts = {f"{side}_{name}": 32 for side in ("encoder", "decoder") for name in ("ffn_dim",)}
        heads = {f"{side}_attention_heads": 2 for side in ("encoder", "decoder")}
        swin = {"image_size": 64, "embed_dim": 8, "depths": [1] * 4, "num_heads": [1, 1, 2, 2], "window_size": 4}
        text = BertConfig(vocab_size=len(words), num_hidden_layers=1, **SMALL)
        shape = {"d_model": 64, "encoder_layers": 1, "decoder_layers": 2, "num_queries": 30, **parts, **heads}
        torch.manual_seed(0)
        backbone = SwinConfig(**swin, out_indices=[2, 3, 4])
        model = model_class(config_class(backbone_config=backbone, text_config=text, **shape))
        images = GroundingDinoImageProcessorPil(size={"shortest_edge": 96, "longest_edge": 160})
        tokenizer = BertTokenizer(vocab={word: number for number, word in enumerate(words)})
        _saved(folder, model, GroundingDinoProcessor(images, tokenizer))

    return build


def _clip_text() -> tuple[Any, dict[str, Any]]:
    """A tokenizer of letters, and the text model's config for it."""
    letters = [*string.ascii_lowercase, *(f"{letter}</w>" for letter in string.ascii_lowercase)]
    vocabulary = {each: number for number, each in enumerate([*letters, "<|startoftext|>", "<|endoftext|>"])}
    tokenizer = CLIPTokenizer(vocab=vocabulary, merges=[], model_max_length=16)
    begin, end = len(letters), len(letters) + 1
    ids = {"vocab_size": len(vocabulary), "bos_token_id": begin, "eos_token_id": end, "pad_token_id": end}
    return tokenizer, {**SMALL, "num_hidden_layers": 2, "max_position_embeddings": 16, **ids}


def _owl(config_class: Any, model_class: Any, processor_class: Any, images_class: Any) -> Callable[[Path], None]:
    def build(folder: Path) -> None:
        tokenizer, text = _clip_text()
        torch.manual_seed(0)
        model = model_class(config_class(text_config=text, vision_config=VISION, projection_dim=16))
        _saved(folder, model, processor_class(images_class(size=SQUARE), tokenizer))

    return build


def _clipseg(folder: Path) -> None:
    tokenizer, text = _clip_text()
    decoder = {"reduce_dim": 8, "decoder_num_attention_heads": 2, "decoder_intermediate_size": 16}
    torch.manual_seed(0)
    config = CLIPSegConfig(text_config=text, vision_config=VISION, projection_dim=16, extract_layers=[0, 1], **decoder)
    _saved(folder, CLIPSegForImageSegmentation(config), CLIPSegProcessor(ViTImageProcessorPil(size=SQUARE), tokenizer))


DETECTORS: dict[str, Callable[[Path], None]] = {
    "mm-grounding-dino": _dino(MMGroundingDinoConfig, MMGroundingDinoForObjectDetection),
    "grounding-dino": _dino(GroundingDinoConfig, GroundingDinoForObjectDetection),
    "owlv2": _owl(Owlv2Config, Owlv2ForObjectDetection, Owlv2Processor, Owlv2ImageProcessorPil),
    "owlvit": _owl(OwlViTConfig, OwlViTForObjectDetection, OwlViTProcessor, OwlViTImageProcessorPil),
    "clipseg": _clipseg,
}


def build_detector(kind: str, folder: Path) -> None:
    """The detector of a `config.model_type`, in `folder`."""
    copy_of(folder, ("detector", kind), DETECTORS[kind])
