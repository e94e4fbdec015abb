"""The words of the full-size models' random stand-ins: a word-level tokenizer, prompts of a real length, a question."""

from __future__ import annotations

from functools import cache

from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from crop_core.localize.decoding.answer_formats import BRACKETS

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
    """Words and marks in lower case, one token each, as many as real prompts have within a few; others are unknown."""
    split = pre_tokenizers.Whitespace()
    said = " ".join([SYSTEM, QUESTION, BRACKETS.prompt, "user : assistant 0 1 2 3 4 5 6 7 8 9"]).lower()
    words = dict.fromkeys([*SPECIAL, *(word for word, _ in split.pre_tokenize_str(said))])
    rules = Tokenizer(models.WordLevel({word: number for number, word in enumerate(words)}, unk_token="<unk>"))
    rules.normalizer = normalizers.Lowercase()
    rules.pre_tokenizer = split
    names = {"image_token": IMAGE, "start": "<start>", "end": "<end>", "video": "<video>"}
    return PreTrainedTokenizerFast(
        tokenizer_object=rules, bos_token="<s>", eos_token="</s>", unk_token="<unk>", pad_token="<pad>",
        extra_special_tokens=names, padding_side="left",
    )  # fmt: skip
