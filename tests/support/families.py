"""One tiny random checkpoint of every supported family, on disk and with the family's real processor."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import (
    CLIPVisionConfig,
    Gemma2Config,
    Gemma3Config,
    Gemma3ForConditionalGeneration,
    Gemma3Processor,
    Gemma3TextConfig,
    GemmaConfig,
    Idefics3Config,
    Idefics3ForConditionalGeneration,
    Idefics3Processor,
    InternVLConfig,
    InternVLForConditionalGeneration,
    InternVLProcessor,
    LlamaConfig,
    LlavaNextConfig,
    LlavaNextForConditionalGeneration,
    LlavaNextProcessor,
    LlavaOnevisionConfig,
    LlavaOnevisionForConditionalGeneration,
    LlavaOnevisionProcessor,
    PaliGemmaConfig,
    PaliGemmaForConditionalGeneration,
    PaliGemmaProcessor,
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
    SmolVLMConfig,
    SmolVLMForConditionalGeneration,
)
from transformers.models.gemma3.image_processing_pil_gemma3 import Gemma3ImageProcessorPil
from transformers.models.got_ocr2.image_processing_pil_got_ocr2 import GotOcr2ImageProcessorPil
from transformers.models.idefics3.configuration_idefics3 import Idefics3VisionConfig
from transformers.models.idefics3.image_processing_pil_idefics3 import Idefics3ImageProcessorPil
from transformers.models.llava_next.image_processing_pil_llava_next import LlavaNextImageProcessorPil
from transformers.models.llava_onevision.image_processing_pil_llava_onevision import LlavaOnevisionImageProcessorPil
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil
from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil
from transformers.models.smolvlm.configuration_smolvlm import SmolVLMVisionConfig
from transformers.models.smolvlm.image_processing_pil_smolvlm import SmolVLMImageProcessorPil

from crop_core.evaluate.oracle import difference, hidden_by
from crop_core.evaluate.oracle import plain_inputs as plain
from crop_core.models.families.tiled import tiles_of_any_number
from crop_core.models.loading.loader import for_images
from tests.support import checkpoints
from tests.support.cache import copy_of

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
    model.generation_config.max_new_tokens = 32  # random weights seldom write an end token
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
    images = LlavaNextImageProcessorPil(size={"shortest_edge": SIDE}, crop_size=square, image_grid_pinpoints=PINPOINTS)
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
    for_images(LlavaOnevisionProcessor)(
        images,
        checkpoints.tokenizer(),
        num_image_tokens=(SIDE // PATCH) ** 2,
        vision_feature_select_strategy="full",
        chat_template=checkpoints.TEMPLATE,
        vision_aspect_ratio="anyres_max_2",
    ).save_pretrained(folder)


def qwen_vl(
    config_class: Any,
    model_class: Any,
    processor_class: Any,
    vision: dict[str, Any],
    patch: int = PATCH,
    rope: Any = (),
) -> Any:
    """A builder: 2 x 2 patches a token, positions in three sections of the head."""

    def build(folder: Path) -> None:
        places = {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [1, 1, 2], **dict(rope)}
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
        for_images(processor_class)(
            images, checkpoints.tokenizer(), chat_template=checkpoints.TEMPLATE.replace("<image>", "w91<image>w92")
        ).save_pretrained(folder)

    return build


def idefics(config_class: Any, model_class: Any, vision_class: Any, images_class: Any) -> Any:
    """A builder: tiles of 64 px with 4 x 4 tokens, markers of rows and columns between them."""

    def build(folder: Path) -> None:
        vision = vision_class(**{**TOWER, "image_size": 64, "patch_size": 8})
        text = LlamaConfig(**{**TEXT, "vocab_size": 2 * checkpoints.VOCABULARY})  # the processor adds tokens
        config = config_class(text_config=text, vision_config=vision, image_token_id=4, scale_factor=2)
        lively(model_class(config)).save_pretrained(folder)
        images = images_class(size={"longest_edge": 192}, max_image_size={"longest_edge": 64})
        template = checkpoints.TEMPLATE
        Idefics3Processor(images, checkpoints.tokenizer(), image_seq_len=16, chat_template=template).save_pretrained(
            folder
        )

    return build


def internvl(folder: Path) -> None:
    """Tiles of 56 px with 2 x 2 tokens."""
    vision = {**TOWER, "image_size": [SIDE, SIDE], "patch_size": [PATCH, PATCH]}
    config = InternVLConfig(
        text_config=Qwen2Config(**TEXT),
        vision_config=vision,
        image_token_id=4,
        image_seq_length=4,
        downsample_ratio=0.5,
    )
    lively(InternVLForConditionalGeneration(config)).save_pretrained(folder)
    images = GotOcr2ImageProcessorPil(size={"height": SIDE, "width": SIDE}, crop_to_patches=True, max_patches=6)
    names = {
        "start_image_token": "w80",
        "end_image_token": "w81",
        "context_image_token": "<image>",
        "video_token": "w82",
    }
    for_images(InternVLProcessor)(
        images, checkpoints.tokenizer(**names), image_seq_length=4, chat_template=checkpoints.TEMPLATE
    ).save_pretrained(folder)


def gemma3(folder: Path) -> None:
    """4 x 4 tokens of 2 x 2 patches; every other layer slides."""
    kinds = ["sliding_attention", "full_attention"] * 2
    config = Gemma3Config(
        text_config=Gemma3TextConfig(**TEXT, head_dim=8, sliding_window=512, layer_types=kinds),
        vision_config=SiglipVisionConfig(**{**TOWER, "image_size": 2 * SIDE}, vision_use_head=False),
        image_token_id=4,
        image_token_index=4,
        mm_tokens_per_image=16,
        boi_token_index=80,
        eoi_token_index=81,
    )
    lively(Gemma3ForConditionalGeneration(config)).save_pretrained(folder)
    images = Gemma3ImageProcessorPil(size={"height": 2 * SIDE, "width": 2 * SIDE})
    tokenizer = checkpoints.tokenizer(boi_token="w80", eoi_token="w81")
    template = checkpoints.TEMPLATE.replace("<image>", "w80")
    Gemma3Processor(images, tokenizer, image_seq_length=16, chat_template=template).save_pretrained(folder)


def paligemma(folder: Path, text: Any = None) -> None:
    """4 x 4 tokens, a prompt without a chat template."""
    config = PaliGemmaConfig(
        text_config=text or GemmaConfig(**TEXT, head_dim=8),
        vision_config=SiglipVisionConfig(**TOWER, projection_dim=32, vision_use_head=False),
        image_token_index=4,
        projection_dim=32,
    )
    lively(PaliGemmaForConditionalGeneration(config)).save_pretrained(folder)
    images = SiglipImageProcessorPil(size={"height": SIDE, "width": SIDE})
    images.image_seq_length = (SIDE // PATCH) ** 2
    PaliGemmaProcessor(images, checkpoints.tokenizer()).save_pretrained(folder)


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
        rope={"mrope_interleaved": True, "mrope_section": [2, 1, 1]},
    ),
    "smolvlm": idefics(SmolVLMConfig, SmolVLMForConditionalGeneration, SmolVLMVisionConfig, SmolVLMImageProcessorPil),
    "idefics3": idefics(
        Idefics3Config, Idefics3ForConditionalGeneration, Idefics3VisionConfig, Idefics3ImageProcessorPil
    ),
    "internvl": internvl,
    "gemma3": gemma3,
    "paligemma": paligemma,
}

VARIANTS: dict[str, Callable[[Path], Any]] = {  # other language models of a family
    "paligemma2": lambda folder: paligemma(folder, Gemma2Config(**TEXT, head_dim=8, sliding_window=512)),
}


def build(name: str, folder: Path) -> None:
    """The checkpoint of a family or variant, in `folder`; skips the test where transformers is too old for it."""
    if name in ("smolvlm", "idefics3") and not tiles_of_any_number():
        pytest.skip("needs transformers 5.23")
    copy_of(folder, (name, checkpoints.WORDS), {**FAMILIES, **VARIANTS}[name])


__all__ = ["FAMILIES", "VARIANTS", "assert_exact", "build", "hidden_by", "plain", "sample_image"]
EXACT = 1e-5  # of the largest logit


def sample_image(size):
    rng = np.random.default_rng(size[0])
    return Image.fromarray(rng.integers(0, 255, (*size[::-1], 3), dtype=np.uint8))


def assert_exact(one, other):
    assert difference(one, other) <= EXACT * max(1.0, *(float(step.abs().max()) for step in other.logits))
