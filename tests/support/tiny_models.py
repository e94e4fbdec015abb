"""Tiny LLaVA models with random weights and random inputs, built in memory.

Weights are scaled up from the usual initialisation, which gives nearly the same logits for every input.
"""

from __future__ import annotations

import torch
from transformers import (
    CLIPVisionConfig,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
)

SENTENCES = """USER: ASSISTANT: what is left right of above below the a in top bottom corner color shape how many there
    any where should i look to answer : ? sign say dog cat house tree car red blue green square circle yes no
    0 1 2 3 4 5 6 7 8 9 , [ ]"""
WORDS = SENTENCES.split()
SPECIAL = ("<pad>", "<s>", "</s>", "<unk>", "<image>")
PAD, BOS, EOS, UNK, IMAGE = range(len(SPECIAL))
VOCABULARY = len(SPECIAL) + len(WORDS)


def tiny_config(layers: int = 4, image_size: int = 56, patch: int = 14, text: LlamaConfig | None = None) -> LlavaConfig:
    """LLaVA with (image_size / patch)^2 visual tokens and `layers` decoder layers of width 32, two KV heads for
    four.
    """
    text = text or LlamaConfig(
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=layers,
        num_attention_heads=4,
        num_key_value_heads=2,
        vocab_size=VOCABULARY,
        max_position_embeddings=4096,
        bos_token_id=BOS,
        eos_token_id=EOS,
        pad_token_id=PAD,
    )
    vision = CLIPVisionConfig(
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=3,
        num_attention_heads=2,
        image_size=image_size,
        patch_size=patch,
    )
    return LlavaConfig(
        vision_config=vision,
        text_config=text,
        image_token_index=IMAGE,
        image_token_id=IMAGE,
        vision_feature_layer=-2,
        vision_feature_select_strategy="default",
        pad_token_id=PAD,
    )


def tiny_llava(
    attn: str = "sdpa", layers: int = 4, seed: int = 0, config: LlavaConfig | None = None
) -> LlavaForConditionalGeneration:
    """A float32 model in eval mode that never stops on its own, so that every decode step is there to compare."""
    torch.manual_seed(seed)
    model = LlavaForConditionalGeneration._from_config(config or tiny_config(layers), attn_implementation=attn).float()
    torch.manual_seed(seed + 1)
    for weight in model.parameters():
        if weight.dim() >= 2:
            torch.nn.init.normal_(weight, std=0.25)
    model.generation_config.eos_token_id = None
    model.generation_config.pad_token_id = PAD
    return model.eval()


def tiny_inputs(
    model: LlavaForConditionalGeneration, before: tuple[int, ...] = (3,), after: tuple[int, ...] = (5,), seed: int = 0
) -> dict[str, torch.Tensor]:
    """Random prompts, one per entry of before and after (text tokens around the image), left-padded.

    input_ids, attention_mask: (B, L); visual: (B, L) bool; pixel_values: (B, 3, H, W).
    """
    vision = model.config.vision_config
    tokens = (vision.image_size // vision.patch_size) ** 2
    generator = torch.Generator().manual_seed(seed)

    def text(count: int) -> list[int]:
        return torch.randint(len(SPECIAL), VOCABULARY, (count,), generator=generator).tolist()

    rows = [text(head) + [IMAGE] * tokens + text(tail) for head, tail in zip(before, after, strict=True)]
    max_new_tokens = max(map(len, rows))
    ids = torch.tensor([[PAD] * (max_new_tokens - len(row)) + row for row in rows])
    mask = torch.tensor([[0] * (max_new_tokens - len(row)) + [1] * len(row) for row in rows])
    pixels = torch.randn(len(rows), 3, vision.image_size, vision.image_size, generator=generator)
    return {"input_ids": ids, "attention_mask": mask, "visual": ids == IMAGE, "pixel_values": pixels}
