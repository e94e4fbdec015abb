"""Table of the supported families. A new family is one adapter file here and one row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from transformers import (
    Gemma3ForConditionalGeneration,
    Gemma3Processor,
    Idefics3ForConditionalGeneration,
    Idefics3Processor,
    InternVLForConditionalGeneration,
    InternVLProcessor,
    LlavaForConditionalGeneration,
    LlavaNextForConditionalGeneration,
    LlavaNextProcessor,
    LlavaOnevisionForConditionalGeneration,
    LlavaOnevisionProcessor,
    LlavaProcessor,
    PaliGemmaForConditionalGeneration,
    PaliGemmaProcessor,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2_5_VLProcessor,
    Qwen2VLForConditionalGeneration,
    Qwen2VLProcessor,
    Qwen3VLForConditionalGeneration,
    Qwen3VLProcessor,
    SmolVLMForConditionalGeneration,
)

from crop_core.models.families.gemma import Gemma3Adapter, PaliGemmaAdapter
from crop_core.models.families.llava import LlavaAdapter
from crop_core.models.families.llava_next import LlavaNextAdapter, LlavaOnevisionAdapter
from crop_core.models.families.qwen_vl import Qwen3VlAdapter, QwenVlAdapter
from crop_core.models.families.tiled import IdeficsAdapter, InternVlAdapter


@dataclass(frozen=True)
class Family:
    """One row: how checkpoints of a config.model_type are loaded, and a hub id to try."""

    title: str
    example: str
    model_class: Any
    processor_class: Any
    adapter: Any


FAMILIES = {
    "llava": Family(
        "LLaVA-1.5", "llava-hf/llava-1.5-7b-hf", LlavaForConditionalGeneration, LlavaProcessor, LlavaAdapter
    ),
    "llava_next": Family(
        "LLaVA-NeXT",
        "llava-hf/llava-v1.6-vicuna-7b-hf",
        LlavaNextForConditionalGeneration,
        LlavaNextProcessor,
        LlavaNextAdapter,
    ),
    "llava_onevision": Family(
        "LLaVA-OneVision",
        "llava-hf/llava-onevision-qwen2-7b-ov-hf",
        LlavaOnevisionForConditionalGeneration,
        LlavaOnevisionProcessor,
        LlavaOnevisionAdapter,
    ),
    "qwen2_vl": Family(
        "Qwen2-VL", "Qwen/Qwen2-VL-7B-Instruct", Qwen2VLForConditionalGeneration, Qwen2VLProcessor, QwenVlAdapter
    ),
    "qwen2_5_vl": Family(
        "Qwen2.5-VL",
        "Qwen/Qwen2.5-VL-7B-Instruct",
        Qwen2_5_VLForConditionalGeneration,
        Qwen2_5_VLProcessor,
        QwenVlAdapter,
    ),
    "qwen3_vl": Family(
        "Qwen3-VL", "Qwen/Qwen3-VL-8B-Instruct", Qwen3VLForConditionalGeneration, Qwen3VLProcessor, Qwen3VlAdapter
    ),
    "smolvlm": Family(  # its own processor differs in its videos alone, and would need num2words
        "SmolVLM",
        "HuggingFaceTB/SmolVLM2-2.2B-Instruct",
        SmolVLMForConditionalGeneration,
        Idefics3Processor,
        IdeficsAdapter,
    ),
    "idefics3": Family(
        "Idefics3",
        "HuggingFaceM4/Idefics3-8B-Llama3",
        Idefics3ForConditionalGeneration,
        Idefics3Processor,
        IdeficsAdapter,
    ),
    "internvl": Family(
        "InternVL", "OpenGVLab/InternVL3-8B-hf", InternVLForConditionalGeneration, InternVLProcessor, InternVlAdapter
    ),
    "gemma3": Family("Gemma 3", "google/gemma-3-4b-it", Gemma3ForConditionalGeneration, Gemma3Processor, Gemma3Adapter),
    "paligemma": Family(
        "PaliGemma",
        "google/paligemma2-3b-mix-448",
        PaliGemmaForConditionalGeneration,
        PaliGemmaProcessor,
        PaliGemmaAdapter,
    ),
}
