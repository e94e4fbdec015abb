"""POPE (Li et al., arXiv 2305.10355): is this object in the image? Absent objects are chosen in three ways.

`coco_pope_random.json`, `coco_pope_popular.json` and `coco_pope_adversarial.json` of its output/coco, JSON Lines of
{"question_id", "image": "COCO_val2014_000000000042.jpg", "text", "label": "yes" or "no"}, and COCO's `val2014/`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from crop_core.evaluate.datasets.local_copy import LocalCopy, published
from crop_core.evaluate.datasets.protocol import DatasetError, Example, question_lines, texts
from crop_core.io.row_reader import Skipped, usable

KINDS = ("random", "popular", "adversarial")
SPLITS = ("all", *KINDS)


def load(copy: LocalCopy) -> list[Example]:
    """Every question of the split; DatasetError without its files."""
    images = copy.image_folder("val2014", "coco/val2014", "images")
    kinds = KINDS if copy.split == "all" else (copy.split,)
    return [example for kind in kinds for example in _read(copy, kind, images)]


def _read(copy: LocalCopy, kind: str, images: Path) -> list[Example]:
    name, skipped = f"coco_pope_{kind}.json", Skipped()
    file = copy.file(name, f"coco/{name}", f"output/coco/{name}")

    def example(where: str, row: Any) -> Example:
        answers = texts(row.get("label"))
        if answers not in (("yes",), ("no",), ()):
            raise DatasetError(f"the label {row['label']!r} is neither yes nor no")
        return Example(
            id=f"{kind} {row['question_id']}",
            question=question_lines(row["text"]),
            answers=answers,
            image=images / row["image"],
            kind=kind,
            group=row["image"],
        )

    with published(file):
        examples = list(usable(file, example, skipped))
        if skipped.count or not examples:
            raise ValueError(skipped)
    return examples
