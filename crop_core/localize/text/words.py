"""Words of questions and of lines, and which of them are the same although a reader spelled them otherwise."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache

_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]|[^\W\d_]+|\d+(?:[.,:/-]\d+)*")
_JOINED = re.compile(r"(?<=[a-zß-ÿ])(?=[A-ZÀ-Þ])|(?<=\dx)(?=[A-ZÀ-Þ])")  # where a reader lost a space: OrangeJuice
_CONFUSED = str.maketrans("l1|0", "iiio")  # letters that readers take for each other
MISREAD = ((7, 2), (4, 1))  # of words of at least so many letters, so many may be misread
LONG = 12  # letters of what is no word but a joined sentence
_SHORT = {day[:3]: day for day in ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")}
_STEM = 5  # letters of a common beginning, from which words with other _ENDS are the same: humid, humidity
_ENDS = frozenset(re.split(" ", " e d s y es ed er al ly ing ity ion ery ies ness ment"))
_DIGIT_INSIDE = str.maketrans("01", "ol")  # for which readers take a letter


def spaced(text: str) -> str:
    """A text in lower case, with spaces where a change of case shows that a reader lost one."""
    return _JOINED.sub(" ", unicodedata.normalize("NFKC", text)).casefold().replace("’", "'")


def words(text: str) -> list[str]:
    """The words and numbers of a text, in lower case, without the ends of genitives; Chinese letters one by one."""
    plain = re.sub(r"(?<=[a-z]{2})[01](?=[a-z])", lambda digit: digit[0].translate(_DIGIT_INSIDE), spaced(text))
    return _WORD.findall(re.sub(r"'s?\b", "", plain))


def found(word: str, own: Iterable[str]) -> bool:
    """Whether a word is one of a line's own, or inside a sentence whose spaces the reader lost."""
    return any(alike(word, each) or (len(each) >= LONG and len(word) >= 4 and word in each) for each in own)


@lru_cache(maxsize=100_000)
def alike(one: str, other: str) -> bool:
    """Whether two words are the same, one is the plural of the other, or a reader may have misread one as the other:
    with the same first letter and few others. Numbers only where they are equal.
    """
    if one == other:
        return True
    if not (one.isalpha() or other.isalpha()):
        return False
    first, second = (_singular(_SHORT.get(word, word)).translate(_CONFUSED) for word in (one, other))
    if first == second or _same_stem(first, second):
        return True
    length = min(len(first), len(second))
    allowed = next((misread for letters, misread in MISREAD if length >= letters), 0)
    return allowed > 0 and first[0] == second[0] and _distance(first, second) <= allowed


def split_joined(word: str, vocabulary: frozenset[str]) -> list[str]:
    """The words of `vocabulary` that a reader joined to one ("amountdue"), else the word alone."""
    return list(_parts(word, vocabulary)) or [word]


@lru_cache(maxsize=10_000)
def _parts(word: str, vocabulary: frozenset[str]) -> tuple[str, ...]:
    """The fewest words that make up the whole, none of a single letter; () where none do."""
    best: list[tuple[str, ...] | None] = [()] + [None] * len(word)
    for end in range(2, len(word) + 1):
        ways = [
            (*parts, word[start:end])
            for start, parts in enumerate(best[: end - 1])
            if parts is not None and word[start:end] in vocabulary
        ]
        best[end] = min(ways, key=len, default=None)
    return best[-1] or ()


def _same_stem(one: str, other: str) -> bool:
    """Whether two words differ in their ends alone: delivered, delivery."""
    shared = next((k for k, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    return shared >= _STEM and {one[shared:], other[shared:]} <= _ENDS


def _singular(word: str) -> str:
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word


def _distance(one: str, other: str) -> int:
    """Letters to insert, leave out or replace."""
    row = list(range(len(other) + 1))
    for i, letter in enumerate(one, 1):
        diagonal, row[0] = row[0], i
        for j, second in enumerate(other, 1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (letter != second))
    return row[-1]
