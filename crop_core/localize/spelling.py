"""How a tokenizer writes the answers of a format: which tokens are fed as they are, and which a model chooses between.

Answers are tokenized whole, as a model writes them: behind its prompt, with no token across the two.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from crop_core.localize.formats import Format
from crop_core.models.protocol import ModelError
from crop_core.region import GRID

Tokens = tuple[int, ...]


class FeedError(ModelError):
    """A model whose answers cannot be fed in pieces; it may still write them."""


@dataclass(frozen=True)
class Spelling:
    """Token ids. opening: before the first number. numbers: (4, 8), of each number for each grid cell. behind: 4, what
    comes after each number.
    """

    opening: Tokens
    numbers: tuple[tuple[Tokens, ...], ...]
    behind: tuple[Tokens, ...]

    @property
    def lone(self) -> bool:
        """Whether every number is one token."""
        return all(len(tokens) == 1 for row in self.numbers for tokens in row)


def spelled(tokenizer: Any, form: Format, size: tuple[int, int], name: str) -> Spelling:
    """The spelling of a format with pieces, for an image that the model `name` reads in `size`.

    FeedError where numbers have no tokens of their own, or the text around them is not always the same tokens.
    """
    rows = form.candidates(size)
    if not tokenizer.is_fast:
        raise FeedError(f"{name} cannot be fed its answers in pieces: its tokenizer does not tell where tokens end.")
    answers = [_parts(tokenizer, form, [row[cell] for row in rows]) for cell in range(GRID)]  # (8, 9)
    numbers = tuple(tuple(parts[2 * index + 1] for parts in answers) for index in range(4))
    around = {parts[::2] for parts in answers}
    steady = len(around) == 1 and all(map(all, around))  # the same text is the same tokens, and some
    if not (steady and all(all(row) and len(set(row)) == GRID for row in numbers)):
        raise FeedError(
            f"{name} cannot be fed its answers in pieces: its tokenizer joins numbers with the text around them; "
            "let it write them."
        )
    opening, *behind = around.pop()
    return Spelling(opening, numbers, tuple(behind))


def bare(tokenizer: Any, name: str) -> Spelling:
    """Four single digits with nothing around them."""
    digits = tuple((token,) for token in number_ids(tokenizer, name))
    return Spelling((), (digits,) * 4, ((),) * 4)


def number_ids(tokenizer: Any, name: str) -> list[int]:
    """Token ids (8,) of "0" to "7"; the last piece counts, so that a word-start mark before the digit is allowed."""
    ids = []
    for number in range(GRID):
        pieces = tokenizer.encode(str(number), add_special_tokens=False)
        if not pieces or tokenizer.decode(pieces[-1:]).strip() != str(number):
            raise ModelError(
                f"{name} cannot be a grid localizer: its tokenizer has no token for {number}; "
                f"it needs one for each of 0 to {GRID - 1}."
            )
        ids.append(pieces[-1])
    return ids


def _parts(tokenizer: Any, form: Format, numbers: Sequence[str]) -> tuple[Tokens, ...]:
    """Token ids of a whole answer's nine parts: text and numbers in turn.

    A token belongs to the part in which it ends, so that a number may begin with the space before it; a token that
    reaches from a number into the text behind leaves the number with fewer tokens or none, which `spelled` refuses.
    """
    texts = [text for pair in zip(form.pieces, [*numbers, ""], strict=True) for text in pair][:-1]
    ends = list(accumulate(map(len, texts)))
    told = tokenizer("".join(texts), add_special_tokens=False, return_offsets_mapping=True)
    parts: list[list[int]] = [[] for _ in texts]
    for token, (_, end) in zip(told["input_ids"], told["offset_mapping"], strict=True):
        parts[bisect_left(ends, end)].append(token)
    return tuple(map(tuple, parts))
