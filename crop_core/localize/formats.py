"""In what words a grid localizer is asked for a region, and in what words it answers. Knows nothing of models.

A format's answer is four numbers between fixed pieces of text, so that only the numbers have to come from a model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

QUESTION = "{question}"


@dataclass(frozen=True)
class Format:
    """prompt: what the user asks, QUESTION standing for the question. pieces: the text before, between and behind the
    four numbers of an answer, five pieces.
    """

    prompt: str
    pieces: tuple[str, str, str, str, str]

    def ask(self, question: str) -> str:
        """The user's text that asks for the region of a question."""
        return self.prompt.replace(QUESTION, question)

    def say(self, numbers: Sequence[int]) -> str:
        """The answer that holds four numbers, xmin, ymin, xmax and ymax."""
        told = [f"{before}{number}" for before, number in zip(self.pieces, numbers, strict=False)]
        return "".join([*told, self.pieces[-1]])


BRACKETS = Format(
    "Which part of the image holds what is needed to answer this question? Lay a grid of 8 x 8 blocks over the image, "
    "columns 0 to 7 from left to right, rows 0 to 7 from top to bottom, and answer with the first column, first row, "
    "last column and last row of the part, as [xmin, ymin, xmax, ymax].\nQuestion: {question}",
    ("[", ", ", ", ", ", ", "]"),
)
