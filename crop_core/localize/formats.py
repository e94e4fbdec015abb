"""In what words a localizer is asked for a region, in what words it answers, and which checkpoint speaks which format.

A format's answer is four numbers between fixed pieces of text, so that only the numbers have to come from a model.
Knows nothing of tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from crop_core.localize.calibration import FORMAT, KEY
from crop_core.models.protocol import ModelError
from crop_core.region import GRID

QUESTION = "{question}"
CELLS, THOUSANDTHS, PIXELS = "cells", "thousandths", "pixels"


@dataclass(frozen=True)
class Format:
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

    def say(self, numbers: Sequence[int | str]) -> str:
        """The answer that holds four numbers, xmin, ymin, xmax and ymax."""
        told = [f"{before}{number}" for before, number in zip(self.pieces, numbers, strict=False)]
        return "".join([*told, self.pieces[-1]])

    def candidates(self, size: tuple[int, int]) -> list[list[str]]:
        """(4, 8) texts: how each grid cell 0 to 7 is written as xmin, ymin, xmax and ymax: the outer edge of the cell.

        size: (width, height) of the image as the model reads it, for PIXELS.
        """
        if self.unit == CELLS:
            return [[str(cell) for cell in range(GRID)]] * 4
        width, height = self._spans(size)
        sides = ((width, 0), (height, 0), (width, 1), (height, 1))
        return [[str(round(span * (cell + far) / GRID)) for cell in range(GRID)] for span, far in sides]

    def fractions(self, numbers: Sequence[float], size: tuple[int, int]) -> tuple[float, float, float, float]:
        """(left, top, right, bottom) in parts of the image's sides, of four numbers with min before max; not clamped.

        size: as for `candidates`.
        """
        width, height = self._spans(size)
        far = int(self.unit == CELLS)  # an inclusive cell ends where the next one begins
        x0, y0, x1, y1 = numbers
        return x0 / width, y0 / height, (x1 + far) / width, (y1 + far) / height

    def _spans(self, size: tuple[int, int]) -> tuple[int, int]:
        """What the two sides of the image come to, in the unit."""
        return {CELLS: (GRID, GRID), THOUSANDTHS: (1000, 1000), PIXELS: size}[self.unit]


BRACKETS = Format(
    "Which part of the image holds what is needed to answer this question? Lay a grid of 8 x 8 blocks over the image, "
    "columns 0 to 7 from left to right, rows 0 to 7 from top to bottom, and answer with the first column, first row, "
    "last column and last row of the part, as [xmin, ymin, xmax, ymax].\nQuestion: {question}",
    ("[", ", ", ", ", ", ", "]"),
)
DIGITS = Format(QUESTION, ("", "", "", "", ""))  # the checkpoint's own chat template asks

_LOCATE = (
    "Locate the region of the image that is needed to answer this question, and output its bbox coordinates using "
    "JSON format.\nQuestion: {question}"
)
_JSON = ('```json\n[\n\t{"bbox_2d": [', ", ", ", ", ", ", '], "label": "region"}\n]\n```')

# Qwen's own words for asking and answering. Sources, of github.com/QwenLM/Qwen3-VL: cookbooks/2d_grounding.ipynb (from
# Qwen3-VL on coordinates are relative, 0 to 1000) and issues 676 and 721, where its authors say that Qwen2.5-VL counts
# pixels of the image behind its processor (smart_resize).
BOXES = {"qwen2_5_vl": Format(_LOCATE, _JSON, PIXELS), "qwen3_vl": Format(_LOCATE, _JSON, THOUSANDTHS)}
NAMED = {"brackets": BRACKETS, "digits": DIGITS}


def format_of(config: Any, name: str) -> Format | None:
    """The format that a checkpoint's config tells: by the name in its "crop_region", else by its model_type; None where
    it tells none. ModelError for an unknown name.
    """
    told = getattr(config, KEY, None)
    known = told.get(FORMAT) if isinstance(told, dict) else None
    if known is None:
        return BOXES.get(config.model_type)
    if known not in NAMED:
        raise ModelError(f"The {KEY} in the config of {name} has the {FORMAT} {known!r}; use {' or '.join(NAMED)}.")
    return NAMED[known]
