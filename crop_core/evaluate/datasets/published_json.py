"""GQA, VQA v2, TextVQA and DocVQA: rows of a published JSON file beside a folder of images.

The functions' docstrings give each layout. Every loader raises DatasetError where its files are missing.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from crop_core.evaluate.datasets.local_copy import LocalCopy, published, read_json
from crop_core.evaluate.datasets.protocol import Example, question_lines, texts

GQA_SPLITS = ("testdev_balanced", "val_balanced", "test_balanced", "submission_all")
VQAV2_SPLITS = ("val2014", "train2014", "test2015", "test-dev2015")
TEXTVQA_SPLITS = DOCVQA_SPLITS = ("val", "train", "test")
_GQA_FOLDERS = ("", "questions1.2/", "questions/", "data/", "data/questions1.2/")


def load_gqa(copy: LocalCopy) -> list[Example]:
    """GQA (Hudson and Manning, arXiv 1902.09506): questions about scenes, made from scene graphs.

    `testdev_balanced_questions.json` of questions1.2.zip, an object {id: {"question", "imageId", "answer", "types":
    {"structural", ...}, ...}}, and `images/ID.jpg` of images.zip. Kinds are the structural types; the test splits have
    neither these nor answers.
    """
    file = copy.file(*(f"{folder}{copy.split}_questions.json" for folder in _GQA_FOLDERS))
    images = copy.image_folder("images", "data/images")
    with published(file):
        return [
            Example(
                id=str(key),
                question=question_lines(row["question"]),
                answers=texts(row.get("answer")),
                image=images / f"{row['imageId']}.jpg",
                kind=row["types"]["structural"] if "types" in row else "",
                group=str(row["imageId"]),
            )
            for key, row in read_json(file).items()
        ]


def load_vqav2(copy: LocalCopy) -> list[Example]:
    """VQA v2 (Goyal et al., arXiv 1612.00837): open questions about COCO images, ten people's answers each.

    `v2_OpenEnded_mscoco_val2014_questions.json`, {"questions": [{"question_id", "image_id", "question"}]},
    `v2_mscoco_val2014_annotations.json`, {"annotations": [{"question_id", "answer_type", "answers": [{"answer", ...}]}
    ]}, and COCO's `val2014/COCO_val2014_000000000042.jpg`. Kinds are the answer types yes/no, number and other. In the
    order of the questions' file. The test splits have no annotations, and share the images of test2015.
    """

    def json_file(folder: str, name: str) -> Path:
        return copy.file(name, f"{folder}/{name}")

    def example(row: dict[str, Any], annotation: dict[str, Any]) -> Example:
        return Example(
            id=str(row["question_id"]),
            question=question_lines(row["question"]),
            answers=_by_agreement(texts(annotation.get("answers"))),
            image=images / f"COCO_{folder}_{row['image_id']:012d}.jpg",
            kind=sys.intern(annotation["answer_type"]) if annotation else "",
            group=str(row["image_id"]),
        )

    questions = json_file("Questions", f"v2_OpenEnded_mscoco_{copy.split}_questions.json")
    hidden = copy.split.startswith("test")
    folder = copy.split.replace("-dev", "")
    annotations = questions if hidden else json_file("Annotations", f"v2_mscoco_{copy.split}_annotations.json")
    images = copy.image_folder(folder, f"Images/mscoco/{folder}", f"images/{folder}", "images")
    with published(annotations):
        rows = [] if hidden else read_json(annotations, _answer_text)["annotations"]
        answered = {row["question_id"]: row for row in rows}
    with published(questions):
        rows = read_json(questions)["questions"]
        return [example(row, {} if hidden else answered[row["question_id"]]) for row in rows]


def _answer_text(row: dict[str, Any]) -> Any:
    """The text alone of one person's answer, since two million of them are read."""
    return sys.intern(row["answer"]) if "answer_confidence" in row else row


def load_textvqa(copy: LocalCopy) -> list[Example]:
    """TextVQA (Singh et al., arXiv 1904.08920): questions about text in photos, ten people's answers each.

    `TextVQA_0.5.1_val.json`, {"data": [{"question_id", "image_id", "question", "answers": [text, ...]}]}, and
    `train_images/ID.jpg` of train_val_images.zip, of the test split `test_images/`. The prompt has no OCR text, unlike
    LLaVA-1.5's own evaluation: what is measured is reading with fewer visual tokens.
    """
    file = copy.file(f"TextVQA_0.5.1_{copy.split}.json")
    folders = ("train_images", "train_val_images/train_images")
    images = copy.image_folder(*(("test_images", "test_images/test_images") if copy.split == "test" else folders))
    with published(file):
        return [
            Example(
                id=str(row["question_id"]),
                question=question_lines(row["question"][:1].upper() + row["question"][1:]),
                answers=_by_agreement(texts(row.get("answers"))),
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
                question=question_lines(row["question"]),
                answers=texts(row.get("answers")),
                image=images / PurePosixPath(row["image"]).name,
                kind=next(iter(row.get("question_types") or ()), ""),
                group=row["image"],
            )
            for row in read_json(file)["data"]
        ]


def _by_agreement(answers: Sequence[str]) -> tuple[str, ...]:
    """The same answers, the most frequent first."""
    return tuple(sorted(answers, key=list(answers).count, reverse=True))
