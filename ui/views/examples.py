"""One-click examples: a folder with examples.json and its images."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crop_core.io.data_url import data_url
from crop_core.io.images import open_image
from ui.views.rendering import Card, render

KIND_NAMES = {
    "relation": "beside, above, below",
    "color": "color",
    "text": "reading",
    "count": "counting",
    "exist": "is it there?",
    "compare": "comparing",
    "value": "values and prices",
    "place": "what is where",
    "two_hop": "two steps",
    "whole": "the whole image",
}
FAILS_AT = "64"  # the budget of examples on which pruning fails
FAILS = f" · CROP fails at {FAILS_AT} tokens"


@dataclass(frozen=True)
class Example:
    """Image file and question, with the right answer and its kind.

    pruning_fails: measured for CROP at 64 tokens, whose answer is `pruned`.
    """

    image: Path
    question: str
    answer: str
    kind: str
    pruning_fails: bool = False
    pruned: str = ""

    @property
    def settings(self) -> dict[str, Any] | None:
        """Settings that its run brings along; None for the visitor's own."""
        return {"method": "crop", "budget": FAILS_AT} if self.pruning_fails else None


def load_examples(folder: Path) -> list[Example]:
    """Examples listed in `folder`/examples.json; an empty list when there is no such file."""
    listing = Path(folder) / "examples.json"
    if not listing.is_file():
        return []
    rows = json.loads(listing.read_text(encoding="utf-8"))
    return [
        Example(
            Path(folder) / row["image"],
            row["question"],
            row["answer"],
            row["kind"],
            row.get("pruning_fails", False),
            row.get("measured", {}).get("crop 64", ""),
        )
        for row in rows
    ]


def strip_html(examples: list[Example]) -> str:
    """The examples as buttons for `ui.page.components.Strip`."""
    kinds = [KIND_NAMES.get(one.kind, one.kind) + (FAILS if one.pruning_fails else "") for one in examples]
    cards = [
        Card(index, one.question, (kind,), thumbnail(one.image))
        for index, (one, kind) in enumerate(zip(examples, kinds, strict=True))
    ]
    return render("example_strip", cards)


def thumbnail(path: Path) -> str:
    """Image file as a small data URL: a JPEG, since every visitor's page loads dozens of them."""
    return data_url(open_image(path), side=192, max_png_bytes=0)
