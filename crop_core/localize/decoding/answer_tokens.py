"""How a tokenizer writes the answers of a format: which tokens are fed as they are, and which a model chooses between.

Answers are tokenized whole, as a model writes them: behind its prompt, with no token across the two.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from typing import Any

from crop_core.localize.decoding.answer_formats import AnswerFormat
from crop_core.localize.decoding.number_trie import NumberTrie, Tokens
from crop_core.models.adapter import ModelError
from crop_core.records.region import GRID


class ConstrainedDecodingError(ModelError):
    """A model whose answers cannot be fed in pieces; it may still write them."""


@dataclass(frozen=True)
class AnswerTokenization:
    """Token ids. opening: before the first number. numbers: 4, the whole numbers from 0 on. cells: 4, the grid cell of
    each of these numbers. behind: 4, what comes after each number.
    """

    opening: Tokens
    numbers: tuple[NumberTrie, ...]
    cells: tuple[tuple[int, ...], ...]
    behind: tuple[Tokens, ...]

    @property
    def lone(self) -> bool:
        """Whether every number is one token."""
        return not any(trie.tokens for trie in self.numbers)


def tokenize_answers(tokenizer: Any, form: AnswerFormat, size: tuple[int, int], name: str) -> AnswerTokenization:
    """The spelling of a format with pieces, for an image that the model `name` reads in `size`.

    FeedError where numbers have no tokens of their own, the text around them is not always the same tokens, or numbers
    of several digits are not written digit by digit.
    """
    if not tokenizer.is_fast:
        raise ConstrainedDecodingError(
            f"{name} cannot be fed its answers in pieces: its tokenizer does not tell where tokens end."
        )
    cells = form.cells(size)
    answers = {number: _parts(tokenizer, form, number) for number in _tried(max(map(len, cells)))}
    around = {parts[::2] for parts in answers.values()}
    steady = len(around) == 1 and all(map(all, around))  # the same text is the same tokens, and some
    known = [{number: parts[2 * index + 1] for number, parts in answers.items()} for index in range(4)]
    if not (steady and all(map(_by_digits, known))):
        raise ConstrainedDecodingError(
            f"{name} cannot be fed its answers in pieces: its tokenizer joins numbers with the text around them, or "
            "several of their digits; let it write them."
        )
    opening, *behind = around.pop()
    digits = [tuple(tokens[0] for number, tokens in sorted(each.items()) if number < 10) for each in known]
    tries = [_tree(each, len(row)) for each, row in zip(digits, cells, strict=True)]
    return AnswerTokenization(opening, tuple(tries), tuple(map(tuple, cells)), tuple(behind))


def _tried(count: int) -> list[int]:
    """Numbers below `count` that show how all of them are tokenized: every digit, and some of every length."""
    some = {*range(10), 10, 99, 100, *range(0, count, max(count // GRID, 1)), count - 1}
    return sorted(number for number in some if number < count)


def _by_digits(known: dict[int, Tokens]) -> bool:
    """Whether every digit is one token of its own, and every number is its digits."""
    digits = {known[number] for number in known if number < 10}
    apart = all(len(tokens) == 1 for tokens in digits) and len(digits) == min(len(known), 10)
    return apart and all(
        tokens == tuple(token for digit in str(number) for token in known[int(digit)])
        for number, tokens in known.items()
    )


@lru_cache(maxsize=64)
def _tree(digits: Tokens, count: int) -> NumberTrie:
    """The numbers from 0 on, digit by digit."""
    return NumberTrie.of([tuple(digits[int(digit)] for digit in str(number)) for number in range(count)])


def bare_tokenizer(tokenizer: Any, name: str) -> AnswerTokenization:
    """Four single digits with nothing around them."""
    digits = NumberTrie.of([(token,) for token in number_ids(tokenizer, name)])
    return AnswerTokenization((), (digits,) * 4, (tuple(range(GRID)),) * 4, ((),) * 4)


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


def _parts(tokenizer: Any, form: AnswerFormat, number: int) -> tuple[Tokens, ...]:
    """Token ids of the nine parts of a whole answer that says one number four times: text and numbers in turn.

    A token belongs to the part in which it ends, so that a number may begin with the space before it; a token that
    reaches from a number into the text behind leaves the number with fewer tokens or none, which `spelled` refuses.
    """
    texts = [text for piece in form.pieces for text in (piece, str(number))][:-1]
    ends = list(accumulate(map(len, texts)))
    told = tokenizer("".join(texts), add_special_tokens=False, return_offsets_mapping=True)
    parts: list[list[int]] = [[] for _ in texts]
    for token, (_, end) in zip(told["input_ids"], told["offset_mapping"], strict=True):
        parts[bisect_left(ends, end)].append(token)
    return tuple(map(tuple, parts))
