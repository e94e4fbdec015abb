"""ScienceQA (Lu et al., arXiv 2209.09513): school questions with options, of which those with an image.

`problems.json`, {id: {"question", "choices", "answer": index, "hint", "image": name or null, "subject", ...}},
`pid_splits.json`, {"test": [id, ...], ...}, and `images/test/ID/image.png`. Kinds are the subjects. The prompt is the
hint as context, the question, the options by letter, and the request for a letter (LLaVA's docs/Evaluation.md, with
the context as lmms-eval has it).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from crop_core.evaluate.datasets.local_copy import LocalCopy, published, read_json
from crop_core.evaluate.datasets.protocol import Example, question_lines
from crop_core.evaluate.metrics.closed_ended import LETTERS

SPLITS = ("test", "val", "minitest", "minival", "train")
LETTER = "Answer with the option's letter from the given choices directly."  # of LLaVA-1.5's evaluation
_FOLDERS = {"minitest": "test", "minival": "val"}  # parts of other splits


def load(copy: LocalCopy) -> list[Example]:
    """Every question of the split that has an image; DatasetError without its files."""
    problems, splits = copy.file("problems.json"), copy.file("pid_splits.json")
    folder = _FOLDERS.get(copy.split, copy.split)
    images = copy.image_folder(f"images/{folder}", folder)
    with published(splits):
        ids = read_json(splits)[copy.split]
    with published(problems):
        rows = read_json(problems)
        return [_example(key, rows[key], images) for key in ids if rows[key]["image"]]


def _example(key: str, row: dict[str, Any], images: Path) -> Example:
    options = [f"{letter}. {choice}" for letter, choice in zip(LETTERS, row["choices"], strict=False)]
    context = [f"Context: {row['hint']}"] if row["hint"] else []
    return Example(
        id=key,
        question=question_lines("\n".join([*context, row["question"], *options, LETTER])),
        answers=_answer(row),
        image=images / key / row["image"],
        kind=row["subject"],
        group=key,
    )


def _answer(row: dict[str, Any]) -> tuple[str, ...]:
    """The letter of the right choice, none where it is hidden."""
    index = row.get("answer")
    return () if index in (None, "") else (LETTERS[range(len(row["choices"]))[int(index)]],)
