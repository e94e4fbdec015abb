"""The bundled models' tokenizer: whole words, with a plural ending as its own piece; anything else is unknown."""

from __future__ import annotations

from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from crop_core.tiny.questions import PHRASINGS, WHERE
from crop_core.tiny.world import CATEGORIES, COLORS, EMOJI, SHAPES, TEXTS

SPECIAL = ("<pad>", "<s>", "</s>", "<unk>", "<image>")
PLURALS = ("##s", "##es")
# Words that fill in the templates. The ids between belonged to words that no question has: they are kept free, since
# a word that training never showed must count as unknown.
_FILLINGS = {120: "a", 121: "an", 124: "bottom", 153: "top"}
_SIZE = 163
_PROMPT = ("user", "assistant", "region", ":", "?", ".", ",")


def vocabulary() -> list[str]:
    """Every token in a fixed order; the index is the token id."""
    templates = " ".join(phrase for phrases in PHRASINGS.values() for phrase in phrases)
    asked = [word.strip("?") for word in templates.split() if "{" not in word]
    directions = " ".join(WHERE).split()
    words = [*_PROMPT, *EMOJI, *SHAPES, *COLORS, *TEXTS, *CATEGORIES, "yes", "no", *asked, *directions]
    known = list(dict.fromkeys([*SPECIAL, *PLURALS, *words]))
    return known + [_FILLINGS.get(index, f"<spare{index}>") for index in range(len(known), _SIZE)]


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
        extra_special_tokens={"image_token": "<image>"},
        padding_side="left",
        model_input_names=["input_ids", "attention_mask"],
    )
