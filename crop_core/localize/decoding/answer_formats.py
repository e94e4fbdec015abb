"""Answer formats of localizers: prompt, answer text and unit, and the format of each checkpoint.

An answer is four numbers between fixed pieces of text, so that only the numbers are decoded. Knows nothing of tokens.
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
    """prompt: the user's text, with the placeholder QUESTION. pieces: the five pieces of text before, between and after
    the four numbers of an answer.

    unit: of the numbers. CELLS are inclusive grid cells; the others are edges of a box (left, top, right,
    bottom), in THOUSANDTHS of each side or in PIXELS of the image as resized by the model.
    """

    prompt: str
    pieces: tuple[str, str, str, str, str]
    unit: str = CELLS

    def ask(self, question: str) -> str:
        """The prompt for the region of a question."""
        return self.prompt.replace(QUESTION, question)

    def say(self, numbers: Sequence[int]) -> str:
        """The answer text of four numbers xmin, ymin, xmax and ymax."""
        parts = [f"{before}{number}" for before, number in zip(self.pieces, numbers, strict=False)]
        return "".join([*parts, self.pieces[-1]])

    def cells(self, size: tuple[int, int]) -> list[list[int]]:
        """Four lists, for xmin, ymin, xmax and ymax: the grid cell of each possible whole number, from 0 on.

        size: (width, height) of the image as resized by the model, for PIXELS. An edge on a grid line belongs to the
        cell inside the box.
        """
        if self.unit == CELLS:
            return [list(range(GRID))] * 4
        spans = self._spans(size)
        first = [[min(number * GRID // span, GRID - 1) for number in range(span + 1)] for span in spans]
        last = [[max((number * GRID - 1) // span, 0) for number in range(span + 1)] for span in spans]
        return [*first, *last]

    def fractions(self, numbers: Sequence[float], size: tuple[int, int]) -> tuple[float, float, float, float]:
        """(left, top, right, bottom) in fractions of the image's sides, of four numbers with min before max; unclamped.

        size: as for `cells`.
        """
        width, height = self._spans(size)
        extent = int(self.unit == CELLS)  # an inclusive cell ends where the next one begins
        x0, y0, x1, y1 = numbers
        return x0 / width, y0 / height, (x1 + extent) / width, (y1 + extent) / height

    def _spans(self, size: tuple[int, int]) -> tuple[int, int]:
        """Width and height of the image in the unit."""
        return {CELLS: (GRID, GRID), THOUSANDTHS: (1000, 1000), PIXELS: size}[self.unit]


BRACKETS = AnswerFormat(
    "Which part of the image holds what is needed to answer this question? Lay a grid of 8 x 8 blocks over the image, "
    "columns 0 to 7 from left to right, rows 0 to 7 from top to bottom, and answer with the first column, first row, "
    "last column and last row of the part, as [xmin, ymin, xmax, ymax].\nQuestion: {question}",
    ("[", ", ", ", ", ", ", "]"),
)
DIGITS = AnswerFormat(QUESTION, ("", "", "", "", ""))  # the checkpoint's chat template holds the instruction

_LOCATE = (
    "Locate the region of the image that is needed to answer this question, and output its bbox coordinates using "
    "JSON format.\nQuestion: {question}"
)
_JSON = ('```json\n[\n\t{"bbox_2d": [', ", ", ", ", ", ", '], "label": "region"}\n]\n```')

# Qwen's own prompt and answer format. Sources, of github.com/QwenLM/Qwen3-VL: cookbooks/2d_grounding.ipynb (from
# Qwen3-VL on coordinates are relative, 0 to 1000) and issues 676 and 721, where its authors say that Qwen2.5-VL counts
# pixels of the image behind its processor (smart_resize).
BOXES = {"qwen2_5_vl": AnswerFormat(_LOCATE, _JSON, PIXELS), "qwen3_vl": AnswerFormat(_LOCATE, _JSON, THOUSANDTHS)}
NAMED = {"brackets": BRACKETS, "digits": DIGITS}


def format_of(config: Any, name: str, slots: bool = False) -> AnswerFormat | None:
    """The format of a checkpoint: the one named in the "crop_region" of its config, DIGITS with slots, else that of its
    model_type; None if there is none. ModelError for an unknown name.
    """
    stored = getattr(config, KEY, None)
    form = stored.get(FORMAT) if isinstance(stored, dict) else None
    if form is None:
        return DIGITS if slots else BOXES.get(config.model_type)
    if str(form) not in NAMED:
        raise ModelError(f"The {KEY} in the config of {name} has the {FORMAT} {form!r}; use {' or '.join(NAMED)}.")
    return NAMED[str(form)]
