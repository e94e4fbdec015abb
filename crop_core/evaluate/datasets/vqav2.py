"""VQA v2 (Goyal et al., arXiv 1612.00837): open questions about COCO images, ten people's answers each.

`v2_OpenEnded_mscoco_val2014_questions.json`, {"questions": [{"question_id", "image_id", "question"}]},
`v2_mscoco_val2014_annotations.json`, {"annotations": [{"question_id", "answer_type", "answers": [{"answer", ...}]}]},
and COCO's `val2014/COCO_val2014_000000000042.jpg`. Kinds are the answer types yes/no, number and other.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from crop_core.evaluate.datasets.local_copy import LocalCopy, published, read_json
from crop_core.evaluate.datasets.prompts import with_request
from crop_core.evaluate.datasets.protocol import Example

SPLITS = ("val2014", "train2014")


def load(copy: LocalCopy) -> list[Example]:
    """Every question of the split, in the order of the questions' file; DatasetError without its files."""
    questions = _json_file(copy, "Questions", f"v2_OpenEnded_mscoco_{copy.split}_questions.json")
    annotations = _json_file(copy, "Annotations", f"v2_mscoco_{copy.split}_annotations.json")
    images = copy.image_folder(copy.split, f"Images/mscoco/{copy.split}", f"images/{copy.split}", "images")
    with published(annotations):
        answered = {row["question_id"]: row for row in read_json(annotations, _slim)["annotations"]}
    with published(questions):
        return [
            _example(row, answered[row["question_id"]], images / f"COCO_{copy.split}_{row['image_id']:012d}.jpg")
            for row in read_json(questions)["questions"]
        ]


def _json_file(copy: LocalCopy, folder: str, name: str) -> Path:
    return copy.file(name, f"{folder}/{name}")


def _slim(row: dict[str, Any]) -> Any:
    """Of one person's answer the text alone, since two million of them are read."""
    return sys.intern(row["answer"]) if "answer_confidence" in row else row


def _example(row: dict[str, Any], annotation: dict[str, Any], image: Path) -> Example:
    return Example(
        id=str(row["question_id"]),
        question=with_request(row["question"]),
        answers=by_agreement(annotation["answers"]),
        image=image,
        kind=sys.intern(annotation["answer_type"]),
        group=str(row["image_id"]),
    )


def by_agreement(answers: list[str]) -> tuple[str, ...]:
    """The same answers, those that most people gave first."""
    return tuple(sorted(answers, key=answers.count, reverse=True))
