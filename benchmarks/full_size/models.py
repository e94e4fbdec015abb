"""Models of published size with random weights, created on the device: no download, no copy in another precision.

Only time and memory are measured; answers are meaningless, and none ends early. Each has a tiny
variant of the same classes, for a CPU. Parameter counts and visual tokens are held against the published ones in
tests/benchmarks/test_full_size.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import torch
from PIL import Image
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
from transformers import PreTrainedTokenizerFast
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.llava_next.image_processing_pil_llava_next import LlavaNextImageProcessorPil
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from crop_core.localize.decoding.answer_formats import BRACKETS
from crop_core.models import Adapter, ModelError
from crop_core.models.families.registry import FAMILIES
from crop_core.models.loading.loader import for_images

QUESTION = "What does the sign to the left of the dog say?"
IMAGE = "<image>"
SPECIAL = ("<pad>", "<s>", "</s>", "<unk>", IMAGE, "<start>", "<end>", "<video>")
SYSTEM = (
    "A chat between a curious human and an artificial intelligence assistant. The assistant gives helpful, detailed, "
    "and polite answers to the human's questions."
)
_TURNS = (
    "{% for message in messages %}USER: {% for part in message['content'] %}{% if part['type'] == 'image' %}IMAGE\n"
    "{% else %}{{ part['text'] }}{% endif %}{% endfor %} {% endfor %}"
    "{% if add_generation_prompt %}ASSISTANT:{% endif %}"
)
_CHAT = f"<s>{SYSTEM} {_TURNS}"
# by whether the family marks where an image begins and ends
TEMPLATES = {False: _CHAT.replace("IMAGE", IMAGE), True: _CHAT.replace("IMAGE", f"<start>{IMAGE}<end>")}


@cache
def tokenizer() -> PreTrainedTokenizerFast:
    """A word-level tokenizer in lower case, so that prompts are about as long as real ones; other words are unknown."""
    split = pre_tokenizers.Whitespace()
    text = " ".join([SYSTEM, QUESTION, BRACKETS.prompt, "user : assistant 0 1 2 3 4 5 6 7 8 9"]).lower()
    words = dict.fromkeys([*SPECIAL, *(word for word, _ in split.pre_tokenize_str(text))])
    rules = Tokenizer(models.WordLevel({word: number for number, word in enumerate(words)}, unk_token="<unk>"))
    rules.normalizer = normalizers.Lowercase()
    rules.pre_tokenizer = split
    names = {"image_token": IMAGE, "start": "<start>", "end": "<end>", "video": "<video>"}
    return PreTrainedTokenizerFast(
        tokenizer_object=rules, bos_token="<s>", eos_token="</s>", unk_token="<unk>", pad_token="<pad>",
        extra_special_tokens=names, padding_side="left",
    )  # fmt: skip


PATCH = 14
CANVASES = ((1, 2), (2, 1), (2, 2), (3, 1), (1, 3))  # (rows, columns) of tiles that LLaVA-NeXT knows
Settings = dict[str, Any]


@dataclass(frozen=True)
class FullSize:
    """One checkpoint. family: a key of FAMILIES. text, vision: settings of its configs. side: pixels of the square
    image of its question. max_pixels: limit of the processor, for families that resize.
    """

    family: str
    text: Settings
    vision: Settings
    side: int
    max_pixels: int = 0


_VICUNA = {"vocab_size": 32064, "max_position_embeddings": 4096, "rms_norm_eps": 1e-5}
_WIDE = {"hidden_size": 5120, "intermediate_size": 13824, "num_attention_heads": 40, "num_key_value_heads": 40}
_7B = {"num_hidden_layers": 32, **_VICUNA}  # the other sizes are LlamaConfig's own
_13B = {"num_hidden_layers": 40, **_WIDE, **_VICUNA}
_CLIP = {
    "hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 24, "num_attention_heads": 16,
    "image_size": 336, "patch_size": PATCH, "projection_dim": 768,
}  # fmt: skip
_QWEN_7B = {
    "hidden_size": 3584, "intermediate_size": 18944, "num_hidden_layers": 28, "num_attention_heads": 28,
    "num_key_value_heads": 4, "vocab_size": 152064, "max_position_embeddings": 128000, "rms_norm_eps": 1e-6,
}  # fmt: skip
_QWEN_2B = {
    **_QWEN_7B, "hidden_size": 1536, "intermediate_size": 8960, "num_attention_heads": 12, "num_key_value_heads": 2,
    "vocab_size": 151936, "max_position_embeddings": 32768, "tie_word_embeddings": True,
}  # fmt: skip
_PLACES = {"rope_parameters": {"rope_type": "default", "rope_theta": 1e6, "mrope_section": [16, 24, 24]}}
_QWEN25_TOWER = {
    "depth": 32, "hidden_size": 1280, "intermediate_size": 3420, "num_heads": 16, "out_hidden_size": 3584,
    "window_size": 112, "fullatt_block_indexes": [7, 15, 23, 31],
}  # fmt: skip
_QWEN2_TOWER = {"depth": 32, "embed_dim": 1280, "hidden_size": 1536, "num_heads": 16, "mlp_ratio": 4}

LOCATOR = "qwen2-vl-2b"
MODELS = {
    "llava-1.5-7b": FullSize("llava", _7B, _CLIP, 336),
    "llava-1.5-13b": FullSize("llava", _13B, _CLIP, 336),
    "llava-next-7b": FullSize("llava_next", _7B, _CLIP, 672),
    "llava-next-13b": FullSize("llava_next", _13B, _CLIP, 672),
    "qwen2.5-vl-7b": FullSize("qwen2_5_vl", {**_QWEN_7B, **_PLACES}, _QWEN25_TOWER, 1344, 12845056),
    # the paper's localizer; it reads every image with at most 576 tokens
    LOCATOR: FullSize("qwen2_vl", {**_QWEN_2B, **_PLACES}, _QWEN2_TOWER, 672, 672 * 672),
}

_SMALL = {"hidden_size": 32, "intermediate_size": 64, "num_attention_heads": 4}
_TINY_TEXT = {**_SMALL, "num_hidden_layers": 6, "num_key_value_heads": 2, "max_position_embeddings": 2048}
_TINY_CLIP = {**_SMALL, "num_hidden_layers": 3, "image_size": 112, "patch_size": PATCH}
_TINY_PLACES = {"rope_parameters": {**_PLACES["rope_parameters"], "mrope_section": [1, 1, 2]}}
_TINY_TOWERS: dict[str, Settings] = {
    "qwen2_vl": {"depth": 2, "embed_dim": 32, "hidden_size": 32, "num_heads": 2, "mlp_ratio": 2},
    "qwen2_5_vl": {
        "depth": 2, "hidden_size": 32, "intermediate_size": 64, "num_heads": 2, "out_hidden_size": 32,
        "window_size": 56, "fullatt_block_indexes": [1],
    },
}  # fmt: skip


def shape_of(name: str, tiny: bool = False) -> FullSize:
    """The row of a model, or its tiny variant; ModelError for a name that is not in MODELS."""
    if name not in MODELS:
        raise ModelError(f"There is no full-size model {name!r}; choose one of {', '.join(MODELS)}.")
    row = MODELS[name]
    if not tiny:
        return row
    text = {**_TINY_TEXT, "vocab_size": len(tokenizer())}
    if row.family in _TINY_TOWERS:
        return FullSize(row.family, {**text, **_TINY_PLACES}, _TINY_TOWERS[row.family], 224, 224 * 224)
    return FullSize(row.family, text, _TINY_CLIP, row.side // 3)


def build(
    name: str, device: torch.device, dtype: torch.dtype, attn: str | None = None, tiny: bool = False, seed: int = 0
) -> Adapter:
    """The model `name` with random weights on the device, behind the ordinary adapter of its family.

    attn: "sdpa" or "eager", None for sdpa. Weights are initialized as for training from scratch, so that activations
    stay finite in bfloat16.
    """
    row = shape_of(name, tiny)
    family = FAMILIES[row.family]
    torch.manual_seed(seed)
    with torch.device(device):
        options = {"dtype": dtype, "attn_implementation": attn or "sdpa"}
        model = family.model_class._from_config(config_of(row), **options)
    model.generation_config.eos_token_id = None  # every answer has the maximum length
    model.generation_config.pad_token_id = 0
    return family.adapter(name, model.to(device).eval(), _processor(row))


def config_of(row: FullSize) -> Any:
    """The transformers config of a row."""
    words = tokenizer()
    marks = {"vision_start_token_id": "<start>", "vision_end_token_id": "<end>", "video_token_id": "<video>"}
    return FAMILIES[row.family].model_class.config_class(
        text_config={"bos_token_id": 1, "eos_token_id": None, "pad_token_id": 0, **row.text},
        vision_config={"patch_size": PATCH, **row.vision},
        tie_word_embeddings=row.text.get("tie_word_embeddings", False),
        **_anyres(row),
        **({name: words.convert_tokens_to_ids(mark) for name, mark in marks.items()} if row.max_pixels else {}),
        **{_IMAGE_KEYS.get(row.family, "image_token_id"): words.convert_tokens_to_ids(IMAGE)},
    )


_IMAGE_KEYS = {"llava": "image_token_index", "llava_next": "image_token_index"}


def _anyres(row: FullSize) -> Settings:
    return {"image_grid_pinpoints": _canvases(row)} if row.family == "llava_next" else {}


def _canvases(row: FullSize) -> list[list[int]]:
    """(height, width) of each canvas in pixels."""
    side = row.vision["image_size"]
    return [[rows * side, columns * side] for rows, columns in CANVASES]


def _processor(row: FullSize) -> Any:
    """The family's processor, with an image processor of the published settings."""
    processor, options = (
        for_images(FAMILIES[row.family].processor_class),
        {"chat_template": TEMPLATES[bool(row.max_pixels)]},
    )
    if row.max_pixels:
        size = {"shortest_edge": 56 * 56, "longest_edge": row.max_pixels}
        return processor(Qwen2VLImageProcessorPil(size=size, patch_size=PATCH), tokenizer(), **options)
    side = row.vision["image_size"]
    frame: Settings = {"size": {"shortest_edge": side}, "crop_size": {"height": side, "width": side}}
    if row.family == "llava_next":
        images = LlavaNextImageProcessorPil(**frame, image_grid_pinpoints=_canvases(row))
    else:
        images = CLIPImageProcessorPil(**frame)
    strategy = {"vision_feature_select_strategy": "default", "num_additional_image_tokens": 1}
    return processor(images, tokenizer(), patch_size=PATCH, **strategy, **options)


def sample_image(name: str, tiny: bool = False) -> Image.Image:
    """The square RGB image of a model's question: noise, since answers are meaningless."""
    side = shape_of(name, tiny).side
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8))
