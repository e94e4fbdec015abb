"""The text side of an adapter: questions to chat prompts and ids, ids to texts. Knows nothing of images."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import torch

from crop_core.models.adapter import ModelError, Turn
from crop_core.models.chat_template import render
from crop_core.records.config import DEFAULT_NEW_TOKENS


@dataclass(eq=False)
class TextAdapter:
    """Base of BaseAdapter: one loaded checkpoint of transformers, model and processor."""

    name: str
    model: Any
    processor: Any

    @property
    def tokenizer(self) -> Any:
        """The checkpoint's own tokenizer."""
        return self.processor.tokenizer

    @property
    def image_token_id(self) -> int:
        """The id of the image placeholder in `input_ids`."""
        return self.model.config.image_token_id

    @property
    def max_new_tokens(self) -> int:
        """Longest answer where a request names none."""
        return self.model.generation_config.max_new_tokens or DEFAULT_NEW_TOKENS

    short_request: ClassVar[str] = "Answer the question using a single word or phrase."  # LLaVA-1.5's, and others'

    @property
    def short_answer_request(self) -> str:
        """The sentence below a question that asks for a short answer; "" where the prompt does so anyway, and where the
        tokenizer does not know its words.
        """
        return "" if self.unknown_words(self.short_request) else self.short_request

    def ends(self, ids: Sequence[int]) -> bool:
        """Whether generated ids (T,) end with an end token, and not at a limit."""
        end = self.model.generation_config.eos_token_id
        return ids[-1] in (end if isinstance(end, list) else [end])

    @cached_property
    def _special(self) -> list[str]:
        """Special tokens, which a question must not contain."""
        added = [str(token) for token in self.tokenizer.added_tokens_decoder.values() if token.special]
        return [*self.tokenizer.all_special_tokens, *added, self.processor.image_token]

    def prompt(self, question: str, images: int = 1, history: Sequence[Turn] = ()) -> str:
        """The chat prompt of a question about `images` images, after earlier turns where the template takes them;
        special tokens in the texts become spaces. ModelError for a template that takes no question.
        """
        texts = [_without(text, self._special) for turn in (*history, (question,)) for text in turn]
        return self._chat(texts, images)

    def _chat(self, texts: Sequence[str], images: int) -> str:
        """The prompt of alternating turns; of the last one where the template takes no others."""
        if len(texts) > 1:
            with suppress(ModelError):
                return render(self.name, self.processor, texts, images)
        return render(self.name, self.processor, texts[-1:], images)

    def question_ids(self, question: str) -> list[int]:
        """Ids of the question's tokens, without special tokens."""
        return self.tokenizer.encode(_without(question, self._special), add_special_tokens=False)

    def _specials(self, prompt: str) -> dict[str, bool]:
        """Tokenizer option for a prompt whose template writes the first token itself, as `apply_chat_template` has."""
        begin = self.tokenizer.bos_token
        return {"add_special_tokens": False} if begin and prompt.startswith(begin) else {}

    def placed(self, prompt: str, tokens: Sequence[int]) -> torch.Tensor:
        """(1, L) ids of a prompt, each image token repeated once per visual token of its image."""
        ids, counts = self.tokenizer(prompt, **self._specials(prompt))["input_ids"], iter(tokens)
        if ids.count(self.image_token_id) != len(tokens):
            raise ModelError(
                f"The prompt of {self.name} holds {ids.count(self.image_token_id)} images instead of {len(tokens)}; "
                "correct its chat template, its tokenizer's image token or image_token_id in config.json."
            )
        return torch.tensor(
            [[x for each in ids for x in [each] * (next(counts) if each == self.image_token_id else 1)]]
        )

    def unknown_words(self, question: str) -> list[str]:
        """Words of which the tokenizer maps a part to its unknown token, in order, each once; none for a tokenizer
        that does not tell their places.
        """
        unknown = self.tokenizer.unk_token_id
        if unknown is None or not self.tokenizer.is_fast:
            return []
        encoded = self.tokenizer(question, add_special_tokens=False, return_offsets_mapping=True)
        pairs = zip(encoded["input_ids"], encoded["offset_mapping"], strict=True)
        spans = [span for token, span in pairs if token == unknown]
        words = re.finditer(r"\w+(?:['’]\w+)*", question)
        return list(dict.fromkeys(w[0] for w in words if any(a < w.end() and w.start() < b for a, b in spans)))

    def decode(self, ids: list[int]) -> str:
        """Text of generated ids (T,), special tokens left out, stripped."""
        return self.tokenizer.decode(ids, skip_special_tokens=True).strip()

    def token_text(self, token_id: int) -> str:
        """One generated token as text; special tokens show their own name."""
        return self.tokenizer.decode([token_id]) or str(self.tokenizer.convert_ids_to_tokens(token_id))


def _without(text: str, pieces: list[str]) -> str:
    """`text` with every piece replaced by a space: a question must not smuggle in an image placeholder."""
    for piece in pieces:
        text = text.replace(piece, " ")
    return text
