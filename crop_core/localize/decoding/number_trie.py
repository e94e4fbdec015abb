"""The numbers that an answer may hold as one tree of tokens, so that one forward pass gives the probability of each.

A node is a beginning that several numbers share, or a number that others go on from: 12 of 125. Pure Python and numpy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Tokens = tuple[int, ...]


@dataclass(frozen=True)
class NumberTrie:
    """tokens: of the T nodes, each behind its parent. parents: (T,) row of each one's parent, 0 for the root, else 1 +
    the parent's place. paths: rows of the nodes on the way to each number, itself included where it is one.
    """

    numbers: tuple[Tokens, ...]
    tokens: Tokens
    parents: tuple[int, ...]
    paths: tuple[tuple[int, ...], ...]

    @classmethod
    def of(cls, numbers: Sequence[Tokens]) -> NumberTrie:
        """The tree of numbers that are all different."""
        begun = {number[:length] for number in numbers for length in range(1, len(number))}
        order = sorted(begun, key=lambda each: (len(each), each))
        row = {(): 0} | {beginning: 1 + place for place, beginning in enumerate(order)}
        parents = tuple(row[beginning[:-1]] for beginning in order)
        paths = tuple(
            tuple(row[number[:length]] for length in range(1, len(number) + 1) if number[:length] in row)
            for number in numbers
        )
        return cls(tuple(numbers), tuple(beginning[-1] for beginning in order), parents, paths)

    @property
    def depths(self) -> list[int]:
        """(T,) number of tokens from the root to each node."""
        found = [0]
        for parent in self.parents:
            found.append(found[parent] + 1)
        return found[1:]

    def ancestry(self) -> NDArray[np.bool_]:
        """(T, T): is the column's node the row's own or on the way to it?"""
        seen = np.eye(len(self.tokens), dtype=bool)
        for place, parent in enumerate(self.parents):
            if parent:
                seen[place] |= seen[parent - 1]
        return seen

    def scores(self, logprobs: NDArray[np.float64], columns: dict[int, int], end: int) -> NDArray[np.float64]:
        """Log-probability of each number: of its tokens, and of `end` behind a number that others go on from.

        logprobs: (1 + T, C) behind the root and behind each node, of the tokens in `columns`.
        """
        reached = np.zeros(1 + len(self.tokens))
        for place, (parent, token) in enumerate(zip(self.parents, self.tokens, strict=True)):
            reached[1 + place] = reached[parent] + logprobs[parent, columns[token]]
        found = []
        for number, path in zip(self.numbers, self.paths, strict=True):
            last = path[-1] if path else 0
            final = end if len(path) == len(number) else number[-1]
            found.append(reached[last] + logprobs[last, columns[final]])
        return np.array(found)
