"""The bundled models' tokenizer: whole words, with a plural ending as its own piece; anything else is unknown."""

from __future__ import annotations

from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from crop_core.localize.grid_vlm import SLOTS
from crop_core.train.world.phrasings import COMPARATIVES, CORNERS, SUPERLATIVES, TRAINING, WHERE
from crop_core.train.world.vocabulary import BACKGROUNDS, CATEGORIES, COLORS, TEXTS

SPECIAL = ("<pad>", "<s>", "</s>", "<unk>", "<image>", *SLOTS)
PLURALS = ("##s", "##es")
_PROMPT = ("user", "assistant", "region", ":", "?", ".", ",")


def vocabulary() -> list[str]:
    """Every token in a fixed order; the index is the token id. No word that training never shows."""
    templates = " ".join(phrase for phrases in TRAINING.values() for phrase in phrases)
    asked = [word.strip("?,") for word in templates.split() if "{" not in word]
    degrees = [
        word for table in (COMPARATIVES, SUPERLATIVES) for pair in table.values() for words in pair for word in words
    ]
    fillings = [*WHERE, *CORNERS, *degrees]
    answers = [*CATEGORIES, *COLORS, *TEXTS, *BACKGROUNDS, "yes", "no"]
    words = [*_PROMPT, *answers, "a", "an", "shape", *asked, *" ".join(fillings).split()]
    return list(dict.fromkeys([*SPECIAL, *PLURALS, *words]))


def build_tokenizer() -> PreTrainedTokenizerFast:
    """A lower-casing WordPiece tokenizer over `vocabulary()`, padding on the left."""
    ids = {token: index for index, token in enumerate(vocabulary())}
    tokenizer = Tokenizer(models.WordPiece(ids, unk_token="<unk>", continuing_subword_prefix="##"))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A $B", special_tokens=[("<s>", ids["<s>"])]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<s>",
        eos_token="</s>",
        unk_token="<unk>",
        pad_token="<pad>",
        extra_special_tokens={"image_token": "<image>", **{f"slot_{i}": slot for i, slot in enumerate(SLOTS)}},
        padding_side="left",
        model_input_names=["input_ids", "attention_mask"],
    )
