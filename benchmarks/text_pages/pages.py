"""The pages by seed: those to choose rules with, and those to report with, which have other questions too."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

from benchmarks.text_pages.forms import make_form
from benchmarks.text_pages.letters import make_letter
from benchmarks.text_pages.receipts import make_receipt
from benchmarks.text_pages.sheet import DrawnPage
from benchmarks.text_pages.signs import make_signs

CHOOSING, REPORTING = range(100_000), range(100_000, 200_000)  # seeds
MAKERS: tuple[Callable[[random.Random, bool], DrawnPage], ...] = (make_form, make_receipt, make_letter, make_signs)


def make_page(seed: int) -> DrawnPage:
    """The page of this seed; the kinds take turns."""
    return MAKERS[seed % len(MAKERS)](random.Random(f"text page {seed}"), seed in REPORTING)


def pages(seeds: range, count: int) -> Iterator[DrawnPage]:
    """The first so many."""
    return map(make_page, seeds[:count])
