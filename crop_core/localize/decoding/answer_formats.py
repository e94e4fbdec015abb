"""In what words a localizer is asked for a region, in what words it answers, and which checkpoint speaks which format.

A format's answer is four numbers between fixed pieces of text, so that only the numbers have to come from a model.
Knows nothing of tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from crop_core.localize.calibration import FORMAT, KEY
from crop_core.models.adapter import ModelError
from crop_core.records.region import GRID

QUESTION = "{question}"
CELLS, THOUSANDTHS, PIXELS = "cells", "thousandths", "pixels"


@dataclass(frozen=True)
class AnswerFormat:
    """prompt: what the user asks, QUESTION standing for the question. pieces: the text before, between and behind the
    four numbers of an answer, five pieces.

    unit: what the numbers count. CELLS are inclusive grid cells; the others are edges of a box (left, top, right,
    bottom), in THOUSANDTHS of each side or in PIXELS of the image in the size that the model reads.
    """

    prompt: str
    pieces: tuple[str, str, str, str, str]
    unit: str = CELLS

    def ask(self, question: str) -> str:
        """The user's text that asks for the region of a question."""
        return self.prompt.replace(QUESTION, question)

    def say(self, numbers: Sequence[int]) -> str:
        """The answer that holds four numbers, xmin, ymin, xmax and ymax."""
        told = [f"{before}{number}" for before, number in zip(self.pieces, numbers, strict=False)]
        return "".join([*told, self.pieces[-1]])

    def cells(self, size: tuple[int, int]) -> list[list[int]]:
        """Four lists, for xmin, ymin, xmax and ymax: the grid cell of each whole number that can be written, from 0 on.

        size: (width, height) of the image as the model reads it, for PIXELS. An edge on a line of the grid belongs to
        the cell inside the box.
        """
        if self.unit == CELLS:
            return [list(range(GRID))] * 4
        spans = self._spans(size)
        first = [[min(number * GRID // span, GRID - 1) for number in range(span + 1)] for span in spans]
        last = [[max((number * GRID - 1) // span, 0) for number in range(span + 1)] for span in spans]
        return [*first, *last]

    def fractions(self, numbers: Sequence[float], size: tuple[int, int]) -> tuple[float, float, float, float]:
        """(left, top, right, bottom) in parts of the image's sides, of four numbers with min before max; not clamped.

        size: as for `cells`.
        """
        width, height = self._spans(size)
        far = int(self.unit == CELLS)  # an inclusive cell ends where the next one begins
        x0, y0, x1, y1 = numbers
        return x0 / width, y0 / height, (x1 + far) / width, (y1 + far) / height

    def _spans(self, size: tuple[int, int]) -> tuple[int, int]:
        """What the two sides of the image come to, in the unit."""
        return {CELLS: (GRID, GRID), THOUSANDTHS: (1000, 1000), PIXELS: size}[self.unit]


BRACKETS = AnswerFormat(
    "Which part of the image holds what is needed to answer this question? Lay a grid of 8 x 8 blocks over the image, "
    "columns 0 to 7 from left to right, rows 0 to 7 from top to bottom, and answer with the first column, first row, "
    "last column and last row of the part, as [xmin, ymin, xmax, ymax].\nQuestion: {question}",
    ("[", ", ", ", ", ", ", "]"),
)
DIGITS = AnswerFormat(QUESTION, ("", "", "", "", ""))  # the checkpoint's own chat template asks

_LOCATE = (
    "Locate the region of the image that is needed to answer this question, and output its bbox coordinates using "
    "JSON format.\nQuestion: {question}"
)
_JSON = ('```json\n[\n\t{"bbox_2d": [', ", ", ", ", ", ", '], "label": "region"}\n]\n```')

# Qwen's own words for asking and answering. Sources, of github.com/QwenLM/Qwen3-VL: cookbooks/2d_grounding.ipynb (from
# Qwen3-VL on coordinates are relative, 0 to 1000) and issues 676 and 721, where its authors say that Qwen2.5-VL counts
# pixels of the image behind its processor (smart_resize).
BOXES = {"qwen2_5_vl": AnswerFormat(_LOCATE, _JSON, PIXELS), "qwen3_vl": AnswerFormat(_LOCATE, _JSON, THOUSANDTHS)}
NAMED = {"brackets": BRACKETS, "digits": DIGITS}


def format_of(config: Any, name: str, slots: bool = False) -> AnswerFormat | None:
    """The format of a checkpoint: that which the "crop_region" in its config names, DIGITS where it has slots for them,
    else that of its model_type; None where nothing tells. ModelError for an unknown name.
    """
    told = getattr(config, KEY, None)
    known = told.get(FORMAT) if isinstance(told, dict) else None
    if known is None:
        return DIGITS if slots else BOXES.get(config.model_type)
    if str(known) not in NAMED:
        raise ModelError(f"The {KEY} in the config of {name} has the {FORMAT} {known!r}; use {' or '.join(NAMED)}.")
    return NAMED[str(known)]
