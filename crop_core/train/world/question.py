"""Question about a scene, with its answer and the boxes that it depends on."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

from crop_core.train.world.vocabulary import Box

KINDS = ("relation", "color", "text", "count", "exist", "compare", "value", "place", "two_hop", "whole")


@dataclass(frozen=True)
class Question:
    """A question, its answer of one to three words, and the boxes that it depends on.

    `reference` are the boxes of the objects that the question names, in its order; `target` those of the answer, word
    by word where it has several; both are empty where the whole image is needed. A comparison also has the boxes of the
    amounts of the named objects (`amounts`), and of the amount and the name of the winner (`winner`); a count has those
    of the counted objects (`counted`). Training uses them, and no region depends on them.
    """

    kind: str
    text: str
    answer: str
    reference: tuple[Box, ...]
    target: tuple[Box, ...]
    amounts: tuple[Box, ...] = ()
    winner: tuple[Box, ...] = ()
    counted: tuple[Box, ...] = ()

    @property
    def needs_everything(self) -> bool:
        """Whether the whole image is needed."""
        return not (self.reference or self.target)

    def is_answered_by(self, boxes: tuple[Box, ...]) -> bool:
        """Whether these boxes contain all that is needed."""
        return not self.needs_everything and {*self.reference, *self.target} <= {*boxes}

    def box(self, width: int, height: int) -> Box:
        """The smallest box around all needed boxes, in pixels."""
        if self.needs_everything:
            return (0, 0, width, height)
        left, top, right, bottom = zip(*self.reference, *self.target, strict=True)
        return (min(left), min(top), max(right), max(bottom))


def held_out_pair(one: str, other: str) -> bool:
    """Whether training never asks about these two names together (one pair in eight, in either order)."""
    return zlib.crc32("|".join(sorted((one, other))).encode()) % 8 == 0
