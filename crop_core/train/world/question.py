"""A question about a scene, with its answer and the boxes that one must see to answer it."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

from crop_core.train.world.vocabulary import Box

KINDS = ("relation", "color", "text", "count", "exist", "compare", "value", "place", "two_hop", "whole")


@dataclass(frozen=True)
class Question:
    """A question, its answer of one to three words, and what must be seen for it.

    `reference` are the boxes of the things that the question names, in its order where it names several; `target` those
    of what holds the answer, word by word where it has several; both are empty where the whole image must be seen.
    A comparison also tells where each thing that it names shows its amount (`amounts`), and where the amount and the
    name of the thing that wins are (`winner`); a count tells what there is to count (`counted`). Training uses them,
    and no region depends on them.
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
        """Whether the whole image must be seen."""
        return not (self.reference or self.target)

    def is_answered_by(self, boxes: tuple[Box, ...]) -> bool:
        """Whether the content of these boxes is enough."""
        return not self.needs_everything and {*self.reference, *self.target} <= {*boxes}

    def box(self, width: int, height: int) -> Box:
        """The smallest box around everything needed, in pixels."""
        if self.needs_everything:
            return (0, 0, width, height)
        left, top, right, bottom = zip(*self.reference, *self.target, strict=True)
        return (min(left), min(top), max(right), max(bottom))


def held_out_pair(one: str, other: str) -> bool:
    """Whether training never asks about these two names together (one pair in eight, in either order)."""
    return zlib.crc32("|".join(sorted((one, other))).encode()) % 8 == 0
