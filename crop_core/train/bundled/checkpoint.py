"""The two bundled models as ordinary transformers checkpoints: tokenizer, sizes, initial weights, and saving."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import torch
from tokenizers import Regex, models, normalizers, pre_tokenizers, processors
from tokenizers import Tokenizer as WordTokenizer
from transformers import (
    CLIPVisionConfig,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
)
from transformers import PreTrainedTokenizerFast as Tokenizer
from transformers.models.llava.image_processing_pil_llava import LlavaImageProcessorPil

from crop_core.localize.grid_vlm import SLOTS
from crop_core.models.tower_attention import TRAINED
from crop_core.train.world.phrasings import COMPARATIVES, CORNERS, SUPERLATIVES, TRAINING, WHERE
from crop_core.train.world.user_words import RULES
from crop_core.train.world.vocabulary import BACKGROUNDS, CATEGORIES, COLORS, TEXTS

SPECIAL = ("<pad>", "<s>", "</s>", "<unk>", "<image>", *SLOTS)
PLURALS = ("##s", "##es")
_PROMPT = ("user", "assistant", "region", ":", "?", ".", ",")


def vocabulary() -> list[str]:
    """Every token in a fixed order (the index is the token id), and only words of the training data."""
    templates = " ".join(phrase for phrases in TRAINING.values() for phrase in phrases)
    question_words = [word.strip("?,") for word in templates.split() if "{" not in word]
    degrees = [
        word for table in (COMPARATIVES, SUPERLATIVES) for pair in table.values() for words in pair for word in words
    ]
    fillings = [*WHERE, *CORNERS, *degrees]
    answers = [*CATEGORIES, *COLORS, *TEXTS, *BACKGROUNDS, "yes", "no"]
    words = [*_PROMPT, *answers, "a", "an", "shape", *question_words, *" ".join(fillings).split()]
    return list(dict.fromkeys([*SPECIAL, *PLURALS, *words]))


def build_tokenizer() -> Tokenizer:
    """A lower-casing WordPiece tokenizer over `vocabulary()`, padding on the left."""
    ids = {token: index for index, token in enumerate(vocabulary())}
    tokenizer = WordTokenizer(models.WordPiece(ids, unk_token="<unk>", continuing_subword_prefix="##"))
    rules = [normalizers.Replace(Regex(pattern), text) for pattern, text in RULES]
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase(), *rules])
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A $B", special_tokens=[("<s>", ids["<s>"])]
    )
    return Tokenizer(
        tokenizer_object=tokenizer,
        bos_token="<s>",
        eos_token="</s>",
        unk_token="<unk>",
        pad_token="<pad>",
        extra_special_tokens={"image_token": "<image>", **{f"slot_{i}": slot for i, slot in enumerate(SLOTS)}},
        padding_side="left",
        model_input_names=["input_ids", "attention_mask"],
    )


PATCH = 14
IMAGE_MEAN, IMAGE_STD = 0.5, 0.25
_CHAT = (  # the images and the last question alone: these models are trained without conversations
    "USER: {% for message in messages %}{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<image>\n{% endif %}{% endfor %}{% endfor %}"
    "{% for part in messages[-1]['content'] %}{% if part['type'] == 'text' %}{{ part['text'] }} {% endif %}{% endfor %}"
    "{% if add_generation_prompt %}ROLE:{% endif %}"
)


@dataclass(frozen=True)
class Recipe:
    """Everything that differs between the two bundled models.

    `side` is the input in px (so `(side / 14)**2` visual tokens); `pad` pads to a square, else the image is squashed;
    `says` is the word before the output, `slots` the tokens after it with a place for one number each (none: the output
    is generated); `bins` the resolution of the edges of the object under a patch, for the vision tower.
    """

    name: str
    side: int
    pad: bool
    says: str
    bins: int
    vision: dict[str, int]
    language: dict[str, int]
    slots: tuple[str, ...] = ()

    @property
    def grid(self) -> int:
        """Visual tokens along one side."""
        return self.side // PATCH


ANSWERER = Recipe(
    name="crop-tiny",
    side=336,
    pad=True,
    says="ASSISTANT",
    bins=24,
    vision={"hidden_size": 192, "intermediate_size": 384, "num_hidden_layers": 4, "num_attention_heads": 6},
    language={"hidden_size": 192, "intermediate_size": 512, "num_hidden_layers": 14, "num_attention_heads": 6},
)
LOCATOR = Recipe(
    name="crop-tiny-locator",
    side=168,
    pad=False,
    says="REGION",
    bins=8,
    vision={"hidden_size": 192, "intermediate_size": 384, "num_hidden_layers": 4, "num_attention_heads": 6},
    language={"hidden_size": 192, "intermediate_size": 512, "num_hidden_layers": 4, "num_attention_heads": 6},
    slots=SLOTS,
)
RECIPES = {recipe.name: recipe for recipe in (ANSWERER, LOCATOR)}


def build_model(recipe: Recipe, tokenizer: Tokenizer) -> LlavaForConditionalGeneration:
    """A model with initial weights by which equal directions attend to each other (see `_initialize`)."""
    image_id = tokenizer.convert_tokens_to_ids("<image>")
    special = {
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
    config = LlavaConfig(
        vision_config=CLIPVisionConfig(**recipe.vision, image_size=recipe.side, patch_size=PATCH),
        text_config=LlamaConfig(
            **recipe.language,
            num_key_value_heads=recipe.language["num_attention_heads"],
            vocab_size=16 * math.ceil(len(tokenizer) / 16),
            max_position_embeddings=1024,
            rope_parameters={
                "rope_type": "default",
                "rope_theta": 1e7,
            },  # a small base would hide a match by content
            tie_word_embeddings=True,
            **special,
        ),
        image_token_index=image_id,
        vision_feature_layer=-1,
        vision_feature_select_strategy="default",
        image_seq_length=recipe.grid**2,
        tie_word_embeddings=True,
        **{TRAINED: False},  # the projector reads no class token, so that nothing teaches it
    )
    model = LlavaForConditionalGeneration(config)
    model.tie_weights()
    _initialize(model, recipe)
    return model


@torch.no_grad()
def _initialize(model: LlavaForConditionalGeneration, recipe: Recipe) -> None:
    """Two-dimensional sinusoids as positions; in the LLM's first layers, queries equal keys and outputs invert values.

    A word then attends, from the first step on, to the visual tokens whose direction is its own embedding.
    """
    random = torch.Generator().manual_seed(0)
    embeddings = model.model.vision_tower.embeddings
    width, n = recipe.vision["hidden_size"], recipe.grid
    frequency = torch.exp(torch.linspace(0, math.log(n * 2.0), width // 4))
    angle = torch.arange(n)[:, None] / n * math.pi * frequency / 2
    waves = torch.cat([angle.sin(), angle.cos()], 1)  # (n, width / 2)
    places = torch.cat([waves[:, None].expand(n, n, -1), waves[None].expand(n, n, -1)], -1)
    embeddings.position_embedding.weight[1:] = places.reshape(n * n, width) * 0.3
    embeddings.position_embedding.weight[0] = 0
    embeddings.class_embedding.normal_(std=0.02, generator=random)
    embeddings.patch_embedding.weight.normal_(std=1 / math.sqrt(3 * PATCH * PATCH), generator=random)

    size = recipe.language["hidden_size"]
    words = model.model.language_model.embed_tokens.weight
    words.copy_(torch.nn.functional.normalize(torch.randn(words.shape, generator=random), dim=-1))
    for index, layer in enumerate(model.model.language_model.layers):
        match, value = (torch.linalg.qr(torch.randn(size, size, generator=random))[0] for _ in range(2))
        attention = layer.self_attn
        if index < 3:
            attention.q_proj.weight.copy_(1.7 * match)
            attention.k_proj.weight.copy_(1.7 * match)
        attention.v_proj.weight.copy_(0.7 * value)
        attention.o_proj.weight.copy_(0.7 * value.T / (1 if index < 3 else 3))


def build_processor(recipe: Recipe, tokenizer: Tokenizer) -> LlavaProcessor:
    """The processor of training data and users' images."""
    side = {"height": recipe.side, "width": recipe.side}
    images = LlavaImageProcessorPil(
        size=side,
        crop_size=side,
        do_center_crop=False,
        do_pad=recipe.pad,
        image_mean=[IMAGE_MEAN] * 3,
        image_std=[IMAGE_STD] * 3,
    )
    return LlavaProcessor(
        image_processor=images,
        tokenizer=tokenizer,
        patch_size=PATCH,
        vision_feature_select_strategy="default",
        chat_template=_CHAT.replace("ROLE:", " ".join([f"{recipe.says}:", *recipe.slots])),
        num_additional_image_tokens=1,
    )


def save(model: LlavaForConditionalGeneration, recipe: Recipe, tokenizer: Tokenizer, folder: Path) -> None:
    """Write weights in half precision, config and processor to `folder`, as `from_pretrained` reads them.

    Matrices are rounded to multiples of a power of two near an eighth of their root mean square: the error is about
    four percent of a weight, and a repository or a download compresses the file to less than half. (A sixteenth
    has the same accuracy; a quarter cost a point.)
    """
    half = LlavaForConditionalGeneration(model.config).to(torch.float16)
    half.load_state_dict({name: _rounded(weight).half() for name, weight in model.state_dict().items()})
    half.generation_config.max_new_tokens = 8
    half.save_pretrained(folder)
    build_processor(recipe, tokenizer).save_pretrained(folder)


def _rounded(weight: torch.Tensor) -> torch.Tensor:
    if weight.ndim < 2 or not weight.any():
        return weight
    step = 2.0 ** round(math.log2(weight.float().square().mean().sqrt().item() / 8))
    return (weight.float() / step).round() * step
