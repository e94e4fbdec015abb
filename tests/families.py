"""One tiny random checkpoint of every supported family, on disk and with the family's real processor."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import checkpoints
import torch
from transformers import (
    CLIPVisionConfig,
    LlamaConfig,
    LlavaNextConfig,
    LlavaNextForConditionalGeneration,
    LlavaNextProcessor,
    LlavaOnevisionConfig,
    LlavaOnevisionForConditionalGeneration,
    LlavaOnevisionProcessor,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2_5_VLProcessor,
    Qwen2Config,
    Qwen2VLConfig,
    Qwen2VLForConditionalGeneration,
    Qwen2VLProcessor,
    Qwen3VLConfig,
    Qwen3VLForConditionalGeneration,
    Qwen3VLProcessor,
    SiglipVisionConfig,
)
from transformers.models.llava_next.image_processing_pil_llava_next import LlavaNextImageProcessorPil
from transformers.models.llava_onevision.image_processing_pil_llava_onevision import LlavaOnevisionImageProcessorPil

from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from crop_core.models.processors import _for_pictures

SIDE, PATCH = 56, 14
PINPOINTS = [[56, 112], [112, 56], [112, 112], [168, 56], [56, 168]]
SMALL = {"hidden_size": 32, "intermediate_size": 64}
TEXT = {
    **SMALL,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": checkpoints.VOCABULARY,
    "max_position_embeddings": 2048,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 0,
}
TOWER = {**SMALL, "num_hidden_layers": 3, "num_attention_heads": 2, "image_size": SIDE, "patch_size": PATCH}


def lively(model: Any, seed: int = 0) -> Any:
    """Random weights large enough that logits depend on the image and the question."""
    torch.manual_seed(seed)
    for weight in model.parameters():
        if weight.dim() >= 2:
            torch.nn.init.normal_(weight, std=0.25)
    return model.eval()


def llava_next(folder: Path) -> None:
    """CLIP tower, tiles of 56 px with 4 x 4 tokens."""
    config = LlavaNextConfig(
        vision_config=CLIPVisionConfig(**TOWER),
        text_config=LlamaConfig(**TEXT),
        image_token_index=4,
        image_grid_pinpoints=PINPOINTS,
    )
    lively(LlavaNextForConditionalGeneration(config)).save_pretrained(folder)
    square = {"height": SIDE, "width": SIDE}
    images = LlavaNextImageProcessorPil(
        size={"shortest_edge": SIDE}, crop_size=square, image_grid_pinpoints=PINPOINTS
    )
    LlavaNextProcessor(
        images,
        checkpoints.tokenizer(),
        patch_size=PATCH,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=checkpoints.TEMPLATE,
    ).save_pretrained(folder)


def llava_onevision(folder: Path) -> None:
    """SigLIP tower, and at most two tiles' worth of canvas."""
    config = LlavaOnevisionConfig(
        vision_config=SiglipVisionConfig(**TOWER, vision_use_head=False),
        text_config=Qwen2Config(**TEXT),
        image_token_index=4,
        video_token_index=90,
        image_grid_pinpoints=PINPOINTS,
        vision_aspect_ratio="anyres_max_2",
    )
    lively(LlavaOnevisionForConditionalGeneration(config)).save_pretrained(folder)
    images = LlavaOnevisionImageProcessorPil(size={"height": SIDE, "width": SIDE}, image_grid_pinpoints=PINPOINTS)
    _for_pictures(LlavaOnevisionProcessor)(
        images,
        checkpoints.tokenizer(),
        num_image_tokens=(SIDE // PATCH) ** 2,
        vision_feature_select_strategy="full",
        chat_template=checkpoints.TEMPLATE,
        vision_aspect_ratio="anyres_max_2",
    ).save_pretrained(folder)


def qwen_vl(
    config_class: Any, model_class: Any, processor_class: Any, vision: dict[str, Any], patch: int = PATCH, **rope: Any
) -> Any:
    """A builder: 2 x 2 patches a token, positions in three sections of the head."""

    def build(folder: Path) -> None:
        places = {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [1, 1, 2], **rope}
        config = config_class(
            text_config={**TEXT, "head_dim": 8, "rope_parameters": places},
            vision_config={"depth": 2, "hidden_size": 32, "num_heads": 2, "patch_size": patch, **vision},
            image_token_id=4,
            video_token_id=90,
            vision_start_token_id=91,
            vision_end_token_id=92,
        )
        lively(model_class(config)).save_pretrained(folder)
        token = 4 * patch**2
        images = Qwen2VLImageProcessorPil(
            size={"shortest_edge": 4 * token, "longest_edge": 40 * token}, patch_size=patch
        )
        _for_pictures(processor_class)(
            images, checkpoints.tokenizer(), chat_template=checkpoints.TEMPLATE
        ).save_pretrained(folder)

    return build


FAMILIES: dict[str, Callable[[Path], Any]] = {
    "llava": lambda folder: checkpoints.save(folder, side=SIDE),
    "llava_next": llava_next,
    "llava_onevision": llava_onevision,
    "qwen2_vl": qwen_vl(
        Qwen2VLConfig, Qwen2VLForConditionalGeneration, Qwen2VLProcessor, {"embed_dim": 32, "mlp_ratio": 2}
    ),
    "qwen2_5_vl": qwen_vl(
        Qwen2_5_VLConfig,
        Qwen2_5_VLForConditionalGeneration,
        Qwen2_5_VLProcessor,
        {"out_hidden_size": 32, "intermediate_size": 64, "window_size": 56, "fullatt_block_indexes": [1]},
    ),
    "qwen3_vl": qwen_vl(
        Qwen3VLConfig,
        Qwen3VLForConditionalGeneration,
        Qwen3VLProcessor,
        {
            "out_hidden_size": 32,
            "intermediate_size": 64,
            "num_position_embeddings": 64,
            "deepstack_visual_indexes": [0, 1],
        },
        patch=16,
        mrope_interleaved=True,
        mrope_section=[2, 1, 1],
    ),
}
