"""GQA, VQA v2, TextVQA and DocVQA: rows of a published JSON file beside a folder of images.

The functions' docstrings give each layout. Every loader raises DatasetError where its files are missing.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from crop_core.evaluate.datasets.local_copy import LocalCopy, published, read_json
from crop_core.evaluate.datasets.protocol import Example, with_request

GQA_SPLITS = ("testdev_balanced", "val_balanced")
VQAV2_SPLITS = ("val2014", "train2014")
TEXTVQA_SPLITS = DOCVQA_SPLITS = ("val", "train")
_GQA_FOLDERS = ("", "questions1.2/", "questions/", "data/", "data/questions1.2/")


def load_gqa(copy: LocalCopy) -> list[Example]:
    """GQA (Hudson and Manning, arXiv 1902.09506): questions about scenes, made from scene graphs.

    `testdev_balanced_questions.json` of questions1.2.zip, an object {id: {"question", "imageId", "answer", "types":
    {"structural", ...}, ...}}, and `images/ID.jpg` of images.zip. Kinds are the structural types.
    """
    file = copy.file(*(f"{folder}{copy.split}_questions.json" for folder in _GQA_FOLDERS))
    images = copy.image_folder("images", "data/images")
    with published(file):
        return [
            Example(
                id=str(key),
                question=with_request(row["question"]),
                answers=(row["answer"],),
                image=images / f"{row['imageId']}.jpg",
                kind=row["types"]["structural"],
                group=str(row["imageId"]),
            )
            for key, row in read_json(file).items()
        ]


def load_vqav2(copy: LocalCopy) -> list[Example]:
    """VQA v2 (Goyal et al., arXiv 1612.00837): open questions about COCO images, ten people's answers each.

    `v2_OpenEnded_mscoco_val2014_questions.json`, {"questions": [{"question_id", "image_id", "question"}]},
    `v2_mscoco_val2014_annotations.json`, {"annotations": [{"question_id", "answer_type", "answers": [{"answer", ...}]}
    ]}, and COCO's `val2014/COCO_val2014_000000000042.jpg`. Kinds are the answer types yes/no, number and other. In the
    order of the questions' file.
    """

    def json_file(folder: str, name: str) -> Path:
        return copy.file(name, f"{folder}/{name}")

    def example(row: dict[str, Any], annotation: dict[str, Any]) -> Example:
        return Example(
            id=str(row["question_id"]),
            question=with_request(row["question"]),
            answers=_by_agreement(annotation["answers"]),
            image=images / f"COCO_{copy.split}_{row['image_id']:012d}.jpg",
            kind=sys.intern(annotation["answer_type"]),
            group=str(row["image_id"]),
        )

    questions = json_file("Questions", f"v2_OpenEnded_mscoco_{copy.split}_questions.json")
    annotations = json_file("Annotations", f"v2_mscoco_{copy.split}_annotations.json")
    images = copy.image_folder(copy.split, f"Images/mscoco/{copy.split}", f"images/{copy.split}", "images")
    with published(annotations):
        answered = {row["question_id"]: row for row in read_json(annotations, _answer_text)["annotations"]}
    with published(questions):
        return [example(row, answered[row["question_id"]]) for row in read_json(questions)["questions"]]


def _answer_text(row: dict[str, Any]) -> Any:
    """The text alone of one person's answer, since two million of them are read."""
    return sys.intern(row["answer"]) if "answer_confidence" in row else row


def load_textvqa(copy: LocalCopy) -> list[Example]:
    """TextVQA (Singh et al., arXiv 1904.08920): questions about text in photos, ten people's answers each.

    `TextVQA_0.5.1_val.json`, {"data": [{"question_id", "image_id", "question", "answers": [text, ...]}]}, and
    `train_images/ID.jpg` of train_val_images.zip. The prompt has no OCR text, unlike LLaVA-1.5's own evaluation: what
    is measured is reading with fewer visual tokens.
    """
    file = copy.file(f"TextVQA_0.5.1_{copy.split}.json")
    images = copy.image_folder("train_images", "train_val_images/train_images")
    with published(file):
        return [
            Example(
                id=str(row["question_id"]),
                question=with_request(row["question"][:1].upper() + row["question"][1:]),
                answers=_by_agreement(row["answers"]),
                image=images / f"{row['image_id']}.jpg",
                group=row["image_id"],
            )
            for row in read_json(file)["data"]
        ]


def load_docvqa(copy: LocalCopy) -> list[Example]:
    """DocVQA (Mathew et al., arXiv 2007.00398): questions about scanned pages, with every spelling of the answer.

    `val_v1.0_withQT.json` or `val_v1.0.json`, {"data": [{"questionId", "question", "image": "documents/NAME.png",
    "answers": [text, ...], and in the first "question_types"}]}, and the images in `documents/` or `spdocvqa_images/`.
    Kinds are the question types, the first of them where a question has several.
    """
    names = [f"{copy.split}_v1.0{with_types}.json" for with_types in ("_withQT", "")]
    folders = ("", "spdocvqa_qas/", f"{copy.split}/")
    file = copy.file(*(f"{folder}{name}" for folder in folders for name in names))
    images = copy.image_folder("documents", f"{copy.split}/documents", "spdocvqa_images", "images")
    with published(file):
        return [
            Example(
                id=str(row["questionId"]),
                question=with_request(row["question"]),
                answers=tuple(row["answers"]),
                image=images / PurePosixPath(row["image"]).name,
                kind=next(iter(row.get("question_types", ())), ""),
                group=row["image"],
            )
            for row in read_json(file)["data"]
        ]


def _by_agreement(answers: Sequence[str]) -> tuple[str, ...]:
    """The same answers, the most frequent first."""
    return tuple(sorted(answers, key=list(answers).count, reverse=True))
