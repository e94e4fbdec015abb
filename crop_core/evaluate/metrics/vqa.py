"""VQA's soft accuracy (Antol et al., arXiv 1505.00468, section 4; Goyal et al., arXiv 1612.00837), and TextVQA's.

For ten human answers: a reply scores min(1, n / 3) for n people who gave it, averaged over the ten ways to leave
one of them out. One that two gave scores 0.6, three 0.9, four or more 1.

The original normalizes nothing where all ten answers are equal, and what is submitted to it was normalized before, as
LLaVA does. Here reply and answers always are: punctuation, number words, articles and contractions as in
github.com/GT-Vision-Lab/VQA (vqaEval.py), oddities included. Punctuation becomes a space, but is dropped where any of
it in the answer touches a space, or where a comma stands between digits anywhere in the answer; a period goes unless a
digit follows. Articles go, so that an empty reply is right where the answer is "a". Of its contractions, those with
capitals can never match and are left out here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from crop_core.evaluate.datasets.protocol import Example
from crop_core.evaluate.metrics import accuracy

if TYPE_CHECKING:
    import pandas as pd

_PUNCTUATION = ';/[]"{}()=+\\_-><@`,?!'
_PERIOD = re.compile(r"\.(?!\d)")
_COMMA_IN_NUMBER = re.compile(r"\d,\d")
_WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_NUMBERS = {word: str(number) for number, word in enumerate(_WORDS)} | {"none": "0"}
_ARTICLES = ("a", "an", "the")

# Without one of its apostrophes, each of these gets it back. Those that would be another word then are left out (its,
# were, well, shed, id), as are some that could be here.
_CONTRACTED = """ain't aren't can't could've couldn't couldn't've didn't doesn't don't hadn't hadn't've hasn't haven't
he'd he'd've he's how'd how'll how's isn't it'd it'd've it'll ma'am mightn't mightn't've might've mustn't must've
needn't not've o'clock oughtn't shan't she'd've should've shouldn't shouldn't've somebody'd've somebody'll somebody's
someone'd someone'd've someone'll someone's something'd something'd've something'll that's there'd there'd've there're
there's they'd they'd've they'll they're they've 'twas wasn't we'd've we've weren't what'll what're what's what've
when's where'd where's where've who'd who'd've who'll who's who've why'll why're why's won't would've wouldn't
wouldn't've y'all y'all'll y'all'd've you'd you'd've you'll you're you've 'ow's'at"""


def _without_one(word: str) -> list[str]:
    """The word without each of its apostrophes in turn."""
    return [word[:i] + word[i + 1 :] for i, letter in enumerate(word) if letter == "'"]


_CONTRACTIONS = {short: word for word in _CONTRACTED.split() for short in _without_one(word)}
_CONTRACTIONS["somebody'd"] = "somebodyd"  # as the original has it


@lru_cache(maxsize=65536)
def vqa_normal(answer: str) -> str:
    """Normalize an answer by VQA's rules."""
    text = _without_punctuation(answer.replace("\n", " ").replace("\t", " ").strip())
    words = [_NUMBERS.get(word, word) for word in text.lower().split()]
    return " ".join(_CONTRACTIONS.get(word, word) for word in words if word not in _ARTICLES)


@lru_cache(maxsize=65536)
def textvqa_normal(answer: str) -> str:
    """Normalize an answer as TextVQA's evaluators (M4C, MMF) do: commas and question marks go, 's stands alone, then
    VQA's rules apply, so that "1,000" is "1000", "red,blue" "redblue", and "joe's" "joe 's".
    """
    return vqa_normal(answer.lower().replace(",", "").replace("?", "").replace("'s", " 's"))


def _without_punctuation(text: str) -> str:
    drop_all = _COMMA_IN_NUMBER.search(text) is not None
    result = text
    for mark in _PUNCTUATION:
        drop = drop_all or f"{mark} " in text or f" {mark}" in text
        result = result.replace(mark, "" if drop else " ")
    return _PERIOD.sub("", result)


_AGREEING = 3  # people who agree


@dataclass
class SoftAccuracy:
    """Agreement with people. normal: normalizes answers before they are compared."""

    name: str
    label: str
    normal: Callable[[str], str]

    def score(self, reply: str, example: Example) -> float:
        """The mean over all answers of min(1, number of the other answers equal to the reply / 3)."""
        given, total = self.normal(reply), len(example.answers)
        same = sum(self.normal(answer) == given for answer in example.answers)
        left_out = same * min(1.0, max(same - 1, 0) / _AGREEING)
        return (left_out + (total - same) * min(1.0, same / _AGREEING)) / total

    def summary(self, records: pd.DataFrame) -> Mapping[str, float]:
        """`accuracy`, and that of each kind (VQAv2: of answers that are yes/no, number, other), in percent."""
        return accuracy(records)


VQA = SoftAccuracy("vqa", "VQA accuracy", vqa_normal)
TEXTVQA = SoftAccuracy("textvqa", "TextVQA accuracy", textvqa_normal)
