"""Tokenization of an answer format: fixed tokens, and tries of the tokens of its numbers for constrained decoding.

Answers are tokenized as a whole, separately from the prompt.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crop_core.localize.decoding.answer_formats import AnswerFormat
from crop_core.models.adapter import ModelError
from crop_core.records.region import GRID

Tokens = tuple[int, ...]


@dataclass(frozen=True)
class NumberTrie:
    """Trie of the possible numbers of an answer, so that one forward pass gives the probability of each.

    A node is a prefix of several numbers, or a number that others continue: 12 of 125. tokens: of the T nodes, each
    after its parent. parents: (T,) row of each node's parent, 0 for the root, else 1 + the parent's index. paths: rows
    of the nodes on the path to each number, itself included if it is a node.
    """

    numbers: tuple[Tokens, ...]
    tokens: Tokens
    parents: tuple[int, ...]
    paths: tuple[tuple[int, ...], ...]

    @classmethod
    def of(cls, numbers: Sequence[Tokens]) -> NumberTrie:
        """The trie of distinct numbers."""
        prefixes = {number[:length] for number in numbers for length in range(1, len(number))}
        order = sorted(prefixes, key=lambda each: (len(each), each))
        row = {(): 0} | {prefix: 1 + index for index, prefix in enumerate(order)}
        parents = tuple(row[prefix[:-1]] for prefix in order)
        paths = tuple(
            tuple(row[number[:length]] for length in range(1, len(number) + 1) if number[:length] in row)
            for number in numbers
        )
        return cls(tuple(numbers), tuple(prefix[-1] for prefix in order), parents, paths)

    @property
    def depths(self) -> list[int]:
        """(T,) number of tokens from the root to each node."""
        depths = [0]
        for parent in self.parents:
            depths.append(depths[parent] + 1)
        return depths[1:]

    def ancestry(self) -> NDArray[np.bool_]:
        """(T, T): whether the column's node is the row's node or an ancestor of it."""
        seen = np.eye(len(self.tokens), dtype=bool)
        for node, parent in enumerate(self.parents):
            if parent:
                seen[node] |= seen[parent - 1]
        return seen

    def scores(self, logprobs: NDArray[np.float64], columns: dict[int, int], end: int) -> NDArray[np.float64]:
        """Log-probability of each number: of its tokens, and of `end` after a number that others continue.

        logprobs: (1 + T, C) after the root and after each node, of the tokens in `columns`.
        """
        reached = np.zeros(1 + len(self.tokens))
        for node, (parent, token) in enumerate(zip(self.parents, self.tokens, strict=True)):
            reached[1 + node] = reached[parent] + logprobs[parent, columns[token]]
        scores = []
        for number, path in zip(self.numbers, self.paths, strict=True):
            last = path[-1] if path else 0
            final = end if len(path) == len(number) else number[-1]
            scores.append(reached[last] + logprobs[last, columns[final]])
        return np.array(scores)


class ConstrainedDecodingError(ModelError):
    """A model that cannot do constrained decoding; free decoding may still work."""


@dataclass(frozen=True)
class AnswerTokenization:
    """Token ids of an answer format. opening: before the first number. numbers: 4, the whole numbers from 0 on. cells:
    4, the grid cell of each of these numbers. behind: 4, the text after each number.
    """

    opening: Tokens
    numbers: tuple[NumberTrie, ...]
    cells: tuple[tuple[int, ...], ...]
    behind: tuple[Tokens, ...]

    @property
    def single_token(self) -> bool:
        """Whether every number is one token."""
        return not any(trie.tokens for trie in self.numbers)


def tokenize_answers(tokenizer: Any, form: AnswerFormat, size: tuple[int, int], name: str) -> AnswerTokenization:
    """Tokenization of a format, for an image that the model `name` resizes to `size`.

    ConstrainedDecodingError if numbers share tokens with the text around them, that text is not always tokenized alike,
    or numbers of several digits are not tokenized digit by digit.
    """
    if not tokenizer.is_fast:
        raise ConstrainedDecodingError(
            f"{name} cannot decode constrained answers: its tokenizer gives no token offsets; use free decoding."
        )
    cells = form.cells(size)
    answers = {number: _parts(tokenizer, form, number) for number in _probe_numbers(max(map(len, cells)))}
    around = {parts[::2] for parts in answers.values()}
    constant = len(around) == 1 and all(map(all, around))  # the same, non-empty tokens for the same text
    spelled = [{number: parts[2 * index + 1] for number, parts in answers.items()} for index in range(4)]
    if not (constant and all(map(_by_digits, spelled))):
        raise ConstrainedDecodingError(
            f"{name} cannot decode constrained answers: its tokenizer joins numbers with the text around them, or "
            "several of their digits; use free decoding."
        )
    opening, *behind = around.pop()
    digits = [tuple(tokens[0] for number, tokens in sorted(each.items()) if number < 10) for each in spelled]
    tries = [_digit_trie(each, len(row)) for each, row in zip(digits, cells, strict=True)]
    return AnswerTokenization(opening, tuple(tries), tuple(map(tuple, cells)), tuple(behind))


def _probe_numbers(count: int) -> list[int]:
    """Sample of the numbers below `count` that is tokenized as a check: every digit, and some of every length."""
    some = {*range(10), 10, 99, 100, *range(0, count, max(count // GRID, 1)), count - 1}
    return sorted(number for number in some if number < count)


def _by_digits(spelled: dict[int, Tokens]) -> bool:
    """Whether every digit is a distinct token, and every number the sequence of its digits."""
    digits = {spelled[number] for number in spelled if number < 10}
    distinct = all(len(tokens) == 1 for tokens in digits) and len(digits) == min(len(spelled), 10)
    return distinct and all(
        tokens == tuple(token for digit in str(number) for token in spelled[int(digit)])
        for number, tokens in spelled.items()
    )


@lru_cache(maxsize=64)
def _digit_trie(digits: Tokens, count: int) -> NumberTrie:
    """Trie of the numbers from 0 on, digit by digit."""
    return NumberTrie.of([tuple(digits[int(digit)] for digit in str(number)) for number in range(count)])


def bare_tokenizer(tokenizer: Any, name: str) -> AnswerTokenization:
    """Tokenization of four single digits without text around them."""
    digits = NumberTrie.of([(token,) for token in number_ids(tokenizer, name)])
    return AnswerTokenization((), (digits,) * 4, (tuple(range(GRID)),) * 4, ((),) * 4)


def number_ids(tokenizer: Any, name: str) -> list[int]:
    """Token ids (8,) of "0" to "7"; the last token counts, so that a word-start token before the digit is allowed."""
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
    """Token ids of the nine parts of an answer with one number four times: text and numbers in turn.

    A token belongs to the part in which it ends, so that a number may begin with the space before it; a token that
    spans a number and the text after it leaves the number with fewer tokens, which `tokenize_answers` rejects.
    """
    texts = [text for piece in form.pieces for text in (piece, str(number))][:-1]
    ends = list(accumulate(map(len, texts)))
    encoded = tokenizer("".join(texts), add_special_tokens=False, return_offsets_mapping=True)
    parts: list[list[int]] = [[] for _ in texts]
    for token, (_, end) in zip(encoded["input_ids"], encoded["offset_mapping"], strict=True):
        parts[bisect_left(ends, end)].append(token)
    return tuple(map(tuple, parts))
